"""The command line as a person or a script meets it: text, JSON, exit codes, signals, pipes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
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

from mnist_cli.cli.app import run_command_line
from mnist_cli.cli.refusal import refusal
from mnist_cli.datasets import DATASETS
from mnist_cli.errors import Interrupted
from tests.support.command_line import imported_by

COMMAND = [sys.executable, "-m", "mnist_cli"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "MNIST_MIRRORS": ""}


def mnist(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120, "env": ENVIRONMENT} | options
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, check=False, **settings)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `mnist run --dataset synthetic` was run once, in a process of its own."""
    folder = tmp_path_factory.mktemp("finished")
    result = mnist("run", "--dataset", "synthetic", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "result.json").write_text(result.stdout, encoding="utf-8")
    return folder


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, as the current folder."""
    folder = tmp_path / "copy"
    shutil.copytree(finished_run, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MNIST_MIRRORS", "")
    return folder


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    read = json.loads(capsys.readouterr().out)
    assert isinstance(read, dict)
    return read


def test_a_synthetic_run_needs_no_network_and_learns(finished_run: Path) -> None:
    result = json.loads((finished_run / "result.json").read_text(encoding="utf-8"))
    assert [stage["stage"] for stage in result["stages"]] == ["fetch", "preprocess", "train", "eval"]
    assert all(stage["ran"] for stage in result["stages"])
    assert 0.8 < result["accuracy"] < 1
    assert len(result["model_digest"]) == 64


def test_a_second_run_does_nothing_and_says_so(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "--dataset", "synthetic"]) == 0
    text = capsys.readouterr().out
    assert "nothing to do: fetch, preprocess, train and eval are fresh" in text
    assert "test accuracy" in text


def test_status_gives_the_reason_old_and_new(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["status", "--dataset", "synthetic", "--set", "train.learning_rate=0.3"]) == 0
    assert "train       stale       train.learning_rate 0.5 → 0.3" in capsys.readouterr().out


def test_status_check_exits_with_4_when_there_is_work(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["status", "--dataset", "synthetic", "--check"]) == 0
    assert run_command_line(["status", "--dataset", "synthetic", "--check", "--seed", "1"]) == 4


def test_status_as_json_has_reasons_with_old_and_new(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command_line(["status", "--dataset", "synthetic", "--set", "eval.split=train", "--json"])
    evaluated = document(capsys)["stages"][3]
    assert evaluated["state"] == "stale"
    assert evaluated["reasons"][0] == {
        "what": "eval.split",
        "old": "test",
        "new": "train",
        "text": "eval.split test → train",
    }


def test_a_dry_run_says_what_would_run_and_does_nothing(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "artifacts/preprocess/manifest.json").read_bytes()
    arguments = ["run", "--dataset", "synthetic", "--validation-size", "100", "--dry-run", "--json"]
    assert run_command_line(arguments) == 0
    assert document(capsys)["would_run"] == ["preprocess", "train", "eval"]
    assert (finished / "artifacts/preprocess/manifest.json").read_bytes() == before


@pytest.mark.parametrize("command", ["run", "train"])
def test_restart_trains_again_what_is_fresh(finished: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    arguments = [command, "--set", "dataset=synthetic", "--restart", "--json"]
    assert run_command_line(arguments) == 0
    stages = document(capsys)["stages"]
    assert [stage["stage"] for stage in stages if stage["ran"]] == ["train"]


def test_a_stage_goes_on_with_what_the_stages_before_were_told(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["eval", "--split", "validation"]) == 0
    captured = capsys.readouterr()
    assert "note: with dataset=synthetic, as in the stages before" in captured.err
    assert "validation accuracy" in captured.out


def test_the_gate_is_checked_also_when_nothing_has_to_run(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["eval", "--min-accuracy", "0.5"]) == 0
    assert run_command_line(["eval", "--min-accuracy", "0.999"]) == 6
    assert "expected at least 0.999; received 0." in capsys.readouterr().err


def test_a_failed_gate_as_json_has_the_metrics_and_the_error(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["eval", "--min-accuracy", "0.999", "--json"]) == 6
    read = document(capsys)
    assert read["error"]["code"] == "gate"
    assert 0.8 < read["accuracy"] < 0.999


def test_show_draws_the_digit_with_its_label_and_ten_bars(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("@" in line for line in lines[:28])
    assert lines[28].startswith("test image 3: label ")
    assert sum(" % " in line or line.endswith(" %") for line in lines[29:]) == 10
    assert lines[-1].startswith("the model says ")


def test_show_as_json_has_pixels_and_probabilities(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", "0", "--split", "train", "--json"]) == 0
    read = document(capsys)
    assert len(read["image"]) == len(read["image"][0]) == 28
    assert sum(read["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_show_beyond_the_last_image_says_how_many_there_are(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", "10000"]) == 2
    assert "expected 0 to 9,999; received 10,000" in capsys.readouterr().err


def test_a_stage_without_its_input_exits_with_5_and_names_the_command(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["train"]) == 5
    error = capsys.readouterr().err
    assert "missing" in error
    assert "hint: run 'mnist fetch'" in error


def test_show_without_a_store_exits_with_5(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", "0"]) == 5
    assert "mnist preprocess" in capsys.readouterr().err


def test_no_reachable_mirror_exits_with_8_and_says_how_to_go_on(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "mnist", dataclasses.replace(DATASETS["mnist"], mirrors=()))
    assert run_command_line(["fetch", "--mirror", "nowhere", "--mirror", "file:///nowhere"]) == 8
    error = capsys.readouterr().err
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
def test_bad_input_is_one_to_four_lines_and_one_document(
    empty: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert run_command_line(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert len(captured.err.splitlines()) <= 4
    assert "Traceback" not in captured.err
    assert run_command_line([*arguments, "--json"]) == code
    assert set(document(capsys)["error"]) >= {"code", "message", "hint"}


@pytest.mark.parametrize("words", ["predict a.png", "plot weights", "runs list", "diff", "show 0", "verify", "report"])
def test_a_configuration_file_that_is_not_there_is_refused_by_every_command(
    empty: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert run_command_line([*words.split(), "--config", "missing.yaml"]) == 3
    assert "error: missing.yaml: there is no such file" in capsys.readouterr().err


def test_config_init_writes_the_file_that_is_not_there_yet(empty: Path) -> None:
    assert run_command_line(["config", "init", "--config", "new.yaml"]) == 0
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
        ("plot everything", "WHAT: expected weights, confusion, history or mistakes; received 'everything'"),
        ("plot", "WHAT: expected weights, confusion, history or mistakes; received none"),
    ],
)
def test_what_typer_refuses_is_told_as_expected_and_received(
    empty: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert run_command_line(words.split()) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"error: {message}"


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
    assert refusal(typer.BadParameter(message, param=parameter)).message == told


def test_a_bug_is_reported_in_a_line_and_with_a_traceback_on_request(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("mnist_cli.config.loading.load_config", fail)
    assert run_command_line(["status"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "error: internal error: ZeroDivisionError: a bug"
    run_command_line(["status", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_config_init_check_and_show_agree(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["config", "init"]) == 0
    assert run_command_line(["config", "check"]) == 0
    assert run_command_line(["config", "init"]) == 2
    capsys.readouterr()
    run_command_line(["config", "show"])
    assert capsys.readouterr().out == Path("pipeline.yaml").read_text(encoding="utf-8")


def test_config_show_says_where_each_value_comes_from(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pipeline.yaml").write_text("train:\n  steps: 5\n", encoding="utf-8")
    run_command_line(["config", "show", "--origin", "--set", "seed=7"])
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["train.steps"] == ["5", "pipeline.yaml:2:10"]
    assert lines["seed"] == ["7", "--set"]
    assert lines["train.batch_size"] == ["100", "default"]


def test_the_schema_is_json_schema_with_the_keys_descriptions(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["config", "schema"]) == 0
    schema = document(capsys)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["seed"]["description"]
    assert schema["properties"]["dataset"]["enum"] == ["mnist", "synthetic"]


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
def test_every_command_has_help_with_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: mnist {' '.join(words)}" in text


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([]) == 2
    assert "Commands" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mnist-cli ")


def test_quiet_prints_nothing(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["eval", "--split", "train", "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_hostile_text_in_the_configuration_reaches_no_terminal(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pipeline.yaml").write_text('"\\e]0;owned\\a[/x]": 1\n', encoding="utf-8")
    assert run_command_line(["status"]) == 3
    error = capsys.readouterr().err
    assert "\x1b" not in error
    assert "[/x]" in error


def test_a_path_with_markup_spaces_and_emoji_works(finished: Path) -> None:
    odd = finished / "a [x] [red] ü 😀\nb"
    (finished / "artifacts").rename(odd)
    result = mnist("status", "--dataset", "synthetic", "--check", "--artifacts", str(odd), cwd=finished)
    assert result.returncode == 0, result.stderr


def test_output_to_a_closed_pipe_is_no_error(finished: Path) -> None:
    program = f"{sys.executable} -m mnist_cli show 1 | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", program], cwd=finished, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.stderr == ""
    assert result.returncode in (0, 141)


def test_output_that_cannot_be_written_is_an_error_in_one_line(finished: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = mnist("show", "1", cwd=finished, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr == "error: standard output: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(finished: Path, closed: str) -> None:
    program = f"{sys.executable} -m mnist_cli eval --split train --force {closed}"
    result = subprocess.run(["bash", "-c", program], cwd=finished, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert json.loads((finished / "artifacts/eval/metrics.json").read_text(encoding="utf-8"))["split"] == "train"


def test_help_that_cannot_be_written_is_an_error_in_one_line(empty: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = mnist("--help", cwd=empty, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr == "error: standard output: No space left on device\n"


def test_a_signal_at_any_moment_of_the_start_leaves_no_traceback(finished: Path) -> None:
    arguments = [*COMMAND, "status", "--dataset", "synthetic"]
    for milliseconds in range(10, 250, 20):
        number = signal.SIGTERM if milliseconds % 40 == 10 else signal.SIGINT
        with subprocess.Popen(
            arguments, cwd=finished, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(milliseconds / 1000)
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
        if "Traceback" in error:  # Python itself was not there yet, which takes longer on a busy machine
            assert process.returncode == 1 and not re.search(r'mnist_cli/\S+", line \d+, in (?!<module>)', error)
        else:
            assert process.returncode in (0, 128 + number, -number)


def test_forcing_a_training_starts_at_step_0(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "artifacts/train/model.h5").read_bytes()
    assert run_command_line(["train", "--force", "--json"]) == 0
    assert document(capsys)["stages"][0]["metrics"]["resumed_from"] == 0
    assert (finished / "artifacts/train/model.h5").read_bytes() == before


def test_forcing_a_fetch_fetches_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["fetch", "--dataset", "synthetic", "--force", "--json"]) == 0
    assert document(capsys)["stages"][0]["ran"]


def test_the_hint_after_an_interruption_leaves_out_what_would_throw_the_work_away(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise Interrupted(signal.SIGINT, reached="step 300")

    monkeypatch.setattr("mnist_cli.pipeline.overrides.kept_overrides", interrupted)
    assert run_command_line(["train", "--steps", "500", "--restart"]) == 130
    assert "run 'mnist train --steps 500' to go on from step 300" in capsys.readouterr().err


def test_artifacts_that_are_a_file_are_a_usage_error(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty / "file").write_bytes(b"")
    assert run_command_line(["status", "--artifacts", "file"]) == 2
    assert "file: expected a folder for the artifacts; received a file" in capsys.readouterr().err


def test_a_read_only_folder_can_be_looked_at(finished: Path) -> None:
    # Root may write anywhere, so what is checked is that nothing tries to.
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert run_command_line(["status", "--dataset", "synthetic"]) == 0
    assert run_command_line(["run", "--dataset", "synthetic"]) == 0
    changed = {path.name for path in finished.rglob("*") if before.get(path) != path.stat().st_mtime_ns}
    assert changed <= {".digests.json", "artifacts"}  # the memory of digests, new because the files were copied


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_its_code_and_a_hint(tmp_path: Path, number: signal.Signals, code: int) -> None:
    arguments = [*COMMAND, "run", "--dataset", "synthetic", "--set", "train.epochs=2000"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
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


def test_the_report_is_written_without_tensorflow(finished: Path) -> None:
    assert imported_by(["report", "--quiet"], finished).isdisjoint({"tensorflow", "keras", "matplotlib", "requests"})
    assert b"synthetic" in (finished / "artifacts" / "report.html").read_bytes()


def test_training_alone_beside_named_workers_is_said(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert run_command_line(["train"]) == 5
    assert "note: TF_CONFIG names 2 workers, and this one trains alone" in capsys.readouterr().err
    run_command_line(["train", "--strategy", "multiworker"])
    assert "trains alone" not in capsys.readouterr().err
