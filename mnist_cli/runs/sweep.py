"""Trains the points of a grid one after the other in one process; each becomes a run.

The usual runner trains a point, but into `artifacts/runs/.sweep/`, so `artifacts/train` stays unchanged. A point whose
run is already kept is not trained again, and an interrupted point resumes from its checkpoint. So the same command
continues a sweep, however it was stopped. Stages before the training that differ between points run there too.

Nothing is evaluated on the test split, so that nobody can choose a point by its test accuracy.
"""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mnist_cli import files
from mnist_cli.errors import Interrupted, TrainingDiverged
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import NAME
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import examine_all
from mnist_cli.pipeline.request import Request
from mnist_cli.pipeline.runner import run_locked
from mnist_cli.runs.grid import Point, swept_stages
from mnist_cli.runs.names import FOLDER, run_id
from mnist_cli.runs.recording import record
from mnist_cli.runs.reuse import same_run
from mnist_cli.runs.runs import Run, read_run, read_runs
from mnist_cli.stages.stage import MODEL, upstream

_SCRATCH = ".sweep"


class PointState(StrEnum):
    """The outcome of a point."""

    TRAINED = "trained"  # in this sweep
    KEPT = "kept"  # earlier; its run is there
    DIVERGED = "diverged"  # so it has no run
    WAITING = "waiting"  # would be trained


@dataclass(frozen=True)
class PointResult:
    """One point of a sweep.

    Attributes:
        point: its values.
        state: its outcome.
        run: its run, if it has one.
        problem: why training failed, if it did.
    """

    point: Point
    state: PointState
    run: Run | None = None
    problem: str | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """The sort key: validation accuracy, highest first, then validation loss, lowest first."""
        metrics = self.run.train.metrics if self.run else {}
        accuracy, loss = metrics.get("validation_accuracy"), metrics.get("validation_loss")
        return (math.inf if accuracy is None else -accuracy, math.inf if loss is None else loss)


def look(request: Request, points: list[Point]) -> list[PointResult]:
    """Return which points are already kept and which would be trained; write nothing."""
    runs = read_runs(request.artifacts)[0]
    found = [(point, _find(point, runs, _place(request, points))) for point in points]
    return [PointResult(point, PointState.KEPT if run else PointState.WAITING, run) for point, run in found]


def sweep(request: Request, points: list[Point], report: Callable[[PointResult], None]) -> list[PointResult]:
    """Train every point that has no run yet.

    Args:
        request: a request with the configuration of the first point, which decides the data; its `stages` and `force`
            are ignored.
        points: the points of the grid.
        report: called with each result as soon as it is known.

    Returns:
        One result for each point, the best first; points that are equal on the validation split stay in their order.

    Raises:
        TrainingDiverged: all points diverged.
        Interrupted: on SIGINT or SIGTERM; the next call resumes from there.
        Locked: another run is in progress in the folder.
        InputError: a folder of the points is a link.
        MnistError: the data are missing, or a point failed other than by diverging.
        OSError: a file cannot be written.
    """
    place = _place(request, points)
    results: list[PointResult] = []
    with locked(place.root, request.command, request.wait):
        bound = place.pipeline.bind(points[0].config)
        for folder in place.elsewhere.values():
            files.refuse_links(folder, place.root)
        shared = [name for name in upstream(bound, [_trainer(place)]) if name not in place.elsewhere]
        run_locked(replace(request, stages=tuple(shared), force=False))
        for done, point in enumerate(points):
            try:
                results.append(_point(request, point, place))
            except Interrupted as error:
                step = f", {error.reached}" if error.reached else ""
                error.reached = f"point {done + 1} of {len(points)}{step}"
                raise
            report(results[-1])
        _tidy(place)
    if all(result.state is PointState.DIVERGED for result in results):
        raise TrainingDiverged(
            f"every point diverged; the first: {results[0].problem}", hint="try smaller learning rates"
        )
    return sorted(results, key=lambda result: result.rank)


def _trainer(artifacts: Artifacts) -> str:
    return artifacts.pipeline.maker(MODEL).name


def _place(request: Request, points: list[Point]) -> Artifacts:
    """Return the artifacts of the points: the training, and stages that differ between points, in a separate folder."""
    artifacts = request.artifacts
    swept = swept_stages(artifacts.pipeline)
    given = [[artifacts.pipeline.stages[name].parameters(point.config) for point in points] for name in swept[:-1]]
    differing = [any(each != of_stage[0] for each in of_stage) for of_stage in given]
    first = differing.index(True) if True in differing else len(swept) - 1
    scratch = artifacts.root / FOLDER / _SCRATCH
    return replace(artifacts, elsewhere={name: scratch / name for name in swept[first:]})


def _find(point: Point, runs: list[Run], place: Artifacts) -> Run | None:
    """Return the run that training this point would give again, by the planner's rule."""
    bound = place.pipeline.bind(point.config)[_trainer(place)]
    return same_run(bound, point.config, examine_all(point.config, place), runs)


def _point(request: Request, point: Point, place: Artifacts) -> PointResult:
    """Train one point, unless its run is already kept."""
    values: dict[str, Any] = {}
    for name in place.elsewhere:
        values |= place.pipeline.stages[name].in_sweep
    bound, trainer = place.pipeline.bind(point.config), _trainer(place)
    job = replace(
        request,
        config=point.config.replaced(values),
        artifacts=place,
        overrides=point.overrides,
        force=False,
        started=_silent,
        finished=_silent,
        # A point is recorded below, and not taken from a run: the kept runs were already searched.
        reuse=lambda _bound, _statuses: None,
        published=_silent,
        settled=_silent,
    )
    if before := tuple(name for name in bound if name in place.elsewhere and name != trainer):
        run_locked(replace(job, stages=before))
    if kept := _find(point, read_runs(place)[0], place):
        return PointResult(point, PointState.KEPT, kept)
    try:
        trained = run_locked(replace(job, stages=(trainer,)))[0]
    except TrainingDiverged as error:
        return PointResult(point, PointState.DIVERGED, problem=error.message.splitlines()[0])
    finally:
        gc.collect()  # TensorFlow's graphs have reference cycles: without this, memory grows with every point
    record(place, trained.manifest)  # in a sweep, failing to record is an error
    return PointResult(point, PointState.TRAINED, read_run(place, run_id(trained.manifest.key)))


def _tidy(place: Artifacts) -> None:
    """Remove what the points published; keep checkpoints, from which an interrupted sweep resumes."""
    for name, folder in place.elsewhere.items():
        scratch = place.pipeline.stages[name].scratch
        place.discard(name)
        for published in (*place.pipeline.stages[name].outputs, NAME):
            files.remove(folder / published, place.root)
        for empty in (folder / scratch, folder, folder.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _silent(_: object) -> None:
    """Do nothing; the sweep itself reports the point."""
