"""A stage that several processes share: what each of them does, and how workers are dismissed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from mnist_cli.errors import ConfigError, WorkerLost
from mnist_cli.pipeline.request import Request
from mnist_cli.stages.stage import BoundStage, Job


def share_of_work(request: Request, bound: dict[str, BoundStage]) -> Literal["all", "chief", "worker"]:
    """Return this process's share of the requested stages; all but a worker publish what they make.

    Raises:
        ConfigError: processes share a stage and other stages are requested too, or TF_CONFIG is missing.
    """
    for name in request.stages:
        stage = bound[name].stage
        if not stage.is_shared(request.config):
            continue
        if len(request.stages) > 1:
            others = " and ".join(f"'mnist {other}'" for other in request.stages if other != name)
            raise ConfigError(
                [f"several processes share '{name}': run 'mnist {name}' on each; received a run of several stages"],
                hint=f"run {others} on the chief alone",
            )
        return "chief" if stage.is_chief() else "worker"
    return "all"


def dismiss_workers_of(request: Request, stage: BoundStage) -> None:
    """Tell the workers that there is nothing to do; do not wait for those that do not connect."""
    try:
        stage.stage.dismiss()
    except WorkerLost as error:
        request.progress.note(
            f"nothing to train; some workers were not told to stop, as they did not connect: {error.message}"
        )


def assist(request: Request, bound: BoundStage) -> None:
    """Compute this worker's share of a stage; the chief publishes it."""
    with tempfile.TemporaryDirectory(prefix="mnist-worker-") as scratch:
        unused = Path(scratch)
        job = Job(
            config=request.config,
            inputs=request.artifacts.inputs(bound),
            new=unused,
            current=unused,
            scratch=unused,
            mirrors=(),
            resume=request.resume,
            reuse=False,
            progress=request.progress,
        )
        bound.stage.run(job)
