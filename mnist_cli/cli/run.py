"""`mnist run`: every stage that is not up to date."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.completion import beginning
from mnist_cli.cli.options import flag, keyword, option
from mnist_cli.cli.running import (
    Force,
    Frozen,
    Lock,
    Mirror,
    Offline,
    Resume,
    Wait,
    check_gate,
    check_lock_option,
    load_frozen,
    make_request,
    print_conclusion,
    run_request,
)
from mnist_cli.cli.session import Session
from mnist_cli.cli.terminal import is_terminal
from mnist_cli.errors import UsageError
from mnist_cli.text import listed, printable

if TYPE_CHECKING:
    from mnist_cli.config.loading import LoadedConfig
    from mnist_cli.pipeline.request import Request
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    keys = [path for path, declared in pipeline.declarations.keys.items() if declared.option is not None]
    command(app, pipeline, "run", keys=keys)(_with_stages(run, pipeline))


def _with_stages(function: Callable[..., None], pipeline: Pipeline) -> Callable[..., None]:
    """Return the function with options and help for the pipeline's stages."""
    names = list(pipeline.stages)

    @functools.wraps(function)
    def run(session: Session, **options: Any) -> None:
        function(session, **options)

    def stage(name: str, meaning: str) -> Any:
        return option(
            name, metavar="STAGE", help=meaning, autocompletion=lambda incomplete: beginning(incomplete, names)
        )

    first = stage("--from", "Start with this stage; the earlier ones must be up to date.")
    last = stage("--to", "End with this stage.")
    session, _, _, *others = inspect.signature(function, eval_str=True).parameters.values()
    ends = [keyword("first", Annotated[str, first], names[0]), keyword("last", Annotated[str, last], names[-1])]
    run.__signature__ = inspect.Signature([session, *ends, *others])  # type: ignore[attr-defined]
    run.__doc__ = (function.__doc__ or "").replace("{stages}", listed(names))
    return run


def run(
    session: Session,
    *,
    first: str,
    last: str,
    force: Force = False,
    dry_run: Annotated[bool, flag("--dry-run", help="Print what would run and why; run nothing.")] = False,
    mirror: Mirror = None,
    offline: Offline = False,
    resume: Resume = None,
    wait: Wait = 0,
    frozen: Frozen = False,
    lock: Lock = None,
) -> None:
    """Run the pipeline: every stage that is not up to date.

    The stages are {stages}. A stage is skipped if its version, parameters and inputs are
    those of its last run and its files are intact. With --frozen every stage must have the inputs and give the outputs
    that pipeline.lock names: see mnist lock.

    Example: mnist run --mirror ../mnist-files
    """
    check_lock_option(frozen, lock)
    loaded, promise = load_frozen(session, lock) if frozen else (session.load(), None)
    bound = session.pipeline.bind(loaded.config)
    stages = tuple(name for name in _between(list(session.pipeline.stages), first, last) if name in bound)
    request = make_request(
        session,
        loaded,
        stages,
        force=force,
        mirror=mirror,
        offline=offline,
        resume=resume,
        wait=wait,
        promise=promise,
    )
    if dry_run:
        _print_plan(session, request)
        return
    from mnist_cli.pipeline.mutex import at_work

    _note_what_is_dropped(session, loaded)
    results = run_request(request)
    if not any(result.is_new for result in results):
        fresh = f"{listed(request.stages)} {'is' if len(results) == 1 else 'are'} up to date"
        busy = at_work(request.artifacts.root)
        word = f"another run is in progress ({busy}); until it ends," if busy else "nothing to do:"
        session.output.line(f"{word} {fresh}")
    print_conclusion(session, results)
    check_gate(session, loaded, results)
    if results[-1].stage == list(session.pipeline.stages)[-1] and is_terminal(sys.stdout):
        next_steps = "next: 'mnist report --open', 'mnist lesson --open' or 'mnist predict FILE'"
        session.output.note(session.following(next_steps))


def _note_what_is_dropped(session: Session, loaded: LoadedConfig) -> None:
    """Say which options of the last run do not apply to this one, if that makes a difference."""
    from mnist_cli.pipeline.overrides import as_typed, last_overrides

    last = last_overrides(session.artifacts)
    dropped = {path: value for path, value in last.items() if loaded.config.value(path) != value}
    dropped = {path: value for path, value in dropped.items() if path not in loaded.overrides}
    if dropped:
        words = as_typed(session.pipeline.declarations, dropped)
        session.output.note(f"using the configuration again; the last run had {words}")


def _between(names: list[str], first: str, last: str) -> list[str]:
    for given, name in (("--from", first), ("--to", last)):
        if name not in names:
            raise UsageError(f"{given}: expected {listed(names, 'or')}; received '{printable(name)}'")
    selected = names[names.index(first) : names.index(last) + 1]
    if not selected:
        raise UsageError(f"--from {first} --to {last}: the stages run in the order {', '.join(names)}")
    return selected


def _print_plan(session: Session, request: Request) -> None:
    from mnist_cli.cli.status import print_statuses, print_would_take
    from mnist_cli.pipeline.plan import examine_all
    from mnist_cli.pipeline.runner import to_run
    from mnist_cli.runs.reuse import would_take

    statuses = examine_all(request.config, request.artifacts)
    selected = [statuses[name] for name in request.stages]
    print_statuses(session, selected)
    will_run = to_run(request, statuses)
    waiting = [name for name in request.stages if name in will_run]
    taken = would_take(request.config, request.artifacts, statuses)
    taken = {stage: run for stage, run in taken.items() if stage in waiting and request.may_reuse(stage)}
    running = [stage for stage in waiting if stage not in taken]
    session.output.name = "run-dry-run"
    session.output.document(would_run=running, would_take=taken)
    print_would_take(session, taken)
    nothing = "nothing would run" if taken else "nothing to do"
    session.output.line(f"would run: {', '.join(running)}" if running else nothing)
