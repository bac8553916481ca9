"""`mnist runs list|show|restore|rm|prune`: the kept trainings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.help import new_group
from mnist_cli.cli.options import run_argument
from mnist_cli.cli.running import Wait
from mnist_cli.cli.session import Session
from mnist_cli.errors import ConfigError, UsageError
from mnist_cli.text import percent, plural, printable

if TYPE_CHECKING:
    from mnist_cli.formats.history import Record
    from mnist_cli.runs.runs import Run
    from mnist_cli.stages.stage import Pipeline

Name = Annotated[str, run_argument("RUN", "An id or its beginning; latest, previous or published.")]
Names = Annotated[list[str], run_argument("RUN…", "Ids or their beginnings.")]


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the group and its commands to the application."""
    group = new_group("runs", "List, show, restore and remove kept trainings.")
    command(group, pipeline, "list")(list_runs)
    command(group, pipeline, "show")(show)
    command(group, pipeline, "restore")(restore)
    command(group, pipeline, "rm")(remove)
    command(group, pipeline, "prune")(prune)
    app.add_typer(group)


def list_runs(session: Session) -> None:
    """List the finished trainings, the latest first.

    Each line ends with the parameters that differ from the defaults. A star marks the run in artifacts/train.

    Example: mnist runs list
    """
    from mnist_cli.runs.runs import published_id, read_runs

    whole, damaged = read_runs(session.artifacts)
    published = published_id(session.artifacts)
    if whole:
        session.output.columns(("  run", 10), ("published (UTC)", 16), ("validation", 10), ("test", 8), ("with", 0))
    for run in reversed(whole):
        evaluation = run.evaluations.get("test")
        accuracies = [run.train.metrics.get("validation_accuracy"), evaluation and evaluation.metrics.get("accuracy")]
        shown = [percent(value) if isinstance(value, int | float) else "-" for value in accuracies]
        star = "*" if run.id == published else " "
        created = run.record.created[:16].replace("T", " ")
        session.output.columns(
            (f"{star} {run.id}", 10),
            (created, 16),
            (shown[0].rjust(10), 10),
            (shown[1].rjust(8), 8),
            (_unusual(session, run), 0),
        )
    for broken in damaged:
        session.output.columns((f"  {broken.id}", 10), ("damaged", 16, "red"), (broken.problem, 0))
    if not whole and not damaged:
        words = session.following("'mnist run' makes one")
        session.output.line(f"{printable(session.artifacts.root)}: no runs yet; {words}")
    listed = [_summary(run) | {"published": run.id == published} for run in reversed(whole)]
    session.output.document(runs=listed, damaged=damaged)


def show(session: Session, name: Name) -> None:
    """Show one run: parameters, metrics, history, digests.

    Example: mnist runs show latest
    """
    from mnist_cli.formats import HISTORY_NAME
    from mnist_cli.formats.history import parse_history
    from mnist_cli.runs.runs import find_run

    run = find_run(session.artifacts, name)
    history = parse_history((run.folder / HISTORY_NAME).read_bytes())
    session.output.line(f"run {run.id}, published {run.record.created[:19].replace('T', ' ')} UTC", bold=True)
    digests = run.train.inputs | {file: record.sha256 for file, record in run.train.outputs.items()}
    tables: dict[str, dict[str, Any]] = {
        "parameters": run.parameters,
        "training": {name: value for name, value in run.train.metrics.items() if not isinstance(value, dict)},
        **{f"evaluation on {split}": evaluation.metrics for split, evaluation in run.evaluations.items()},
        "digests": {"W and b": run.train.metrics.get("model_digest"), **digests},
        "runtime": run.train.runtime,
        "environment": run.train.environment,
    }
    for title, table in tables.items():
        session.output.line(title)
        for key, value in table.items():
            session.output.columns((f"  {printable(key)}", 32), (printable(value), 0))
    course = _course(history)
    session.output.line(f"history: {course}")
    evaluations = {split: evaluation.document() for split, evaluation in run.evaluations.items()}
    session.output.document(**_summary(run) | {"evaluations": evaluations})
    session.output.document(data=run.record.data, train=run.train.document(), history=list(history))


def restore(session: Session, name: Name, *, wait: Wait = 0) -> None:
    """Publish the model of a run again, in artifacts/train, without training.

    The data must be those that it was trained on. Its parameters apply to later commands, as if they were options of
    the last run. Then 'mnist eval' measures the model.

    Example: mnist runs restore previous
    """
    from dataclasses import replace

    from mnist_cli.cli.running import make_request, run_request
    from mnist_cli.runs.reuse import exactly, require_data, settings_of
    from mnist_cli.runs.runs import find_run
    from mnist_cli.stages.stage import MODEL

    run, trainer = find_run(session.artifacts, name), session.pipeline.maker(MODEL)
    loaded = session.load(settings_of(run, session.load().config, session.pipeline))
    loaded = replace(loaded, config=loaded.config.replaced(trainer.alone))
    require_data(run, loaded.config, session.artifacts)
    request = make_request(session, loaded, (trainer.name,), wait=wait)
    request = replace(request, reuse=lambda bound, statuses: exactly(run, bound, loaded.config, statuses))
    (result,) = run_request(request)
    word = "published again" if result.is_new else "published already"
    session.output.line(session.following(f"run {run.id} is {word}; 'mnist eval' measures it"), bold=True)


def remove(session: Session, names: Names) -> None:
    """Remove runs from artifacts/runs, damaged ones too.

    The run in artifacts/train stays: the next 'mnist run' would keep it again. If one RUN is unknown, none is removed.

    Example: mnist runs rm 3f9a
    """
    from mnist_cli.pipeline.mutex import locked_for_removing
    from mnist_cli.runs.names import find_id
    from mnist_cli.runs.recording import remove_run
    from mnist_cli.runs.runs import models_of, published_id

    root = session.artifacts.root
    published = published_id(session.artifacts)
    models = models_of(session.artifacts)
    found = list(dict.fromkeys(find_id(name, root, models, published) for name in names))
    if published in found:
        raise UsageError(f"run {published} is in artifacts/train and cannot be removed", hint="train another one first")
    with locked_for_removing(root, session.command):
        for run in found:
            remove_run(root, run)
    session.output.document(removed=found)
    session.output.line(f"removed {plural(len(found), 'run')}: {', '.join(found)}")


def prune(session: Session) -> None:
    """Remove the oldest runs until keep_runs are left.

    The run in artifacts/train stays. Training itself removes at most one run, to make room for the new one.

    Example: mnist runs prune --set keep_runs=20
    """
    from mnist_cli.pipeline.mutex import locked_for_removing
    from mnist_cli.runs.recording import remove_run, surplus

    keep, removed = session.load().config.value("keep_runs"), []
    if surplus(session.artifacts, keep):
        with locked_for_removing(session.artifacts.root, session.command):
            removed = surplus(session.artifacts, keep)
            for run in removed:
                remove_run(session.artifacts.root, run)
    session.output.document(removed=removed)
    named = f"removed {plural(len(removed), 'run')}: {', '.join(removed)}"
    session.output.line(named if removed else f"nothing to remove: keep_runs is {keep}")


def _unusual(session: Session, run: Run) -> str:
    """Return the parameters that differ from their defaults, as they are typed.

    Each optimizer and schedule has its own defaults.
    """
    from mnist_cli.config.template import yaml_value

    declared, defaults = session.pipeline.declarations.keys, session.pipeline.declarations.defaults()
    owners = {key.of: run.parameters[key.of] for key in declared.values() if key.of in run.parameters}
    config = defaults
    with contextlib.suppress(ConfigError):  # from a version with other optimizers
        config = defaults.replaced(owners)
    usual: dict[str, Any] = {}
    for stage in session.pipeline.stages.values():
        usual |= stage.parameters(config)
    usual |= {path: defaults.value(path) for path in owners}
    typed = {path: value for path, value in run.parameters.items() if path in declared and usual.get(path) != value}
    return printable(" ".join(f"{path}={yaml_value(value)}" for path, value in typed.items()))


def _summary(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "created": run.record.created,
        "parameters": run.parameters,
        "metrics": {name: value for name, value in run.train.metrics.items() if name != "seconds"},
        "evaluations": {split: evaluation.metrics for split, evaluation in run.evaluations.items()},
        "model_digest": run.train.metrics.get("model_digest"),
    }


def _course(history: tuple[Record, ...]) -> str:
    """Return the course of the training as one line."""
    if not history:
        return "empty"
    text = f"{plural(len(history), 'record')}, loss {history[0].loss:.4f} → {history[-1].loss:.4f}"
    validated = [(record.validation_loss, record.step) for record in history if record.validation_loss is not None]
    if not validated:
        return text
    loss, step = min(validated)
    return f"{text}, lowest validation loss {loss:.4f} at step {step:,}"
