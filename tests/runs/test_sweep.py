"""A sweep: its grid, what its points become, and that stopping it changes nothing but the time it takes."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.config.declarations import Config
from mnist_cli.errors import ConfigError, Interrupted, TrainingDiverged, UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.runner import run
from mnist_cli.progress import SILENT, Progress
from mnist_cli.runs import sweep as sweeps
from mnist_cli.runs.grid import grid, read_axis
from mnist_cli.runs.keeper import RunKeeper
from mnist_cli.runs.names import run_ids
from mnist_cli.runs.runs import read_runs
from mnist_cli.runs.sweep import PointResult, PointState
from mnist_cli.stages import PIPELINE
from tests.support import ROOT
from tests.support.command_line import mnist
from tests.support.data import register_dataset, write_tiny_dataset
from tests.support.sweeping import BASE, points, run_sweep, table

DIVERGING = "train.learning_rate=0.1,1e38"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, ...]]]:
    """The artifacts of a sweep that nothing disturbed, and its table."""
    root = tmp_path_factory.mktemp("calm")
    with pytest.MonkeyPatch.context() as patch:
        write_tiny_dataset(root / "mirror")
        register_dataset(root / "mirror", patch)
        return root / "artifacts", table(run_sweep(root / "artifacts", root / "mirror"))


def refused(*settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        points(*settings)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1,0.3,0.5", (0.1, 0.3, 0.5)),
        ("1e-3", (0.001,)),
        ("100,full", (100, "full")),
        ("", (None,)),
        ("[a, b],[c]", (["a", "b"], ["c"])),
        ("'a, b', c", ("a, b", "c")),
    ],
)
def test_values_are_read_as_in_a_yaml_list(text: str, values: tuple[Any, ...]) -> None:
    assert read_axis("train.learning_rate", text, "--set").values == values


@pytest.mark.parametrize("text", ["[", "a], [b", "'", "{"])
def test_values_that_are_not_a_list_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set train\.steps="):
        read_axis("train.steps", text, "--set")


def test_a_grid_has_every_combination(tiny_mirror: Path) -> None:
    found = [str(point) for point in points("train.learning_rate=0.1,0.5", "train.optimizer=sgd,adam")]
    assert found == [
        "train.learning_rate=0.1 train.optimizer=sgd",
        "train.learning_rate=0.1 train.optimizer=adam",
        "train.learning_rate=0.5 train.optimizer=sgd",
        "train.learning_rate=0.5 train.optimizer=adam",
    ]


def test_equal_trainings_count_once(tiny_mirror: Path) -> None:
    assert [str(point) for point in points("train.learning_rate=0.5,0.50,null")] == ["train.learning_rate=0.5"]


def test_the_mistakes_of_all_points_are_reported_at_once(tiny_mirror: Path) -> None:
    assert refused("train.learning_rate=0.1,-1,x", "train.epocs=1") == [
        "--set: train.epocs: unknown key; did you mean 'train.epochs'?",
        "--set: train.learning_rate: expected a finite number above 0, or null; received -1",
        "--set: train.learning_rate: expected a finite number above 0, or null; received 'x'",
    ]


def test_a_mistake_of_one_combination_says_which(tiny_mirror: Path) -> None:
    (problem,) = refused("train.optimizer=momentum,sgd", "train.momentum=0.9,0.8")
    assert problem.endswith("(first at train.optimizer=sgd train.momentum=0.9)")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "eval.split=test,train",
            "eval.split: expected one value, since a sweep varies only seed, features.* and train.*",
        ),
        (
            "preprocess.validation_size=10,20",
            "preprocess.validation_size: expected one value, since a sweep varies only seed, features.* and train.*",
        ),
        (
            "train.strategy=multiworker",
            "train.strategy: expected single or mirrored, since a sweep trains in one process",
        ),
    ],
)
def test_what_cannot_be_swept_is_refused(tiny_mirror: Path, setting: str, problem: str) -> None:
    assert any(received.startswith(problem) for received in refused(setting))


def test_the_seed_of_digits_that_are_made_from_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed: expected one value, since the data set is made from it"):
        grid(
            PIPELINE,
            [read_axis("dataset", "synthetic", "--dataset"), read_axis("seed", "1,2", "--seed")],
            Path("/dev/null"),
        )


def test_without_a_validation_split_there_is_nothing_to_choose_by(tiny_mirror: Path) -> None:
    (problem,) = refused("preprocess.validation_size=0", "train.learning_rate=0.1,0.5")
    assert "compared on the validation split" in problem


def test_nothing_to_vary_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nothing to vary"):
        grid(PIPELINE, [read_axis("dataset", "synthetic", "--dataset")], None)


def test_points_become_runs_sorted_by_validation_accuracy(calm: tuple[Path, list[tuple[str, ...]]]) -> None:
    root, rows = calm
    runs, damaged = read_runs(Artifacts(root, PIPELINE))
    assert len(rows) == len(runs) == 6
    assert not damaged
    metrics = {run.id: run.train.metrics for run in runs}
    ranks = [(-metrics[row[1]]["validation_accuracy"], metrics[row[1]]["validation_loss"]) for row in rows]
    assert ranks == sorted(ranks)
    assert len({row[2] for row in rows}) == 6


def test_a_sweep_never_looks_at_the_test_split(calm: tuple[Path, list[tuple[str, ...]]]) -> None:
    root, _ = calm
    assert not any(run.evaluations for run in read_runs(Artifacts(root, PIPELINE))[0])
    assert not (root / "eval").exists()


def test_a_sweep_publishes_no_training_and_leaves_no_scratch(calm: tuple[Path, list[tuple[str, ...]]]) -> None:
    root, _ = calm
    assert not (root / "train").exists()
    assert sorted(path.name for path in (root / "runs").iterdir()) == run_ids(root)


def run_all(config: Config, artifacts: Artifacts, mirror: Path) -> list[StageResult]:
    stages, records = tuple(PIPELINE.bind(config)), RunKeeper(artifacts, 100, SILENT)
    return run(records.attached(Request(config, artifacts, {}, stages, mirrors=(str(mirror),))))


def test_what_was_published_stays(tiny_mirror: Path, tmp_path: Path) -> None:
    root, config = tmp_path / "artifacts", points("train.learning_rate=0.2")[0].config
    run_all(config, Artifacts(root, PIPELINE), tiny_mirror)
    before = {path: path.read_bytes() for path in (root / "train").rglob("*") if path.is_file()}
    results = run_sweep(root, tiny_mirror, "train.learning_rate=0.1,0.2")
    assert {path: path.read_bytes() for path in (root / "train").rglob("*") if path.is_file()} == before
    assert sorted(result.state for result in results) == ["kept", "trained"]


def test_a_point_gives_the_bits_of_an_ordinary_training(
    calm: tuple[Path, list[tuple[str, ...]]], tiny_mirror: Path, tmp_path: Path
) -> None:
    config = points("train.learning_rate=0.1", "train.batch_size=5")[0].config
    results = run_all(config, Artifacts(tmp_path / "artifacts", PIPELINE), tiny_mirror)
    manifest = results[2].manifest
    row = next(row for row in calm[1] if row[0] == "train.learning_rate=0.1 train.batch_size=5")
    assert row[1:] == (manifest.key[:8], manifest.metrics["model_digest"])


def test_a_second_sweep_trains_nothing(tiny_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2")
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=None))  # type: ignore[arg-type]
    second = run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2")
    assert table(second) == table(first)
    assert {result.state for result in second} == {PointState.KEPT}


def test_a_damaged_run_is_trained_again(tiny_mirror: Path, tmp_path: Path) -> None:
    first = run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2")
    assert first[0].run is not None
    first[0].run.model_file.write_bytes(b"x")
    second = run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2")
    assert table(second) == table(first)
    assert [result.state for result in second] == ["trained", "kept"]


def test_a_point_that_diverges_is_reported_and_the_others_go_on(tiny_mirror: Path, tmp_path: Path) -> None:
    results = run_sweep(tmp_path / "artifacts", tiny_mirror, DIVERGING, "train.batch_size=5,10")
    assert [result.state for result in results] == ["trained", "trained", "diverged", "diverged"]
    assert "training diverged: W, b or the loss is out of range after step" in str(results[-1].problem)


def test_if_every_point_diverges_the_sweep_fails(tiny_mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="every point diverged"):
        run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=1e38,2e38")


def test_a_sweep_removes_no_run(tiny_mirror: Path, tmp_path: Path) -> None:
    results = run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2,0.3", "keep_runs=1")
    assert len(run_ids(tmp_path / "artifacts")) == len(results) == 3


def test_the_examples_and_functions_of_earlier_points_are_forgotten(tiny_mirror: Path, tmp_path: Path) -> None:
    run_sweep(tmp_path / "artifacts", tiny_mirror, "train.optimizer=sgd,adam", "train.learning_rate=0.01,0.02")
    from mnist_cli.learning.data import TrainingData
    from mnist_cli.learning.loop import TrainingLoop

    # The examples of MNIST take 43 MB on the device. Those of the last point may stay until the next.
    for kind in (TrainingLoop, TrainingData):
        assert sum(isinstance(kept, kind) for kept in gc.get_objects()) <= 1


class Interrupting(Progress):
    """Sends this process a SIGINT once the third point has done some steps."""

    def __init__(self) -> None:
        self.trainings = 0

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.trainings += label == "train"

    def update(self, done: int, detail: str = "") -> None:
        if self.trainings == 3 and done:
            os.kill(os.getpid(), signal.SIGINT)


def test_after_ctrl_c_the_same_sweep_ends_as_if_undisturbed(
    calm: tuple[Path, list[tuple[str, ...]]], tiny_mirror: Path, tmp_path: Path
) -> None:
    done: list[PointResult] = []
    with pytest.raises(Interrupted) as caught:
        run_sweep(tmp_path / "artifacts", tiny_mirror, report=done.append, progress=Interrupting())
    assert caught.value.exit_code == 130
    assert str(caught.value.reached).startswith("point 3 of 6, step ")
    assert len(done) == 2
    results = run_sweep(tmp_path / "artifacts", tiny_mirror)
    assert table(results) == calm[1]
    resumed = [result.run.train.metrics["resumed_from"] for result in results if result.run]
    assert sum(step > 0 for step in resumed) == 1
    assert sum(result.state is PointState.KEPT for result in results) == 2


def test_a_sweep_leaves_the_checkpoints_of_another_that_was_interrupted(
    calm: tuple[Path, list[tuple[str, ...]]], tiny_mirror: Path, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        run_sweep(tmp_path / "artifacts", tiny_mirror, progress=Interrupting())
    run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.2,0.3")
    results = run_sweep(tmp_path / "artifacts", tiny_mirror)
    assert table(results) == calm[1]
    assert sum(result.run.train.metrics["resumed_from"] > 0 for result in results if result.run) == 1
    assert not (tmp_path / "artifacts" / "runs" / ".sweep").exists()


def test_another_sweep_that_was_interrupted_keeps_its_checkpoints(tiny_mirror: Path, tmp_path: Path) -> None:
    left = tmp_path / "artifacts/runs/.sweep/train/checkpoints/0123456789ab/step-00000010"
    left.mkdir(parents=True)
    run_sweep(tmp_path / "artifacts", tiny_mirror, "train.learning_rate=0.1,0.2")
    scratch = tmp_path / "artifacts/runs/.sweep"
    assert [path for path in scratch.rglob("*") if not any(scratch.rglob(f"{path.name}/*"))] == [left]


# TensorFlow is imported once and may be forked as long as it has done nothing. Each child is killed by itself at
# another moment: after so many words of its progress, or between publishing a point and recording it.
KILLS = """
import os, signal, sys
from pathlib import Path
import pytest
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from mnist_cli.runs import recording
from mnist_cli.progress import Progress
from tests.support.data import register_dataset
from tests.support.sweeping import run_sweep, table

root, mirror = Path(sys.argv[1]), Path(sys.argv[2])
register_dataset(mirror, pytest.MonkeyPatch())
import_tensorflow()

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(Progress):
    def __init__(self, words):
        self.words = words

    def update(self, done, detail=""):
        self.words -= 1
        if not self.words:
            die()

def child(words, at_record):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if at_record:
        recording._record_training = die
    try:
        print(*table(run_sweep(root, mirror, progress=Dying(words))), sep="\\n", flush=True)
    finally:
        os._exit(0)

codes = [child(words, at_record) for words, at_record in ((3, False), (14, False), (0, True), (8, False), (0, True))]
print(codes, flush=True)
child(0, False)
"""


@pytest.mark.exhaustive
def test_a_sweep_that_is_killed_again_and_again_ends_as_if_undisturbed(
    calm: tuple[Path, list[tuple[str, ...]]], tiny_mirror: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path / "artifacts"), str(tiny_mirror)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)
    codes, *rows = result.stdout.splitlines()
    assert codes == str([-signal.SIGKILL] * 5), result.stderr
    assert rows == [str(row) for row in calm[1]]


def sweep_command(mirror: Path, folder: Path, *arguments: str) -> list[str]:
    settings = [word for setting in BASE for word in ("--set", setting)]
    return ["sweep", *settings, "--mirror", str(mirror), "--artifacts", str(folder / "artifacts"), *arguments]


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_MIRRORS", "")
    return tmp_path


def test_the_command_prints_the_best_point_first_and_how_to_take_it(tiny_mirror: Path, in_folder: Path) -> None:
    arguments = sweep_command(tiny_mirror, in_folder, "--set", DIVERGING)
    done = mnist(*arguments)
    lines = done.out.splitlines()
    table_start = next(index for index, line in enumerate(lines) if line.startswith("run "))
    assert lines[table_start + 1].split()[1:3] == ["train.learning_rate=0.1", "trained"]
    assert lines[table_start + 2].split()[:3] == ["-", "train.learning_rate=1e+38", "diverged"]
    assert "--set train.learning_rate=0.1" in lines[-1]
    assert "point 1 of 2: train.learning_rate=0.1" in done.err


def test_the_command_as_json_is_one_document(tiny_mirror: Path, in_folder: Path) -> None:
    arguments = sweep_command(tiny_mirror, in_folder, "--set", DIVERGING, "--json")
    document = mnist(*arguments).document
    first, second = document["points"]
    assert first["id"] == document["best"]
    assert first["settings"] == {"train.learning_rate": 0.1}
    assert (first["state"], second["state"]) == ("trained", "diverged")
    assert document["command"].startswith("mnist run --artifacts")


def test_a_dry_run_lists_the_points_and_writes_nothing(
    tiny_mirror: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "sweep", None)
    arguments = sweep_command(tiny_mirror, in_folder, "--set", "train.learning_rate=0.1,0.2", "--dry-run", "--json")
    done = mnist(*arguments)
    assert [point["state"] for point in done.document["points"]] == ["waiting", "waiting"]
    assert not (in_folder / "artifacts").exists()


def test_mistakes_in_the_grid_exit_with_3_before_any_work(tiny_mirror: Path, in_folder: Path) -> None:
    mnist(*sweep_command(tiny_mirror, in_folder, "--set", "train.learning_rate=0.1,-1"), code=3)
    assert not (in_folder / "artifacts").exists()
