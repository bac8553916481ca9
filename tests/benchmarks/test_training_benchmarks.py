"""Tests of the training benchmarks: their rows, from injected runners, and their programs on a small problem."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.cases import BENCHMARKS
from benchmarks.figures import Target
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.peers import mnist_files, timed_loop
from benchmarks.peers.mnist_files import VALIDATION_SIZE, Order, Split, training_split
from benchmarks.peers.timed_loop import Parameters
from benchmarks.programs import first_step, training_loop
from mnist_cli.maps import order
from tests.support import ROOT, exact, reference
from tests.support.benchmark_runner import PARTS, Recorder, output_of, setting_of
from tests.support.data import tiny_examples, write_small_store, write_tiny_dataset

pytestmark = pytest.mark.exhaustive


def run_only(argv: Sequence[str], *, named: str, output: str) -> Sample:
    return Sample(1.0, 1, output if any(named in argument for argument in argv) else output_of(argv, 1.0))


def test_the_loops_are_compared_by_examples_per_second_of_the_median_loop(tmp_path: Path) -> None:
    result = BENCHMARKS["training-loop"](setting_of(tmp_path, Recorder()))
    assert [row.target for row in result.rows] == [Target(low=low) for low in (0.33, 1.5, 4.0, 6.0, 1.2)]
    first = result.rows[0]
    # Six entrants a turn, after two other calls and a turn to warm up: ours are the calls 9 and 15.
    assert first.ours.high == pytest.approx(100_000 / 9)
    assert first.ratio is not None
    assert first.ratio.high == pytest.approx(10 / 9)


def test_only_the_peer_in_pytorch_runs_on_the_interpreter_that_was_named_for_it(tmp_path: Path) -> None:
    run = Recorder()
    BENCHMARKS["training-loop"](setting_of(tmp_path, run))
    assert {argv[2] for argv, _ in run.calls if argv[0] == "torch-python"} >= {"benchmarks.peers.loop_torch"}
    assert {argv[0] for argv, _ in run.calls if "benchmarks.peers.loop_numpy" in argv} == {sys.executable}


def test_without_pytorch_its_loop_is_left_out_with_a_word_why(tmp_path: Path) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        if "import numpy, torch" in argv[-1]:
            raise BenchmarkError("python: exit code 1: ModuleNotFoundError: No module named 'torch'")
        return Sample(1.0, 1, output_of(argv, 1.0))

    result = BENCHMARKS["training-loop"](setting_of(tmp_path, run))
    assert len(result.rows) == 4
    assert "left out (No module named 'torch'); --torch-python names" in result.notes[0]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            '{"examples": 1, "seconds": [1.0], "accuracy": 0.098}',
            r"expected a test accuracy from 90% on; received 9.80%",
        ),
        ('{"examples": 1, "seconds": [1.0], "accuracy": NaN}', r"received nan%"),
        ('{"examples": 1, "seconds": [0.0], "accuracy": 0.92}', r"no examples per second can be read"),
        ("[]", r"no examples per second can be read"),
    ],
)
def test_a_loop_that_learned_or_told_nothing_is_an_error(tmp_path: Path, output: str, message: str) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return run_only(argv, named="loop_keras", output=output)

    with pytest.raises(BenchmarkError, match=message):
        BENCHMARKS["training-loop"](setting_of(tmp_path, run))


def test_the_time_of_fifty_epochs_is_split_as_the_run_tells_and_the_rest_is_named(tmp_path: Path) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return Sample(9.05, 1, output_of(argv, 9.05))

    rows = BENCHMARKS["training-epochs"](setting_of(tmp_path, run)).rows
    assert {row.what.removeprefix("… of it "): row.ours.median for row in rows[1:-1]} == PARTS
    assert rows[-1].ours.median == pytest.approx(1.0)


def test_checkpoints_are_compared_on_runs_that_differ_in_nothing_else(tmp_path: Path) -> None:
    run = Recorder()
    BENCHMARKS["training-checkpoints"](setting_of(tmp_path, run))
    often, never = (argv for argv, _ in run.calls[1:3])
    assert often[:-1] == never[:-1]
    assert (often[-1], never[-1]) == ("train.checkpoint_every=100", "train.checkpoint_every=1000000000")


def test_each_training_run_starts_without_what_the_one_before_left(tmp_path: Path) -> None:
    found: list[bool] = []

    def run(argv: Sequence[str], folder: Path) -> Sample:
        if "train" in argv:
            train = folder / "artifacts" / "train"
            found.append(train.exists())
            train.mkdir(parents=True)
        return Sample(1.0, 1, output_of(argv, 1.0))

    BENCHMARKS["training-memory"](setting_of(tmp_path, run))
    assert found == [False] * 3


def test_a_training_run_that_does_not_tell_its_times_is_an_error(tmp_path: Path) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return Sample(1.0, 1, '{"stages": []}')

    with pytest.raises(BenchmarkError, match="mnist train: no seconds can be read"):
        BENCHMARKS["training-epochs"](setting_of(tmp_path, run))


def test_two_workers_are_compared_by_steps_and_an_all_reduce_is_told_alone_and_within_a_step(tmp_path: Path) -> None:
    steps, alone, beyond = BENCHMARKS["training-workers"](setting_of(tmp_path, Recorder())).rows
    assert steps.peer is not None and steps.ratio is not None
    assert (steps.ours.median, steps.peer.median, steps.ratio.median) == pytest.approx((500, 1000, 0.5))
    assert (alone.ours.text(alone.unit), beyond.ours.text(beyond.unit)) == ("1,250 µs", "1,500 µs")


def test_workers_that_do_not_tell_their_times_are_an_error(tmp_path: Path) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return run_only(argv, named="workers", output='{"one": 1}')

    with pytest.raises(BenchmarkError, match="workers: no seconds can be read: KeyError"):
        BENCHMARKS["training-workers"](setting_of(tmp_path, run))


# The programs, on a small problem


@pytest.fixture
def tiny_mnist(tmp_path: Path) -> Path:
    write_tiny_dataset(tmp_path / "tiny", train=VALIDATION_SIZE + 150, test=50)
    return tmp_path / "tiny"


def test_peers_read_the_training_images_after_those_for_validation(tiny_mnist: Path) -> None:
    images, labels = tiny_examples(VALIDATION_SIZE + 150, 0)
    split = training_split(tiny_mnist)
    assert np.array_equal(split.pixels, images[VALIDATION_SIZE:].reshape(150, 784))
    assert np.array_equal(split.labels, labels[VALIDATION_SIZE:])
    assert split.inputs().dtype == np.float32
    assert len(mnist_files.test_split(tiny_mnist).labels) == 50


def test_peers_visit_every_example_once_in_an_epoch() -> None:
    peer_order = Order(30)
    rows = np.concatenate([peer_order.next(20) for _ in range(3)])
    assert sorted(rows[:30]) == sorted(rows[30:]) == list(range(30))


def loops_of(module: Any, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Parameters]]:
    """Let the module's `main` hand over its loop instead of timing it."""
    loops: list[Callable[[], Parameters]] = []
    monkeypatch.setattr(module, "report", lambda loop, test: loops.append(loop))
    return loops


@pytest.mark.parametrize("name", ["loop_numpy", "loop_tensorflow"])
def test_peers_do_the_arithmetic_of_the_reference(name: str, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SameOrder:
        def __init__(self, count: int) -> None:
            self.batches = iter(exact.batches(seed=0, count=count, batch=100, steps=20))

        def next(self, size: int) -> npt.NDArray[np.int64]:
            return next(self.batches)

    module = importlib.import_module(f"benchmarks.peers.{name}")
    monkeypatch.setattr(module, "STEPS", 20)
    monkeypatch.setattr(module, "Order", SameOrder)
    loops = loops_of(module, monkeypatch)
    module.main(tiny_mnist)
    weights, bias = loops[0]()
    train = training_split(tiny_mnist)
    expected, expected_bias, _ = reference.train(train.pixels, train.labels, steps=20, batch=100, rate=0.5, seed=0)
    assert np.abs(weights - expected).max() < 1e-5
    assert np.abs(bias - expected_bias).max() < 1e-5


def test_our_loop_is_timed_with_a_new_order_each_time(tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write_small_store(tiny_mnist / "store.h5")
    loops = loops_of(training_loop, monkeypatch)
    monkeypatch.setattr(training_loop, "STEPS", 20)
    seeds: list[int] = []

    def rows_at(seed: int, *position: int) -> npt.NDArray[np.int32]:
        seeds.append(seed)
        return order.rows_at(seed, *position)

    monkeypatch.setattr(training_loop, "rows_at", rows_at)
    training_loop.main(store, tiny_mnist)
    loops[0](), loops[0]()
    assert seeds == [0, 1]


def test_the_first_step_is_timed_within_the_train_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_step.main(str(write_small_store(tmp_path / "store.h5")))
    document = json.loads(capsys.readouterr().out)
    assert 0 < document["parts"]["compile"] < document["seconds"] < 60


def test_one_process_and_two_workers_tell_the_seconds_of_a_step(tmp_path: Path) -> None:
    store = write_small_store(tmp_path / "store.h5")
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.programs.workers", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"one", "half", "two", "all_reduce"}
    assert all(0 < seconds < 1 for seconds in document.values())


def test_a_loop_reports_its_times_without_the_first_and_the_accuracy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def loop() -> Parameters:
        calls.append(1)
        return np.zeros((784, 10)), np.eye(10)[3]

    monkeypatch.setattr(timed_loop, "_SECONDS", 0.0)
    timed_loop.report(loop, Split(np.zeros((4, 784), np.uint8), np.array([3, 3, 3, 1], np.uint8)), examples=7)
    document = json.loads(capsys.readouterr().out)
    assert (len(calls), len(document["seconds"]), document["examples"], document["accuracy"]) == (4, 3, 7, 0.75)
