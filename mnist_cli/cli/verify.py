"""`mnist verify`: are the artifacts what their manifests say, and does training give them again?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag
from mnist_cli.cli.running import Mirror, Wait
from mnist_cli.cli.session import Session
from mnist_cli.errors import GateFailed
from mnist_cli.text import listed, plural, printable

if TYPE_CHECKING:
    from mnist_cli.audit.verify import Check, Rerun
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "verify")(verify)


def verify(
    session: Session,
    *,
    repair: Annotated[bool, flag("--repair", help="Recreate or remove damaged files; leave the rest alone.")] = False,
    rerun: Annotated[
        bool, flag("--rerun", help="Train, and export to web and c, again in a temporary folder; compare every bit.")
    ] = False,
    mirror: Mirror = None,
    wait: Wait = 0,
) -> None:
    """Read every artifact, checkpoint and run again and compare it with its digest.

    No cached digest is used. The exit code is 6 if a file differs from its manifest, or if training again gives other
    bits; then it lists the parameters, data, runtime or environment that differ. --repair reruns the stages whose files
    are wrong, with the parameters of their last run, and removes damaged checkpoints and runs.

    Example: mnist verify --repair
    """
    checks = _checked(session, wait)
    wrong = [check for check in checks if not check.ok]
    _print_checks(session, checks)
    if wrong and repair:
        checks = _repaired(session, checks, mirror, wait)
        wrong = [check for check in checks if not check.ok]
    session.output.document(checks=checks, ok=not wrong)
    if wrong:
        named = ", ".join(f"{check.stage}/{check.name}" for check in wrong)
        raise GateFailed(f"{plural(len(wrong), 'file')} not as published: {named}", hint="run 'mnist verify --repair'")
    if any(check.outdated for check in checks):
        words = session.following("'mnist status' says what to run")
        session.output.note(f"the inputs of a stage have changed since it ran; {words}")
    if rerun:
        _rerun(session)
    session.output.line(_verdict(checks, rerun=rerun), bold=True)


def _verdict(checks: list[Check], *, rerun: bool) -> str:
    """Return the result of a verification that found nothing wrong, as one line."""
    from mnist_cli.runs.names import FOLDER

    read = [check for check in checks if not check.removed and not check.outdated]
    runs = sum(check.stage == FOLDER for check in read)
    checkpoints = sum(check.checkpoint is not None for check in read)
    counts = ((len(read) - runs - checkpoints, "file"), (checkpoints, "checkpoint"), (runs, "run"))
    found = [plural(count, what) for count, what in counts if count]
    again = "; training again gives the same bits" if rerun else ""
    return f"verified: {listed(found)} unchanged since they were written{again}"


def _checked(session: Session, wait: float) -> list[Check]:
    from mnist_cli.audit import verify as pipeline

    progress = session.output.progress()
    try:
        return pipeline.verify(session.artifacts, progress, session.command, wait)
    finally:
        progress.finish()


def _print_checks(session: Session, checks: list[Check]) -> None:
    for check in checks:
        word, colour = ("ok", "green") if check.problem is None else ("wrong", "red")
        if check.outdated:
            word, colour = "old", "yellow"
        if check.removed:
            word, colour = "-", "cyan"
        problem = printable(check.problem) if check.problem else "removed, not needed" if check.removed else ""
        cells = (check.stage, 11), (word, 6, colour), ((check.sha256 or "-")[:12], 13)
        session.output.columns(*cells, (f"{printable(check.name)} {problem}".rstrip(), 0))


def _repaired(session: Session, checks: list[Check], mirror: list[str] | None, wait: float) -> list[Check]:
    """Repair what is wrong, report it, and check everything again."""
    from mnist_cli.audit.repair import as_recorded
    from mnist_cli.audit.repair import repair as repair_artifacts
    from mnist_cli.cli.running import make_request
    from mnist_cli.runs.names import FOLDER

    loaded = session.load()
    config, overrides = as_recorded(loaded.config, session.artifacts)
    loaded = replace(loaded, config=config, overrides=overrides)
    request = make_request(session, loaded, (), mirror=mirror, wait=wait)
    try:
        results = repair_artifacts(request, checks)
    finally:
        request.progress.finish()
    found = [check for check in checks if not check.ok]
    removed = [check.name for check in found if check.checkpoint is not None]
    session.output.document(repaired={"found": found, "checkpoints": removed})
    checks = _checked(session, wait)
    if all(check.ok for check in checks):
        made = [
            f"{one.stage} was {f'reused from run {one.taken_from}' if one.taken_from else 'run again'}"
            for one in results
        ]
        records = sum(check.stage == FOLDER for check in found)
        lost = (len(removed), "damaged checkpoint"), (records, "damaged record")
        gone = [f"{plural(count, what)} removed" for count, what in lost if count]
        session.output.line(f"repaired: {'; '.join([*made, *gone])}", bold=True)
    return checks


def _rerun(session: Session) -> None:
    from mnist_cli.audit import verify as pipeline

    progress = session.output.progress()
    try:
        config = session.load_as_run().config
        report = pipeline.rerun_training(config, session.artifacts, progress)
        exports = pipeline.rerun_exports(config, session.artifacts) if report.identical else []
    finally:
        progress.finish()
    if exports:
        report = replace(report, identical=False, differences=(*report.differences, *exports))
    _print_rerun(session, report)


def _print_rerun(session: Session, report: Rerun) -> None:
    session.output.document(identical=report.identical, differences=report.differences)
    for reason in report.differences:
        session.output.line(f"differs: {reason}")
    if not report.identical:
        raise GateFailed(
            "training again gives other bits", hint="the differences are listed above" if report.differences else None
        )
