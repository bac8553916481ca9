"""Training with several processes, as the runner sees it: who does what, and who hears that nothing is to be done."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from mnist_cli.distribution import this_worker
from mnist_cli.errors import ConfigError, WorkerLost
from mnist_cli.pipeline.registry import STAGES, Job
from mnist_cli.pipeline.request import Request


def share_of_training(request: Request) -> Literal["all", "chief", "worker"]:
    """Return what this process does of the training; all but a worker publish what they make."""
    if "train" not in request.stages or request.config.train.strategy != "multiworker":
        return "all"
    if len(request.stages) > 1:
        raise ConfigError(
            ["train.strategy: multiworker trains with 'mnist train' on each worker; received a run of several stages"],
            hint="run 'mnist run --to preprocess' first, and 'mnist eval' after it on the chief",
        )
    return "chief" if this_worker().is_chief else "worker"


def excuse_workers_of(request: Request) -> None:
    """Tell the workers that wait for this chief that there is nothing to do; who does not come is not waited for."""
    from mnist_cli.stages.train import excuse_workers

    try:
        excuse_workers()
    except WorkerLost as error:
        request.progress.note(f"the model is fresh, and not every worker came to hear it: {error.message}")


def assist(request: Request) -> None:
    """Compute this worker's share of the training; the chief publishes it."""
    with tempfile.TemporaryDirectory(prefix="mnist-worker-") as scratch:
        unused = Path(scratch)
        job = Job(
            config=request.config,
            root=request.artifacts.root,
            new=unused,
            current=unused,
            scratch=unused,
            mirrors=(),
            resume=request.resume,
            reuse=False,
            progress=request.progress,
        )
        STAGES["train"].run(job)
