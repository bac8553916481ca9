"""The command line as a person or a script meets it: text, JSON, exit codes, signals, pipes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from mnist_cli.cli.refusal import refusal
from mnist_cli.datasets import DATASETS
from mnist_cli.errors import Interrupted
from tests.support.command_line import COMMAND, environment, imported_by, mnist, run_process, start_process


@pytest.fixture(scope="session")
def synthetic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `mnist run --dataset synthetic` was run once, in a process of its own."""
    folder = tmp_path_factory.mktemp("synthetic")
    result = run_process("run", "--dataset", "synthetic", "--json", cwd=folder)
    (folder / "result.json").write_text(result.out, encoding="utf-8")
    return folder


@pytest.fixture
def synthetic(synthetic_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the synthetic run, as the current folder."""
    folder = tmp_path / "copy"
    shutil.copytree(synthetic_run, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MNIST_MIRRORS", "")
    return folder


def test_a_synthetic_run_needs_no_network_and_learns(synthetic_run: Path) -> None:
    result = json.loads((synthetic_run / "result.json").read_text(encoding="utf-8"))
    assert [stage["stage"] for stage in result["stages"]] == ["fetch", "preprocess", "train", "eval"]
    assert all(stage["ran"] for stage in result["stages"])
    assert 0.8 < result["accuracy"] < 1
    assert len(result["model_digest"]) == 64


def test_a_second_run_does_nothing_and_says_so(finished: Path) -> None:
    text = mnist("run").out
    assert "nothing to do: fetch, preprocess, train and eval are up to date" in text
    assert "test accuracy" in text


def test_status_gives_the_reason_old_and_new(finished: Path) -> None:
    done = mnist("status", "--set", "train.learning_rate=0.3")
    assert "train       stale       train.learning_rate 0.5 → 0.3" in done.out


def test_status_check_exits_with_4_when_there_is_work(finished: Path) -> None:
    mnist("status", "--check")
    mnist("status", "--check", "--seed", "1", code=4)


def test_status_as_json_has_reasons_with_old_and_new(finished: Path) -> None:
    evaluated = mnist("status", "--set", "eval.split=train", "--json").document["stages"][3]
    assert evaluated["state"] == "stale"
    assert evaluated["reasons"][0] == {
        "what": "eval.split",
        "old": "test",
        "new": "train",
        "text": "eval.split test → train",
    }


def test_a_dry_run_says_what_would_run_and_does_nothing(finished: Path) -> None:
    before = (finished / "artifacts/preprocess/manifest.json").read_bytes()
    arguments = ["run", "--validation-size", "100", "--dry-run", "--json"]
    done = mnist(*arguments)
    assert done.document["would_run"] == ["preprocess", "train", "eval"]
    assert (finished / "artifacts/preprocess/manifest.json").read_bytes() == before


@pytest.mark.parametrize("command", ["run", "train"])
def test_restart_trains_again_what_is_fresh(finished: Path, command: str) -> None:
    arguments = [command, "--restart", "--json"]
    stages = mnist(*arguments).document["stages"]
    assert [stage["stage"] for stage in stages if stage["ran"]] == ["train"]


def test_what_the_last_run_was_given_holds_for_the_other_commands(synthetic: Path) -> None:
    assert mnist("status").out.startswith("using the options of the last run: --dataset synthetic")
    mnist("status", "--check")
    done = mnist("eval", "--split", "validation")
    assert "note: using the options of the last run: --dataset synthetic" in done.err
    assert "validation accuracy" in done.out
    assert "using the options of the last run: --dataset synthetic --split validation" in mnist("status").out


def test_a_run_without_them_goes_back_to_the_configuration_and_says_so(finished: Path) -> None:
    mnist("run", "--steps", "30", "--quiet")
    assert "using the options of the last run: --steps 30" in mnist("status").out
    done = mnist("run")
    assert "note: using the configuration again; the last run had --steps 30" in done.err
    assert "as run" not in mnist("status").out
    assert "goes by" not in mnist("run").err


def test_a_lock_of_what_was_typed_is_held_without_typing_it_again(finished: Path) -> None:
    mnist("run", "--steps", "30", "--quiet")
    mnist("lock", "--output", "my.lock")
    mnist("run", "--quiet")
    mnist("run", "--frozen", "--lock", "my.lock")
    assert mnist("status", "--frozen", "--lock", "my.lock").out.count("fresh") == 4
    done = mnist("run", "--frozen", "--lock", "my.lock", "--steps", "31", code=4)
    assert "train.steps 30 → 31" in done.err
    assert "--lock needs --frozen" in mnist("run", "--lock", "my.lock", code=2).err


def test_the_gate_is_checked_also_when_nothing_has_to_run(synthetic: Path) -> None:
    mnist("eval", "--min-accuracy", "0.5")
    done = mnist("eval", "--min-accuracy", "0.999", code=6)
    assert "expected at least 0.999; received 0." in done.err


def test_a_failed_gate_as_json_has_the_metrics_and_the_error(synthetic: Path) -> None:
    read = mnist("eval", "--min-accuracy", "0.999", "--json", code=6).document
    assert read["error"]["code"] == "gate"
    assert 0.8 < read["accuracy"] < 0.999


def test_show_draws_the_digit_with_its_label_and_ten_bars(finished: Path) -> None:
    heading, *lines = mnist("show", "3").out.splitlines()
    assert re.fullmatch(r"test image 3: \d \(label \d\), [\d.]+ %", heading)
    assert any("@" in line for line in lines[:28])
    assert sum(" % " in line or line.endswith(" %") for line in lines[28:]) == 10


def test_show_and_predict_print_the_same_fields_in_the_same_order(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = mnist("show", "3", terminal=True).out
        assert shown == mnist("predict", "--index", "3", "--show", terminal=True).out
        beside = [line for line in shown.splitlines() if re.match(r".{56} .* \d+\.\d\d %", line)]
        assert bool(beside) == (columns == "120")
    documents = [mnist(*words, "--json").out for words in (["show", "3"], ["predict", "--index", "3", "--show"])]
    first, second = (json.loads(document) for document in documents)
    assert list(first.items()) == list(second.items())


def test_show_as_json_has_pixels_and_probabilities(finished: Path) -> None:
    read = mnist("show", "0", "--split", "train", "--json").document
    assert len(read["image"]) == len(read["image"][0]) == 28
    assert sum(read["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_show_beyond_the_last_image_says_how_many_there_are(synthetic: Path) -> None:
    done = mnist("show", "10000", code=2)
    assert "expected 0 to 9,999; received 10,000" in done.err


def test_a_stage_without_its_input_exits_with_5_and_names_the_command(empty: Path) -> None:
    error = mnist("train", code=5).err
    assert "missing" in error
    assert "hint: run 'mnist fetch'" in error


def test_show_without_a_store_exits_with_5(empty: Path) -> None:
    done = mnist("show", "0", code=5)
    assert "hint: run 'mnist run'" in done.err


def test_no_reachable_mirror_exits_with_8_and_says_how_to_go_on(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(DATASETS["mnist"], mirrors=()))
    error = mnist("fetch", "--mirror", "nowhere", "--mirror", "file:///nowhere", code=8).err
    assert "nowhere" in error
    assert "--dataset synthetic" in error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train", "--steps", "many"], 3),
        (["run", "--set", "train.epocs=1"], 3),
        (["run", "--config", "missing.yaml"], 3),
        (["run", "--from", "nowhere"], 2),
        (["run", "--from", "eval", "--to", "fetch"], 2),
        (["status", "--format", "xml"], 2),
        (["nonsense"], 2),
        (["fetch", "--mirror", "gopher://host/"], 2),
        (["show", "first"], 2),
    ],
)
def test_bad_input_is_one_to_four_lines_and_one_document(empty: Path, arguments: list[str], code: int) -> None:
    done = mnist(*arguments, code=code)
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) <= 4
    assert "Traceback" not in done.err
    done = mnist(*arguments, "--json", code=code)
    assert set(done.document["error"]) >= {"code", "message", "hint"}


@pytest.mark.parametrize("words", ["predict a.png", "plot weights", "runs list", "diff", "show 0", "verify", "report"])
def test_a_configuration_file_that_is_not_there_is_refused_by_every_command(empty: Path, words: str) -> None:
    done = mnist(*words.split(), "--config", "missing.yaml", code=3)
    assert "error: missing.yaml: no such file" in done.err


def test_config_init_writes_the_file_that_is_not_there_yet(empty: Path) -> None:
    mnist("config", "init", "--config", "new.yaml")
    assert (empty / "new.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict --split nope", "--split: expected test, validation or train; received 'nope'"),
        ("predict --index -1", "--index: expected 0 or more; received '-1'"),
        ("predict --index x", "--index: expected a whole number; received 'x'"),
        ("train --workers 99", "--workers: expected 64 or less; received '99'"),
        ("show first", "N: expected a whole number; received 'first'"),
        ("show", "N: expected a value; received none"),
        (
            "plot everything",
            "WHAT: expected weights, confusion, calibration, history, mistakes or features; received 'everything'",
        ),
        ("plot", "WHAT: expected weights, confusion, calibration, history, mistakes or features; received none"),
    ],
)
def test_what_typer_refuses_is_told_as_expected_and_received(empty: Path, words: str, message: str) -> None:
    done = mnist(*words.split(), code=2)
    assert done.err.splitlines()[0] == f"error: {message}"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("'nope' is not one of 'a', 'b'.", "--index: expected a or b; received 'nope'"),
        ("'x' is not a valid integer.", "--index: expected a whole number; received 'x'"),
        ("-1 is not in the range x>=0.", "--index: expected a number in x>=0; received -1"),
        ("Value error, something\x1belse", "--index: something\\u001belse"),
    ],
)
def test_the_words_of_other_versions_of_typer_are_understood_too(message: str, told: str) -> None:
    parameter: Any = SimpleNamespace(param_type_name="option", opts=["--index"], get_error_hint=lambda *_: "--index")
    assert refusal(typer.BadParameter(message, param=parameter), [], dict).message == told


def test_a_bug_is_reported_in_a_line_and_with_a_traceback_on_request(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("mnist_cli.config.loading.load_config", fail)
    done = mnist("status", code=1)
    assert done.err.splitlines()[0] == "error: internal error: ZeroDivisionError: a bug"
    done = mnist("status", "--debug", code=1)
    assert "Traceback" in done.err


def test_config_init_check_and_show_agree(empty: Path) -> None:
    mnist("config", "init")
    mnist("config", "check")
    mnist("config", "init", code=2)
    template = Path("pipeline.yaml").read_text(encoding="utf-8")
    assert "# steps: 1000" in template
    done = mnist("config", "show")
    uncommented = re.sub(r"(?m)^( *)# (\w+:.*)", r"\1\2", template)
    assert " ".join(done.out.split()) == " ".join(uncommented.split())


def test_config_show_says_where_each_value_comes_from(empty: Path) -> None:
    Path("pipeline.yaml").write_text("train:\n  steps: 5\n", encoding="utf-8")
    done = mnist("config", "show", "--origin", "--set", "seed=7")
    lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    assert lines["train.steps"] == ["5", "pipeline.yaml:2:10"]
    assert lines["seed"] == ["7", "--set"]
    assert lines["train.batch_size"] == ["100", "default"]


def test_the_schema_is_json_schema_with_the_keys_descriptions(empty: Path) -> None:
    schema = mnist("config", "schema").document
    assert schema["additionalProperties"] is False
    assert schema["properties"]["seed"]["description"]
    assert schema["properties"]["dataset"]["anyOf"][0]["enum"][:2] == ["mnist", "synthetic"]


def commands() -> list[list[str]]:
    stages = [
        ["run"],
        ["fetch"],
        ["preprocess"],
        ["train"],
        ["eval"],
        ["status"],
        ["show"],
        ["predict"],
        ["plot"],
        ["verify"],
    ]
    return [*stages, *(["config", name] for name in ("init", "check", "show", "schema"))]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(words: list[str]) -> None:
    text = mnist(*words, "--help").out
    assert f"Example: mnist {' '.join(words)}" in text


def test_no_command_prints_the_help() -> None:
    done = mnist(code=2)
    assert "Pipeline" in done.out


def test_the_version_is_printed() -> None:
    done = mnist("--version")
    assert done.out.startswith("mnist-cli ")


def test_quiet_prints_nothing(finished: Path) -> None:
    done = mnist("eval", "--split", "train", "-q")
    assert done.out == done.err == ""


def test_hostile_text_in_the_configuration_reaches_no_terminal(empty: Path) -> None:
    Path("pipeline.yaml").write_text('"\\e]0;owned\\a[/x]": 1\n', encoding="utf-8")
    error = mnist("status", code=3).err
    assert "\x1b" not in error
    assert "[/x]" in error


def test_a_path_with_markup_spaces_and_emoji_works(synthetic: Path) -> None:
    odd = synthetic / "a [x] [red] ü 😀\nb"
    (synthetic / "artifacts").rename(odd)
    run_process("status", "--dataset", "synthetic", "--check", "--artifacts", str(odd), cwd=synthetic)


def test_output_to_a_closed_pipe_is_no_error(synthetic: Path) -> None:
    program = f"{sys.executable} -m mnist_cli show 1 | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", program], cwd=synthetic, capture_output=True, text=True, env=environment())
    assert result.stderr == ""
    assert result.returncode in (0, 141)


def test_output_that_cannot_be_written_is_an_error_in_one_line(synthetic: Path) -> None:
    result = run_process("show", "1", cwd=synthetic, output=Path("/dev/full"), code=1)
    assert result.err == "error: standard output: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(synthetic: Path, closed: str) -> None:
    program = f"{sys.executable} -m mnist_cli eval --split train --force {closed}"
    result = subprocess.run(["bash", "-c", program], cwd=synthetic, capture_output=True, text=True, env=environment())
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert json.loads((synthetic / "artifacts/eval/metrics.json").read_text(encoding="utf-8"))["split"] == "train"


def test_help_that_cannot_be_written_is_an_error_in_one_line(empty: Path) -> None:
    result = run_process("--help", cwd=empty, output=Path("/dev/full"), code=1)
    assert result.err == "error: standard output: No space left on device\n"


def test_a_signal_at_any_moment_of_the_start_leaves_no_traceback(synthetic: Path) -> None:
    for milliseconds in range(10, 250, 20):
        number = signal.SIGTERM if milliseconds % 40 == 10 else signal.SIGINT
        with start_process("status", "--dataset", "synthetic", cwd=synthetic) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(milliseconds / 1000)
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
        if "Traceback" in error:  # Python itself was not there yet, which takes longer on a busy machine
            assert process.returncode in (1, -number) and not re.search(
                r'mnist_cli/\S+", line \d+, in (?!<module>)', error
            )
        else:
            assert process.returncode in (0, 128 + number, -number)


def test_forcing_a_training_starts_at_step_0(finished: Path) -> None:
    before = (finished / "artifacts/train/model.h5").read_bytes()
    done = mnist("train", "--force", "--json")
    assert done.document["stages"][0]["metrics"]["resumed_from"] == 0
    assert (finished / "artifacts/train/model.h5").read_bytes() == before


def test_forcing_a_fetch_fetches_again(synthetic: Path) -> None:
    done = mnist("fetch", "--dataset", "synthetic", "--force", "--json")
    assert done.document["stages"][0]["ran"]


def test_the_hint_after_an_interruption_leaves_out_what_would_throw_the_work_away(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise Interrupted(signal.SIGINT, reached="step 300")

    monkeypatch.setattr("mnist_cli.pipeline.overrides.last_overrides", interrupted)
    done = mnist("train", "--steps", "500", "--restart", code=130)
    assert "run 'mnist train --steps 500' to resume from step 300" in done.err


def test_artifacts_that_are_a_file_are_a_usage_error(empty: Path) -> None:
    (empty / "file").write_bytes(b"")
    done = mnist("status", "--artifacts", "file", code=2)
    assert "file: expected a folder for the artifacts; received a file" in done.err


def test_a_read_only_folder_can_be_looked_at(finished: Path) -> None:
    # Root may write anywhere, so what is checked is that nothing tries to.
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    mnist("status")
    mnist("run")
    changed = {path.name for path in finished.rglob("*") if before.get(path) != path.stat().st_mtime_ns}
    assert changed <= {".digests.json", "artifacts"}  # the memory of digests, new because the files were copied


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_with_its_code_and_a_hint(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with start_process("run", "--dataset", "synthetic", "--set", "train.epochs=2000", cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "artifacts/preprocess/manifest.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in error
    assert error.splitlines()[-2].startswith("error: interrupted")
    assert "again" in error.splitlines()[-1]


def test_a_terminal_that_is_closed_ends_a_training_with_a_checkpoint(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        typed = ["run", "--dataset", "synthetic", "--set", "train.epochs=2000"]
        os.execve(COMMAND[0], [*COMMAND, *typed], environment({"CI": "", "TERM": "xterm"}))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("artifacts/train/checkpoints/*/step-*")):
        assert time.monotonic() < deadline
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 1 << 16)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert not list(tmp_path.rglob(".tmp-*"))


def test_the_report_is_written_without_tensorflow(synthetic: Path) -> None:
    assert imported_by(["report", "--quiet"], synthetic).isdisjoint({"tensorflow", "keras", "matplotlib", "requests"})
    assert b"synthetic" in (synthetic / "artifacts" / "report.html").read_bytes()


def test_the_help_lists_every_command_in_a_panel_of_its_kind(empty: Path) -> None:
    text = mnist("--help").out
    panels = [text.index(f" {panel} ") for panel in ("Pipeline", "Look", "Trust", "Configuration")]
    assert " Commands " not in text
    assert text.index(" train ") > panels[0]
    assert panels[1] < text.index(" predict ")
    assert panels[3] < text.index(" config ")


@pytest.mark.usefixtures("synthetic")
def test_after_a_run_a_person_hears_what_to_do_next_and_a_pipe_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    next_steps = "next: 'mnist report --open', 'mnist lesson --open' or 'mnist predict FILE'"
    run = ("run", "--dataset", "synthetic")
    assert next_steps in mnist(*run, terminal=True).err
    assert "next" not in mnist(*run).err
    assert "next" not in mnist(*run, "--to", "train", terminal=True).err


def test_a_second_lesson_is_written_without_tensorflow(synthetic: Path) -> None:
    mnist("lesson", "--quiet")
    assert imported_by(["lesson", "--quiet"], synthetic).isdisjoint({"tensorflow", "keras", "matplotlib", "requests"})


def test_training_alone_beside_named_workers_is_said(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    done = mnist("train", code=5)
    assert "note: TF_CONFIG names 2 workers, but this one trains alone" in done.err
    done = mnist("train", "--strategy", "multiworker", code=5)
    assert "trains alone" not in done.err
