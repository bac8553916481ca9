"""Tests of the benchmark harness: its arithmetic, its table and its children; no figure is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.cases import BENCHMARKS, GROUPS
from benchmarks.figures import Row, Spread, Target, costs_of, extra_memory_row, memory_row, time_row
from benchmarks.machine import machine_facts
from benchmarks.measure import BenchmarkError, Entrant, Sample, child_environment, race, run_child
from benchmarks.report import Report
from benchmarks.setting import Data, Result, Setting, find_data
from mnist_cli.datasets import DATASETS, FILE_NAMES
from tests.support import ROOT
from tests.support.benchmark_runner import MEGABYTE, Recorder, samples, setting_of

pytestmark = pytest.mark.exhaustive


def report_of(*rows: Row, failures: dict[str, str] | None = None) -> Report:
    costs = costs_of({"mnist --help": samples(0.1, 0.2, 0.4, peak=30 * MEGABYTE)})
    results = {"help": Result(list(rows), costs)} if rows else {}
    return Report("2026-01-02T03:04:05+00:00", {"cores": 2, "numpy": None}, "mnist", 3, results, failures or {})


# Arithmetic


def test_a_spread_is_the_median_between_the_lowest_and_the_highest() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_a_ratio_is_that_of_the_medians_with_the_lowest_and_highest_turn() -> None:
    row = time_row("what", samples(1.0, 2.0, 6.0), samples(1.0, 4.0, 3.0), None)
    assert row.ratio == Spread(2 / 3, 0.5, 2.0)


def test_a_ratio_is_held_against_its_target_by_the_medians() -> None:
    noisy = time_row("what", samples(1.0, 1.0, 9.0), samples(1.0, 1.0, 1.0), Target(high=1.2))
    slow = time_row("what", samples(2.0, 2.0, 1.0), samples(1.0, 1.0, 1.0), Target(high=1.2))
    assert (noisy.met(), slow.met()) == (True, False)


def test_every_measurement_without_a_peer_has_to_keep_its_target() -> None:
    assert Row("accuracy", "%", Spread(92.0, 91.0, 92.8), target=Target(91.0, 92.8)).met() is True
    assert Row("accuracy", "%", Spread(92.0, 90.9, 92.8), target=Target(91.0, 92.8)).met() is False


def test_a_row_without_a_target_is_neither_met_nor_missed() -> None:
    assert time_row("what", samples(1.0), samples(1.0), None).met() is None


def test_peak_memory_is_reported_in_millions_of_bytes() -> None:
    assert memory_row("what", samples(1.0, peak=150 * MEGABYTE), Target(high=200)).ours == Spread(150, 150, 150)


@pytest.mark.parametrize(
    ("target", "text"),
    [(Target(high=1.2), "≤ 1.2 s"), (Target(low=4), "≥ 4 s"), (Target(91.0, 92.8), "91–92.8 s")],
)
def test_a_target_reads_as_people_write_it(target: Target, text: str) -> None:
    assert target.text("s") == text


def test_memory_above_another_process_is_the_difference_turn_by_turn() -> None:
    ours = [Sample(1.0, 700 * MEGABYTE), Sample(1.0, 720 * MEGABYTE)]
    peer = [Sample(1.0, 600 * MEGABYTE), Sample(1.0, 610 * MEGABYTE)]
    row = extra_memory_row("what", ours, peer, Target(high=105))
    assert (row.ours, row.met()) == (Spread(105, 100, 110), False)


# Taking turns


def test_entrants_take_turns_and_the_first_turn_is_not_counted(tmp_path: Path) -> None:
    run = Recorder()
    taken = race([Entrant("a", ("a",), tmp_path), Entrant("b", ("b",), tmp_path)], repeats=2, run=run)
    assert [argv for argv, _ in run.calls] == [("a",), ("b",)] * 3
    assert {name: [sample.seconds for sample in of] for name, of in taken.items()} == {"a": [3, 5], "b": [4, 6]}


def test_an_entrant_without_a_folder_gets_a_new_one_each_time_that_is_gone_afterwards() -> None:
    run = Recorder()
    race([Entrant("a", ("a",))], repeats=2, run=run)
    folders = {folder for _, folder in run.calls}
    assert len(folders) == 3
    assert not any(folder.exists() for folder in folders)


def test_preparing_happens_before_each_measurement_in_its_folder() -> None:
    run = Recorder()
    race([Entrant("a", ("a",), prepare=lambda folder: run(("prepare",), folder))], repeats=1, run=run)
    assert [argv for argv, _ in run.calls] == [("prepare",), ("a",)] * 2
    assert run.calls[0][1] == run.calls[1][1]


# Children


def test_a_child_is_measured_in_seconds(tmp_path: Path) -> None:
    start = time.perf_counter()
    seconds = run_child((sys.executable, "-S", "-c", "pass"), tmp_path).seconds
    assert 0 < seconds <= time.perf_counter() - start


MEASURE_PEAK = """
import sys, pathlib
from benchmarks.measure import run_child
size, folder = sys.argv[1:]
print(run_child((sys.executable, "-S", "-c", f"b'1' * int({size})"), pathlib.Path(folder)).peak)
"""


def test_a_child_is_measured_by_its_own_peak_memory(tmp_path: Path) -> None:
    # From a small process, as the harness is one: this one may hold TensorFlow, which would count as the child's.
    peaks = [
        int(subprocess.check_output((sys.executable, "-c", MEASURE_PEAK, str(size), str(tmp_path)), cwd=ROOT))
        for size in (1, 100 * MEGABYTE)
    ]
    assert peaks[0] < 60 * MEGABYTE
    assert peaks[1] - peaks[0] == pytest.approx(100 * MEGABYTE, rel=0.2)


def test_a_child_runs_in_its_folder(tmp_path: Path) -> None:
    run_child((sys.executable, "-S", "-c", "open('here', 'w').close()"), tmp_path)
    assert (tmp_path / "here").exists()


def test_what_a_child_prints_is_kept(tmp_path: Path) -> None:
    sample = run_child((sys.executable, "-S", "-c", "print('[1, 2]')"), tmp_path)
    assert sample.document() == [1, 2]


def test_output_that_is_no_document_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match="expected a JSON document; received 'Hello'"):
        Sample(1.0, 1, "Hello").document()


def test_a_child_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="exit code 3: no luck"):
        run_child((sys.executable, "-S", "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"), tmp_path)


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be started"):
        run_child((str(tmp_path / "nothing"),), tmp_path)


def test_a_child_that_hangs_is_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(BenchmarkError, match="exit code -9"):
        run_child((sys.executable, "-S", "-c", "import time; time.sleep(60)"), tmp_path, timeout=0.3)
    assert time.monotonic() - start < 30


def test_children_write_bytecode_and_take_no_option_from_the_environment() -> None:
    environment = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "MNIST_ARTIFACTS": "x", "MNIST_MIRRORS": "y"}
    assert child_environment(environment) == {"PATH": "/bin"}


# The benchmarks


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_gives_rows_and_targets_for_real_data(name: str, tmp_path: Path) -> None:
    result = BENCHMARKS[name](setting_of(tmp_path, Recorder()))
    reported_only = ("training-epochs", "training-workers")
    assert (result.rows[0].target is None) == (name in reported_only)


@pytest.mark.parametrize("name", ["run", "prepare", "accuracy", *GROUPS["training"]])
def test_targets_set_for_mnist_are_not_applied_to_generated_digits(name: str, tmp_path: Path) -> None:
    result = BENCHMARKS[name](setting_of(tmp_path, Recorder(), real=False))
    assert [row.met() for row in result.rows] == [None] * len(result.rows)


def test_accuracy_is_read_from_one_run_per_seed(tmp_path: Path) -> None:
    run = Recorder()
    result = BENCHMARKS["accuracy"](setting_of(tmp_path, run))
    assert [argv[-1] for argv, _ in run.calls] == [f"seed={seed}" for seed in range(5)]
    assert result.rows[0].ours == Spread(92.0, 92.0, 92.0)


def test_a_run_that_leaves_no_accuracy_is_an_error(tmp_path: Path) -> None:
    def run_nothing(argv: Sequence[str], folder: Path) -> Sample:
        return Sample(1.0, 1)

    setting = Setting(Data(tmp_path, real=True), ("mnist",), 1, tmp_path, run_nothing)
    with pytest.raises(BenchmarkError, match=r"no accuracy can be read from metrics\.json"):
        BENCHMARKS["accuracy"](setting)


# The data


@pytest.fixture
def folder_like_mnist(tmp_path: Path) -> Path:
    folder = tmp_path / "like mnist"
    folder.mkdir()
    for file in DATASETS["mnist"].files.values():
        with (folder / file.name).open("wb") as stream:
            os.truncate(stream.fileno(), file.size)  # sparse: only the sizes are looked at
    return folder


def test_the_folder_that_was_named_is_used(folder_like_mnist: Path) -> None:
    assert find_data(folder_like_mnist, "") == Data(folder_like_mnist, real=True)


def test_the_first_usable_folder_among_the_mirrors_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    for file in DATASETS["mnist"].files.values():
        (folder / file.name).touch()
        os.truncate(folder / file.name, file.size)
    assert find_data(None, f"https://example.org/mnist/ {tmp_path} {folder}") == Data(folder, real=True)


def test_without_any_folder_there_is_no_data() -> None:
    assert find_data(None, "https://example.org/mnist/") is None


def test_a_named_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAMES["train-images"]).write_bytes(b"too short")
    with pytest.raises(BenchmarkError, match="does not hold the four MNIST files"):
        find_data(tmp_path, "")


# The report


def test_notes_stand_below_the_tables_and_in_the_document() -> None:
    result = Result([memory_row("what", samples(1.0), None)], [], ("PyTorch 2.0",))
    report = Report("2026-01-02", {}, "mnist", 1, {"training-loop": result}, {})
    assert "\n\ntraining-loop: PyTorch 2.0\n\n" in report.markdown()
    assert report.document()["notes"] == {"training-loop": ["PyTorch 2.0"]}


def test_what_processes_print_is_not_kept_in_the_document() -> None:
    result = Result([], costs_of({"loop": [Sample(1.0, 2, "words")]}))
    report = Report("2026-01-02", {}, "mnist", 1, {"training-loop": result}, {})
    assert "words" not in json.dumps(report.document())


def test_the_table_shows_both_sides_the_ratio_the_target_and_the_verdict() -> None:
    row = time_row("help / peer", samples(0.1, 0.2, 0.4), samples(0.2, 0.2, 0.2), Target(high=1.2))
    assert (
        "| what | ours | peer | ratio | target | met? |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| help / peer | 0.200 s (0.100–0.400) | 0.200 s | 1.00 (0.50–2.00) | ≤ 1.2 | yes |\n"
    ) in report_of(row).markdown()


def test_the_table_leaves_out_what_a_row_does_not_have() -> None:
    row = Row("accuracy", "%", Spread(92.0, 91.5, 92.5), target=Target(91.0, 92.8))
    assert "| accuracy | 92.00 % (91.50–92.50) | – | – | 91–92.8 % | yes |" in report_of(row).markdown()


def test_the_second_table_shows_time_and_peak_memory_of_each_process() -> None:
    markdown = report_of(memory_row("what", samples(1.0), None)).markdown()
    assert "| mnist --help | 0.200 s (0.100–0.400) | 30 MB |" in markdown


def test_a_failure_is_told_below_the_table() -> None:
    assert "**run failed**: exit code 8" in report_of(failures={"run": "exit code 8"}).markdown()


def test_the_json_document_holds_every_sample_the_verdicts_and_the_machine(tmp_path: Path) -> None:
    report = report_of(memory_row("what", samples(1.0), Target(high=200)))
    report.write(tmp_path / "new" / "folder")
    document = json.loads((tmp_path / "new" / "folder" / "results.json").read_text())
    assert document["machine"]["cores"] == 2
    assert document["rows"][0]["met"] is True
    assert [sample["seconds"] for sample in document["processes"][0]["samples"]] == [0.1, 0.2, 0.4]
    assert (tmp_path / "new" / "folder" / "results.md").read_text() == report.markdown()


def test_the_machine_is_described_without_importing_the_packages() -> None:
    facts = machine_facts()
    assert isinstance(facts["cores"], int)
    assert {"cpu", "python", "tensorflow", "h5py", "numpy"} <= facts.keys()


# The program


def test_a_group_names_all_its_benchmarks(
    tmp_path: Path, folder_like_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "run_child", Recorder())
    arguments = ["--only", "training", "--repeats", "1", "--mirror", str(folder_like_mnist), "--output", str(tmp_path)]
    assert program.main(arguments) == 0
    measured = {row["benchmark"] for row in json.loads((tmp_path / "results.json").read_text())["rows"]}
    assert measured == set(GROUPS["training"]) == {name for name in BENCHMARKS if "training" in name}


def test_the_program_measures_what_was_chosen_and_writes_both_files(
    tmp_path: Path, folder_like_mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "run_child", Recorder())
    output = tmp_path / "out"
    arguments = ["--only", "help", "--repeats", "1", "--mirror", str(folder_like_mnist), "--output", str(output)]
    assert program.main(arguments) == 0
    assert capsys.readouterr().out == (output / "results.md").read_text()
    assert [row["benchmark"] for row in json.loads((output / "results.json").read_text())["rows"]] == ["help"]


def test_one_failing_benchmark_does_not_keep_the_others_from_being_measured(
    tmp_path: Path, folder_like_mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder()

    def run(argv: Sequence[str], folder: Path) -> Sample:
        if "import tensorflow" in argv:
            raise BenchmarkError("no TensorFlow here")
        return recorder(argv, folder)

    monkeypatch.setattr(program, "run_child", run)
    names = ["--only", "run", "--only", "help"]
    assert program.main([*names, "--mirror", str(folder_like_mnist), "--output", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "**run failed**: no TensorFlow here" in printed.out
    assert "Typer program --help" in printed.out


def test_a_number_of_repeats_below_one_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(["--repeats", "0"])
    assert caught.value.code == 2
    assert "expected a whole number of 1 or more; received '0'" in capsys.readouterr().err
