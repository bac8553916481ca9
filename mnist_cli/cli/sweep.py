"""`mnist sweep`: a grid of trainings in one process."""

from __future__ import annotations

import gc
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag
from mnist_cli.cli.running import Mirror, Wait, make_request
from mnist_cli.cli.session import Session
from mnist_cli.stages.stage import MODEL
from mnist_cli.text import percent, plural, printable, short

if TYPE_CHECKING:
    from mnist_cli.runs.grid import Point
    from mnist_cli.runs.sweep import PointResult
    from mnist_cli.stages.stage import Pipeline

_COLOURS = {"trained": "green", "kept": "cyan", "waiting": "yellow", "diverged": "red"}


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    up_to_model = itertools.takewhile(lambda name: name != pipeline.maker(MODEL).name, pipeline.stages)
    sections = {"", *up_to_model, pipeline.maker(MODEL).name}
    declared = pipeline.declarations.keys.items()
    keys = [path for path, key in declared if key.option is not None and path.rpartition(".")[0] in sections]
    command(app, pipeline, "sweep", keys=keys)(sweep)


def sweep(
    session: Session,
    *,
    dry_run: Annotated[bool, flag("--dry-run", help="Print which points would be trained; train nothing.")] = False,
    mirror: Mirror = None,
    wait: Wait = 0,
) -> None:
    """Train every combination of several values, and compare them on the validation split.

    Separate the values of a key with commas. Each point becomes a run (see 'mnist runs'); artifacts/train does not
    change. A point that is already kept is not trained again, so the same command continues a stopped sweep. The test
    split is never used: it is for the point that you choose.

    Example: mnist sweep --set train.learning_rate=0.1,0.3,0.5 --set train.batch_size=50,100
    """
    from mnist_cli.config.loading import LoadedConfig
    from mnist_cli.runs import sweep as pipeline
    from mnist_cli.runs.grid import grid

    axes, mistakes = session.axes()
    points = grid(session.pipeline, axes, session.config_file, mistakes, session.digest_of)
    first = LoadedConfig(points[0].config, {}, points[0].overrides, None)
    request = make_request(session, first, (), mirror=mirror, wait=wait)
    print_result = request.finished
    request = replace(request, finished=lambda result: print_result(result) if result.ran else None)
    if dry_run:
        results = pipeline.look(request, points)
        _print_table(session, results)
        return
    reported: list[PointResult] = []

    def tell(result: PointResult) -> None:
        reported.append(result)
        session.output.append("points", _document(result))
        session.output.note(f"point {len(reported)} of {len(points)}: {result.point}: {_outcome(result)}")

    gc.freeze()  # the objects made at start-up stay; see mnist_cli/__main__.py
    gc.enable()
    try:
        results = pipeline.sweep(request, points, tell)
    finally:
        request.progress.finish()
    _print_table(session, results)
    _print_how_to_go_on(session, results)
    keep = points[0].config.value("keep_runs")
    if len(points) > keep:
        words = session.following("'mnist runs prune' removes the oldest of these runs")
        session.output.note(f"keep_runs is {keep}: {words}")


def _print_table(session: Session, results: list[PointResult]) -> None:
    width = max(len(str(result.point)) for result in results)
    session.output.columns(("run", 9), ("point", width), ("state", 9), ("validation accuracy and loss", 0))
    for result in results:
        run = result.run.id if result.run else "-"
        loss = result.run.train.metrics.get("validation_loss") if result.run else None
        outcome = _outcome(result) + (f"  {short(loss)}" if loss is not None else "")
        outcome = "" if outcome == "waiting" else outcome
        state = (result.state.value, 9, _COLOURS[result.state])
        session.output.columns(
            (run, 9), (str(result.point), width), state, ("" if outcome == "waiting" else outcome, 0)
        )
    session.output.document(points=list(map(_document, results)))


def _print_how_to_go_on(session: Session, results: list[PointResult]) -> None:
    """Print the best point, how to publish it, and how to test the difference."""
    runs = [result.run for result in results if result.run]
    command = _command(session, results[0].point)
    session.output.document(best=runs[0].id, command=command)
    session.output.line(f"the best is {runs[0].id}; to publish and evaluate it: {command}", bold=True)
    if len(runs) > 1:
        test = session.following(f"'mnist diff {runs[1].id} {runs[0].id}'")
        session.output.line(f"to see whether it is really better than the next: {test}")
    if lost := len(results) - len(runs):
        session.output.warn(f"{plural(lost, 'point')} diverged")


def _command(session: Session, point: Point) -> str:
    """Return the command that publishes a point."""
    import shlex

    from mnist_cli.config.template import yaml_value

    words = ["mnist", "run"]
    if session.names_artifacts:
        words += ["--artifacts", str(session.artifacts.root)]
    if session.named_config is not None:
        words += ["--config", str(session.named_config)]
    for path, value in point.overrides.items():
        words += ["--set", f"{path}={yaml_value(value)}"]
    return printable(shlex.join(words), 2000)


def _outcome(result: PointResult) -> str:
    if result.run is None:
        return printable(result.problem or result.state.value)
    accuracy = result.run.train.metrics.get("validation_accuracy")
    return "-" if accuracy is None else percent(accuracy)


def _document(result: PointResult) -> dict[str, Any]:
    metrics = result.run.train.metrics if result.run else {}
    return {
        "id": result.run.id if result.run else None,
        "settings": result.point.varied,
        "state": result.state.value,
        "problem": result.problem,
        **{name: metrics.get(name) for name in ("validation_accuracy", "validation_loss", "loss", "model_digest")},
    }
