"""`mnist run`: the whole pipeline, as far as it is not up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.completion import STAGES, stage_names
from mnist_cli.cli.options import flag, option
from mnist_cli.cli.running import (
    EVAL_KEYS,
    TRAIN_KEYS,
    Force,
    Frozen,
    Mirror,
    Resume,
    Wait,
    check_gate,
    make_request,
    print_accuracy,
    run_request,
)
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import UsageError
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.pipeline.request import Request

_KEYS = ("dataset", "preprocess.validation_size", *TRAIN_KEYS, *EVAL_KEYS)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "run", keys=_KEYS)(run)


def run(
    session: Session,
    *,
    first: Annotated[
        str,
        option(
            "--from",
            metavar="STAGE",
            help="Begin with this stage; those before it must be fresh.",
            autocompletion=stage_names,
        ),
    ] = "fetch",
    last: Annotated[
        str, option("--to", metavar="STAGE", help="End with this stage.", autocompletion=stage_names)
    ] = "eval",
    force: Force = False,
    dry_run: Annotated[bool, flag("--dry-run", help="Say what would run and why, and do nothing.")] = False,
    mirror: Mirror = None,
    resume: Resume = None,
    wait: Wait = 0,
    frozen: Frozen = False,
) -> None:
    """Run the whole pipeline, as far as it is not up to date.

    The stages are fetch, preprocess, train and eval. A stage is skipped when its version, parameters and inputs are
    those of its last run and its files are whole. With --frozen every stage has to be run with what pipeline.lock says,
    and to give what it says: see mnist lock.

    Example: mnist run --mirror ../mnist-files
    """
    loaded = session.load()
    stages = _between(first, last)
    request = make_request(session, loaded, stages, force=force, mirror=mirror, resume=resume, wait=wait, frozen=frozen)
    if dry_run:
        if request.promise:
            request.promise.check_before(loaded.config, stages)
        _print_plan(session, request)
        return
    results = run_request(request)
    if not any(result.ran for result in results):
        session.output.line(f"nothing to do: {_listed(request.stages)} {'is' if len(results) == 1 else 'are'} fresh")
    print_accuracy(session, results)
    check_gate(loaded, results)


def _between(first: str, last: str) -> tuple[str, ...]:
    for given, name in (("--from", first), ("--to", last)):
        if name not in STAGES:
            raise UsageError(f"{given}: expected {_listed(STAGES, 'or')}; received '{printable(name)}'")
    selected = STAGES[STAGES.index(first) : STAGES.index(last) + 1]
    if not selected:
        raise UsageError(f"--from {first} --to {last}: the stages run in the order {', '.join(STAGES)}")
    return selected


def _print_plan(session: Session, request: Request) -> None:
    from mnist_cli.cli.status import print_statuses
    from mnist_cli.pipeline.digests import DigestCache
    from mnist_cli.pipeline.plan import examine_all

    statuses = examine_all(request.config, request.artifacts, DigestCache(request.artifacts.root))
    selected = [statuses[name] for name in request.stages]
    print_statuses(session, selected)
    waiting = [status.stage for status in selected if request.insists(status.stage) or not status.fresh]
    session.output.name = "run-dry-run"
    session.output.document(would_run=waiting)
    session.output.line(f"would run: {', '.join(waiting)}" if waiting else "nothing to do")


def _listed(names: tuple[str, ...], word: str = "and") -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
