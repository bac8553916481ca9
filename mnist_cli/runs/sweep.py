"""Trains the points of a grid one after the other in one process; each becomes a run.

A point is trained by the same runner as every training, but into `artifacts/runs/.sweep/`: what `artifacts/train` has
stays as it is. A point whose run is kept already is not trained again, and one that was interrupted goes on from its
checkpoint; so the same command goes on where a sweep was stopped, however that happened.

Nothing is evaluated on the test split: a number that nobody has seen cannot be chosen by.
"""

from __future__ import annotations

import contextlib
import gc
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from mnist_cli import files
from mnist_cli.errors import Interrupted, TrainingDiverged
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import StageStatus, changes, examine_all
from mnist_cli.pipeline.registry import STAGES
from mnist_cli.pipeline.request import Request
from mnist_cli.pipeline.runner import run_locked
from mnist_cli.runs.grid import Point
from mnist_cli.runs.names import FOLDER, ID_DIGITS, is_recorded, run_id
from mnist_cli.runs.recording import record
from mnist_cli.runs.runs import Run, read_run, read_runs

_SCRATCH = ".sweep"
_ALL_RUNS = 10**9  # a sweep prunes nothing: it would begin with its own points
_LEFTOVERS = 16  # points of other sweeps that were interrupted; each leaves one, of a few checkpoints


class PointState(StrEnum):
    """What became of a point."""

    TRAINED = "trained"  # just now
    KEPT = "kept"  # before; its run is there
    DIVERGED = "diverged"  # it has no run
    WAITING = "waiting"  # it would be trained


@dataclass(frozen=True)
class PointResult:
    """One point of a sweep.

    Attributes:
        point: its values.
        state: what became of it.
        run: its run, where it has one.
        problem: why it has none, where training it failed.
    """

    point: Point
    state: PointState
    run: Run | None = None
    problem: str | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """What points are sorted by: validation accuracy, highest first, then validation loss, lowest first."""
        metrics = self.run.train.metrics if self.run else {}
        accuracy, loss = metrics.get("validation_accuracy"), metrics.get("validation_loss")
        return (math.inf if accuracy is None else -accuracy, math.inf if loss is None else loss)


def look(request: Request, points: Iterable[Point]) -> list[PointResult]:
    """Tell which points are kept already and which would be trained; nothing is written."""
    statuses = examine_all(request.config, request.artifacts, DigestCache(request.artifacts.root))
    runs = read_runs(request.artifacts.root)[0]
    found = [(point, _find(point, runs, statuses)) for point in points]
    return [PointResult(point, PointState.KEPT if run else PointState.WAITING, run) for point, run in found]


def sweep(request: Request, points: list[Point], told: Callable[[PointResult], None]) -> list[PointResult]:
    """Train every point that has no run yet.

    Args:
        request: with the configuration of the first point, of which the data counts; `stages` and `force` do not.
        points: of the grid.
        told: called with each result as soon as it is there.

    Returns:
        One result for each point, the best first; points that are equal on the validation split in their order.

    Raises:
        TrainingDiverged: all points diverged.
        Interrupted: SIGINT or SIGTERM; the next call goes on from there.
        Locked: another run is at work in the folder.
        MnistError: the data cannot be had, or a point failed for another reason than that it diverged.
        OSError: a file cannot be written.
    """
    artifacts = request.artifacts
    scratch = artifacts.root / FOLDER / _SCRATCH
    results: list[PointResult] = []
    with locked(artifacts.root, request.command, request.wait):
        run_locked(replace(request, stages=("fetch", "preprocess"), force=False))
        for done, result in enumerate(look(request, points)):
            try:
                results.append(result if result.run else _train(request, result.point, scratch))
            except Interrupted as error:
                step = f", {error.reached}" if error.reached else ""
                error.reached = f"point {done + 1} of {len(points)}{step}"
                raise
            told(results[-1])
        _tidy(scratch, points)
    if all(result.state is PointState.DIVERGED for result in results):
        raise TrainingDiverged(
            f"every point diverged; the first: {results[0].problem}", hint="try smaller learning rates"
        )
    return sorted(results, key=lambda result: result.rank)


def _find(point: Point, runs: list[Run], statuses: dict[str, StageStatus]) -> Run | None:
    """Return the run that training this point would give again, by the rule that tells whether a stage is fresh."""
    if not statuses["preprocess"].fresh:
        return None
    stage = STAGES["train"]
    return next((run for run in reversed(runs) if not any(changes(stage, run.train, point.config, statuses))), None)


def _train(request: Request, point: Point, scratch: Path) -> PointResult:
    """Train one point in a folder of its own, which is gone once its run is recorded."""
    folder = _folder(scratch, point)
    elsewhere = Artifacts(request.artifacts.root, {"train": folder})
    # In the folder that goes neither checkpoints of the end nor event files are of use.
    train = point.config.train.model_copy(update={"keep_checkpoints": 0, "tensorboard": False})
    config = point.config.model_copy(update={"train": train, "keep_runs": _ALL_RUNS})
    job = replace(
        request, config=config, artifacts=elsewhere, overrides=point.overrides, stages=("train",), force=False
    )
    try:
        trained = run_locked(replace(job, started=_silent, finished=_silent))[0]
    except TrainingDiverged as error:
        shutil.rmtree(folder, ignore_errors=True)
        return PointResult(point, PointState.DIVERGED, problem=error.message.splitlines()[0])
    finally:
        gc.collect()  # TensorFlow's graphs of this point go in circles: without this, memory grows from point to point
    manifest = trained.manifest
    # A sweep may have been killed between publishing and recording; and here a record that fails is an error.
    if not trained.ran or not is_recorded(elsewhere.root, manifest, manifest):
        record(elsewhere, manifest, _ALL_RUNS)
    shutil.rmtree(folder, ignore_errors=True)
    return PointResult(point, PointState.TRAINED, read_run(elsewhere.root, run_id(manifest.key)))


def _folder(scratch: Path, point: Point) -> Path:
    """Return where a point is trained, whichever sweep it is of."""
    return scratch / files.document_digest(STAGES["train"].parameters(point.config))[:ID_DIGITS]


def _tidy(scratch: Path, points: Iterable[Point]) -> None:
    """Remove what is left of these points; other sweeps, which were interrupted, go on from what they left.

    Of those the latest stay, so that sweeps that nobody takes up again do not fill the disk.
    """
    for point in points:
        shutil.rmtree(_folder(scratch, point), ignore_errors=True)
    with contextlib.suppress(OSError):
        latest_first = sorted(scratch.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in latest_first[_LEFTOVERS:]:
            shutil.rmtree(old, ignore_errors=True)
        scratch.rmdir()  # where nothing is left


def _silent(_: object) -> None:
    """Tell nothing: the sweep tells of the point."""
