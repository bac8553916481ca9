"""What commands that run stages share: options, the request, and printing results."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnist_cli.cli.options import flag, option
from mnist_cli.cli.session import Session
from mnist_cli.errors import UsageError

if TYPE_CHECKING:
    from mnist_cli.audit.lock_file import Promise
    from mnist_cli.config.loading import LoadedConfig
    from mnist_cli.pipeline.plan import StageStatus
    from mnist_cli.pipeline.request import Request, StageResult

Force = Annotated[bool, flag("--force", help="Run even if nothing changed.")]
Wait = Annotated[
    float,
    option(
        "--wait",
        metavar="SECONDS",
        min=0,
        help="Wait this long for another run in the same folder.",
    ),
]
Mirror = Annotated[
    list[str] | None,
    option(
        "--mirror",
        metavar="URL|FOLDER",
        help="Try this address or folder first, before $MNIST_MIRRORS and the data set's own; repeatable.",
    ),
]
Offline = Annotated[bool, flag("--offline", help="Use folders and the cache only, no mirror on the web.")]
Resume = Annotated[
    bool | None,
    flag(
        "--resume/--restart",
        help="Require a checkpoint to resume from, or discard the checkpoints and train again even if up to date; "
        "without either, resume if possible.",
    ),
]

Lock = Annotated[
    Path | None, option("--lock", metavar="FILE", help="The lock file of --frozen, instead of pipeline.lock.")
]
Frozen = Annotated[bool, flag("--frozen", help="Fail (exit 4) on any difference from pipeline.lock.")]


def make_request(
    session: Session,
    loaded: LoadedConfig,
    stages: tuple[str, ...],
    *,
    force: bool = False,
    mirror: list[str] | None = None,
    offline: bool = False,
    resume: bool | None = None,
    wait: float = 0,
    promise: Promise | None = None,
) -> Request:
    """Make the request from the command line, the environment and the configuration."""
    from mnist_cli.pipeline.request import Request
    from mnist_cli.runs.keeper import RunKeeper
    from mnist_cli.sources.mirrors import listed_mirrors, shared_cache

    progress = session.output.progress()
    request = Request(
        config=loaded.config,
        artifacts=session.artifacts,
        overrides=loaded.overrides,
        stages=stages,
        force=force,
        # --force means training again, so not from the last checkpoint.
        resume={None: "never" if force else "auto", True: "require", False: "never"}[resume],
        mirrors=(*(mirror or ()), *listed_mirrors(os.environ.get("MNIST_MIRRORS", ""))),
        cache=shared_cache(),
        offline=offline,
        wait=wait,
        command=session.command,
        progress=progress,
        started=lambda status: _tell_why(session, status),
        finished=lambda result: print_result(session, result),
    )
    request = RunKeeper(session.artifacts, loaded.config.value("keep_runs"), progress).attached(request)
    return promise.held(request) if promise else request


def load_frozen(session: Session, path: Path | None = None) -> tuple[LoadedConfig, Promise]:
    """Read the lock at `path` or beside the configuration, and the configuration with the lock's overrides.

    Settings of the command line replace them, and are refused later if they differ.

    Raises:
        ConfigError: there is no lock, or it is damaged; or as `Session.load`.
    """
    from mnist_cli.audit.lock_file import Promise, lock_path, read_lock

    path = path or lock_path(session.config_file)
    lock = read_lock(path, session.pipeline)
    typed = {override.path for override in session.overrides()[0]}
    kept = {name: value for name, value in lock.overrides.items() if name not in typed}
    return session.load(kept), Promise(lock, path, session.pipeline)


def check_lock_option(frozen: bool, lock: Path | None) -> None:
    """Refuse --lock where it would have no effect.

    Raises:
        UsageError: --lock without --frozen.
    """
    if lock is not None and not frozen:
        raise UsageError("--lock needs --frozen", hint="add --frozen to compare the run with the lock file")


def run_request(request: Request) -> list[StageResult]:
    """Run the stages and print each result as it comes; errors as `runner.run`."""
    from mnist_cli.pipeline import runner
    from mnist_cli.pipeline.overrides import remember_overrides

    def started(status: StageStatus) -> None:
        remember_overrides(request.artifacts, request.overrides)
        request.started(status)

    gc.freeze()  # the objects made at start-up stay; see mnist_cli/__main__.py
    gc.enable()
    try:
        results = runner.run(replace(request, started=started))
    finally:
        request.progress.finish()
    if results:
        remember_overrides(request.artifacts, request.overrides)
    return results


def print_conclusion(session: Session, results: list[StageResult]) -> None:
    """Print the conclusion of the last result, if it has one; on GitHub also in the step's summary."""
    from mnist_cli.cli.github import append_summary
    from mnist_cli.stages.stage import EVALUATION

    metrics, stage = results[-1].manifest.metrics, session.pipeline.stages[results[-1].stage]
    sentence = stage.conclusion(metrics) if stage.conclusion else None
    if sentence:
        session.output.line(sentence, bold=True)
    if stage is session.pipeline.maker(EVALUATION):
        session.output.document(accuracy=metrics["accuracy"], model_digest=metrics["model_digest"])
    if problem := append_summary(session.pipeline, results, sentence):
        session.output.note(problem)


def check_gate(session: Session, loaded: LoadedConfig, results: list[StageResult]) -> None:
    """Compare what the last stage measured, now or earlier, with the bound in the configuration.

    Raises:
        GateFailed: it is below the bound.
    """
    if gate := session.pipeline.stages[results[-1].stage].gate:
        gate(loaded.config, results[-1].manifest.metrics)


def _tell_why(session: Session, status: StageStatus) -> None:
    from mnist_cli.pipeline.plan import State

    if status.state not in (State.MISSING, State.PENDING, State.FRESH):
        reasons = status.why("\n  ")
        gap = "\n  " if "\n" in reasons else " "
        session.output.note(f"{status.stage} is {status.state}:{gap}{reasons}")


def print_result(session: Session, result: StageResult) -> None:
    """Print the result of one stage."""
    if result.ran:
        word, colour, seconds = "done", "green", f"{result.manifest.seconds:.1f} s"
    else:
        word, colour, seconds = ("reused", "green", "-") if result.taken_from else ("fresh", "cyan", "-")
    session.output.append("stages", result)
    text = session.pipeline.summary(result.manifest.stage, result.manifest.metrics)
    if result.before.state == "unneeded" and not result.is_new:
        text = result.before.why()
    if result.taken_from:
        text = f"run {result.taken_from}: {session.pipeline.summary(result.stage, result.manifest.metrics)}"
    session.output.columns((result.stage, 11), (word, 6, colour), (seconds.rjust(7), 9), (text, 0))
