"""`mnist status`: the state of every stage, with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.options import flag
from mnist_cli.cli.running import Frozen, Lock, check_lock_option, load_frozen
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import WorkNeeded
from mnist_cli.text import plural

if TYPE_CHECKING:
    from mnist_cli.config.declarations import Config
    from mnist_cli.pipeline.plan import StageStatus
    from mnist_cli.stages.stage import Pipeline

_PLACES = 3  # to go on from; more than these is more than one reads
_COLOURS = {
    "fresh": "green",
    "pending": "cyan",
    "missing": "yellow",
    "stale": "yellow",
    "incomplete": "yellow",
    "corrupt": "red",
}


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "status", keys=("dataset", "seed"))(status)


def status(
    session: Session,
    *,
    check: Annotated[bool, flag("--check", help="Exit with 4 unless every stage is fresh.")] = False,
    frozen: Frozen = False,
    lock: Lock = None,
) -> None:
    """Show how each stage stands, and why it would run again.

    fresh: nothing to do. missing: never run. stale: it would be run with something else now (old → new). pending:
    waits for a stage before it. incomplete: interrupted. corrupt: a file is not what was written.

    Example: mnist status --check
    """
    from mnist_cli.pipeline.plan import examine_all, require_fresh

    check_lock_option(frozen, lock)
    loaded, promise = load_frozen(session, lock) if frozen else (session.load_as_run(session.output.line), None)
    by_stage = examine_all(loaded.config, session.artifacts)
    statuses = list(by_stage.values())
    session.artifacts.digests.save()
    print_statuses(session, statuses)
    _print_exports(session, by_stage)
    _print_resumable(session, statuses, loaded.config)
    waiting = [one.stage for one in statuses if not one.fresh]
    session.output.document(fresh=not waiting, overrides=loaded.overrides)
    if promise:
        promise.check_before(loaded.config, [one.stage for one in statuses])
        promise.check_published({one.stage: one.manifest for one in statuses if one.fresh and one.manifest})
    if check:
        require_fresh(by_stage, WorkNeeded, "work needed")
    if waiting:
        session.output.line(session.following("'mnist run' brings everything up to date"))


def _print_exports(session: Session, by_stage: dict[str, StageStatus]) -> None:
    """Print a line for each export that there is; none has to be fresh."""
    from mnist_cli.export.state import FOLDER, examine_exports

    exports = [
        replace(one, stage=one.stage.removeprefix(f"{FOLDER}/")) for one in examine_exports(session.artifacts, by_stage)
    ]
    session.output.document(exports=exports)
    for one in exports:
        told = one.why()
        if one.fresh and one.manifest is not None:
            found = one.manifest.metrics.get("verified")
            told = f"same answers {found['same']:,} of {found['images']:,}" if found else "not verified"
        session.output.columns((FOLDER, 11), (one.state, 11, _COLOURS[one.state]), (f"{one.stage}: {told}", 0))


def _print_resumable(session: Session, statuses: list[StageStatus], config: Config) -> None:
    """Print from where interrupted work could go on; what became a run is done."""
    from mnist_cli.runs.names import are_done

    for one in statuses:
        stage = session.pipeline.stages[one.stage]
        if stage.resumable is None:
            continue
        found = stage.resumable(session.artifacts.folder(one.stage) / stage.scratch, config)
        done = are_done(session.artifacts.root, [(step, decisive) for step, decisive, _ in found])
        places = [(step, words) for (step, _, words), is_done in zip(found, done, strict=True) if not is_done]
        for step, words in places[:_PLACES]:
            session.output.line(f"{one.stage} can go on from step {step:,} with {words or 'these settings'}")
        if len(places) > _PLACES:
            session.output.line(f"{one.stage} has {plural(len(places) - _PLACES, 'older checkpoint')} to go on from")


def print_statuses(session: Session, statuses: list[StageStatus]) -> None:
    """Print a line for each stage: name, state, and the reasons or what it found out."""
    session.output.document(stages=statuses)
    for one in statuses:
        told = one.why()
        if one.fresh and one.manifest is not None:
            told = session.pipeline.summary(one.stage, one.manifest.metrics)
        session.output.columns((one.stage, 11), (one.state, 11, _COLOURS[one.state]), (told, 0))
