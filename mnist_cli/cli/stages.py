"""A command for each stage: it runs that stage alone, on the outputs of the earlier stages."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import OfRun, keyword, option
from mnist_cli.cli.running import (
    Force,
    Mirror,
    Offline,
    Resume,
    Wait,
    check_gate,
    make_request,
    print_conclusion,
    print_result,
    run_request,
)
from mnist_cli.cli.session import Session
from mnist_cli.errors import ConfigError, NothingToTrain, UsageError
from mnist_cli.stages.stage import Pipeline, Stage

if TYPE_CHECKING:
    from mnist_cli.config.loading import LoadedConfig
    from mnist_cli.pipeline.request import StageResult

Workers = Annotated[
    int | None,
    option("--workers", metavar="N", min=1, max=64, help="Try multiworker: N processes on this machine's CPU."),
]
# Options that a stage's command may take besides its parameters; see `Stage.takes`.
_TAKEN = {
    "mirror": (Mirror, None),
    "offline": (Offline, False),
    "workers": (Workers, None),
    "resume": (Resume, None),
    "run": (OfRun, None),
}


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the commands to the application."""
    for stage in pipeline.stages.values():
        own = [declared.path for declared in stage.settings.parameters() if declared.option is not None]
        command(app, pipeline, stage.name, keys=(*stage.general, *own))(_command_of(stage))


def _command_of(stage: Stage) -> Callable[..., int | None]:
    def run(session: Session, *, workers: int | None = None, run: str | None = None, **options: Any) -> None:
        if workers is not None:
            _run_workers(session, workers)
        if run is not None:
            _evaluate_kept(session, run, options["wait"])
            return
        if "workers" in stage.takes:
            _mention_workers(session, stage)
        loaded, results = _single(session, stage.name, **options)
        if results:
            print_conclusion(session, results)
            check_gate(session, loaded, results)

    taken = [keyword(name, *_TAKEN[name]) for name in _TAKEN if name in stage.takes]
    always = [keyword("force", Force, False), keyword("wait", Wait, 0)]
    first = inspect.Parameter("session", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Session)
    run.__signature__ = inspect.Signature([first, *taken, *always])  # type: ignore[attr-defined]
    run.__doc__ = stage.help
    return run


def _run_workers(session: Session, count: int) -> None:
    from mnist_cli.cli.workers import run_workers

    config = session.load().config  # reports mistakes once, not once per worker
    if config.value("train.strategy") == "mirrored" or config.value("train.device").startswith("gpu"):
        raise UsageError("--workers: expected processes on the CPU; received another device or strategy")
    run_workers(count, session.output.note, as_json=session.output.as_json)


def _evaluate_kept(session: Session, name: str, wait: float) -> None:
    """Evaluate a kept run and add the result to its record; published files do not change."""
    from mnist_cli.differences import Reason
    from mnist_cli.pipeline.mutex import locked
    from mnist_cli.pipeline.plan import StageStatus, State
    from mnist_cli.pipeline.request import StageResult
    from mnist_cli.runs.evaluating import evaluate_run, keep_evaluation
    from mnist_cli.runs.runs import find_run

    run, loaded = find_run(session.artifacts, name), session.load_as_run()
    progress = session.output.progress()
    try:
        with locked(session.artifacts.root, session.command, wait):
            manifest = evaluate_run(run, loaded.config, session.artifacts, progress).manifest
            keep_evaluation(run, manifest, session.artifacts)
    finally:
        progress.finish()
    before = StageStatus(manifest.stage, State.MISSING, (Reason(f"asked for run {run.id}"),), None)
    results = [StageResult(manifest.stage, True, before, manifest)]
    print_result(session, results[0])
    print_conclusion(session, results)
    check_gate(session, loaded, results)


def _mention_workers(session: Session, stage: Stage) -> None:
    """Warn that workers trust their network, or that the workers in TF_CONFIG will not be used."""
    from mnist_cli.learning.distributed.setting import this_worker

    is_shared = stage.is_shared(session.load().config)
    if not is_shared and "TF_CONFIG" not in os.environ:
        return
    with contextlib.suppress(ConfigError):  # reported by the code that uses it
        worker = this_worker()
        if is_shared and worker.is_chief and not worker.is_private:
            session.output.note(
                "anyone who can reach a worker's port can read and write files as you, through TensorFlow: train in a "
                "network that you trust (docs/training.md)"
            )
        if not is_shared and worker.count > 1:
            session.output.note(
                f"TF_CONFIG names {worker.count} workers, but this one trains alone; --strategy multiworker joins them"
            )


def _single(session: Session, stage: str, **options: Any) -> tuple[LoadedConfig, list[StageResult]]:
    """Run one stage on the outputs of the earlier stages, with the last run's overrides."""
    loaded = session.load_as_run()
    if stage not in session.pipeline.bind(loaded.config):
        session.output.line(f"nothing to do: '{stage}' is not needed with these parameters")
        return loaded, []
    request = make_request(session, loaded, (stage,), **options)
    try:
        results = run_request(request)
    except NothingToTrain as nothing:
        session.output.line(nothing.message)
        return loaded, []
    if not results:
        session.output.line("done: this worker's share; the chief publishes the model")
    elif not results[0].is_new:
        session.output.line("nothing to do: up to date (--force runs it anyway)")
    return loaded, results
