"""`mnist status`: the state of every stage, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag
from mnist_cli.cli.running import Frozen, Lock, check_lock_option, load_frozen
from mnist_cli.cli.session import Session
from mnist_cli.errors import WorkNeeded
from mnist_cli.text import plural, printable

if TYPE_CHECKING:
    from mnist_cli.config.declarations import Config
    from mnist_cli.pipeline.plan import StageStatus
    from mnist_cli.stages.stage import Pipeline

_PLACES = 3  # checkpoints to resume from that are listed
_COLOURS = {
    "fresh": "green",
    "unneeded": "green",
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
    check: Annotated[bool, flag("--check", help="Exit with 4 unless every stage is up to date.")] = False,
    frozen: Frozen = False,
    lock: Lock = None,
) -> None:
    """Show the state of each stage, and why it would run again.

    The first line names the artifacts folder and the configuration file: those of the current folder, or of the nearest
    folder above it with a pipeline.yaml.

    fresh: up to date, nothing to do. missing: never run. stale: something changed (old → new). pending: waits for an
    earlier stage. incomplete: interrupted. corrupt: a file differs from what was written. unneeded: its files were
    removed, and no stage needs them while the later stages are up to date.

    Example: mnist status --check
    """
    from mnist_cli.pipeline.plan import examine_all, require_fresh
    from mnist_cli.runs.reuse import would_take

    check_lock_option(frozen, lock)
    loaded, promise = load_frozen(session, lock) if frozen else (session.load_as_run(session.output.line), None)
    _print_places(session)
    by_stage = examine_all(loaded.config, session.artifacts)
    statuses = list(by_stage.values())
    session.artifacts.digests.save()
    print_statuses(session, statuses)
    taken = would_take(loaded.config, session.artifacts, by_stage)
    print_would_take(session, taken)
    _print_exports(session, by_stage)
    _print_resumable(session, statuses, loaded.config)
    waiting = [one.stage for one in statuses if not one.fresh]
    session.output.document(fresh=not waiting, overrides=loaded.overrides, would_take=taken)
    if promise:
        promise.check_before(loaded.config, [one.stage for one in statuses])
        promise.check_published({one.stage: one.manifest for one in statuses if one.fresh and one.manifest})
    if check:
        require_fresh(by_stage, WorkNeeded, "work needed")
    if waiting:
        session.output.line(session.following("'mnist run' brings everything up to date"))


def _print_places(session: Session) -> None:
    """Print the artifacts folder and the configuration file."""
    folder, file = session.artifacts.root, session.named_config or session.project.configuration
    session.output.document(artifacts=str(folder), config=str(file) if file else None)
    configured = printable(file) if file else "defaults (no pipeline.yaml)"
    session.output.line(f"artifacts: {printable(folder)}; configuration: {configured}")


def _print_exports(session: Session, by_stage: dict[str, StageStatus]) -> None:
    """Print a line for each export; exports need not be up to date."""
    from mnist_cli.export.state import FOLDER, examine_exports

    exports = [
        replace(one, stage=one.stage.removeprefix(f"{FOLDER}/")) for one in examine_exports(session.artifacts, by_stage)
    ]
    session.output.document(exports=exports)
    for one in exports:
        text = one.why()
        if one.fresh and one.manifest is not None:
            found = one.manifest.metrics.get("verified")
            text = f"same answers {found['same']:,} of {found['images']:,}" if found else "not verified"
        session.output.columns((FOLDER, 11), (one.state, 11, _COLOURS[one.state]), (f"{one.stage}: {text}", 0))


def _print_resumable(session: Session, statuses: list[StageStatus], config: Config) -> None:
    """Print where interrupted work could resume, without what has become a run."""
    from mnist_cli.runs.names import are_done

    for one in statuses:
        stage = session.pipeline.stages[one.stage]
        if stage.resumable is None:
            continue
        found = stage.resumable(session.artifacts.folder(one.stage) / stage.scratch, config)
        done = are_done(session.artifacts.root, [(place.step, place.decisive) for place in found])
        places = [place for place, is_done in zip(found, done, strict=True) if not is_done]
        for place in places[:_PLACES]:
            session.output.line(
                f"{one.stage} can resume from step {place.step:,} with {place.words or 'these settings'}"
            )
        if len(places) > _PLACES:
            session.output.line(f"{one.stage} has {plural(len(places) - _PLACES, 'older checkpoint')} to resume from")


def print_would_take(session: Session, taken: Mapping[str, str]) -> None:
    """Print which stages would be published from a kept run instead of running."""
    for stage, run in taken.items():
        session.output.line(f"{stage} would be reused from run {run}")


def print_statuses(session: Session, statuses: list[StageStatus]) -> None:
    """Print each stage: name, state, and the reasons or its result."""
    session.output.document(stages=statuses)
    for one in statuses:
        text = one.why("\n")
        if not one.reasons and one.manifest is not None:
            text = session.pipeline.summary(one.manifest.stage, one.manifest.metrics)
        session.output.columns((one.stage, 11), (one.state, 11, _COLOURS[one.state]), (text, 0))
