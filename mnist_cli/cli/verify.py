"""`mnist verify`: are the artifacts what they claim to be, and would training give them again?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.options import flag
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import GateFailed
from mnist_cli.text import plural, printable

if TYPE_CHECKING:
    from mnist_cli.pipeline.verify import Rerun


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "verify")(verify)


def verify(
    session: Session,
    *,
    rerun: Annotated[bool, flag("--rerun", help="Train again in a temporary folder and compare every bit.")] = False,
) -> None:
    """Read every artifact again and compare it with its manifest.

    No remembered digest is trusted. Exits with 6 when a file is not what its manifest says, or when training again
    gives other bits; then it says which parameters, data, runtime or environment differ.

    Example: mnist verify --rerun
    """
    from mnist_cli.pipeline import verify as pipeline
    from mnist_cli.pipeline.overrides import kept_overrides

    progress = session.output.progress()
    try:
        checks = pipeline.verify(session.artifacts, progress)
    finally:
        progress.finish()
    for check in checks:
        word, colour = ("ok", "green") if check.problem is None else ("wrong", "red")
        if check.outdated:
            word, colour = "old", "yellow"
        problem = printable(check.problem) if check.problem else ""
        session.output.columns((check.stage, 11), (word, 6, colour), (f"{check.name} {problem}".rstrip(), 0))
    wrong = [check for check in checks if not check.ok]
    documents = [{"stage": check.stage, "file": check.name, "problem": check.problem} for check in checks]
    session.output.document({"checks": documents, "ok": not wrong})
    if wrong:
        named = ", ".join(f"{check.stage}/{check.name}" for check in wrong)
        raise GateFailed(
            f"{plural(len(wrong), 'file')} not as published: {named}", hint=f"run 'mnist {wrong[0].stage}'"
        )
    if any(check.outdated for check in checks):
        session.output.note("a stage was made from inputs that have changed since; 'mnist status' says what to run")
    if not rerun:
        return
    try:
        kept = kept_overrides(session.artifacts, "eval")  # with what the training was told, as `mnist eval` goes on
        report = pipeline.rerun_training(session.load(kept).config, session.artifacts, progress)
    finally:
        progress.finish()
    _print_rerun(session, report)


def _print_rerun(session: Session, report: Rerun) -> None:
    session.output.document(
        {"identical": report.identical, "differences": [reason.document() for reason in report.differences]}
    )
    for reason in report.differences:
        session.output.line(f"differs: {reason}")
    if not report.identical:
        raise GateFailed(
            "training again gives other bits", hint="what differs is listed above" if report.differences else None
        )
    session.output.line("identical: training again gives the same bits", bold=True)
