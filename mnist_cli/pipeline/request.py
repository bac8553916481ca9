"""What is asked of the runner, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnist_cli.config.config import Config
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.pipeline.registry import STAGES, Resume
from mnist_cli.progress import SILENT, Progress

if TYPE_CHECKING:
    from mnist_cli.audit.lock_file import Promise


@dataclass(frozen=True)
class StageResult:
    """What became of one stage.

    Attributes:
        stage: its name.
        ran: whether it had to run.
        before: its status before, which says why.
        manifest: what is published now.
    """

    stage: str
    ran: bool
    before: StageStatus
    manifest: Manifest


@dataclass(frozen=True)
class Request:
    """What is to be run, with what, and where.

    Attributes:
        config: the configuration.
        artifacts: the artifacts folder.
        overrides: values of the configuration that came from the command line; recorded in the manifests.
        stages: names of the stages to bring up to date, in pipeline order and without gaps.
        force: run them even when they are fresh.
        resume: whether training may, must or must not go on from a checkpoint.
        mirrors: addresses and folders before the configured ones.
        wait: seconds to wait for another run in the same folder.
        promise: what the outputs have to be, or None where they are not promised.
        command: what was typed, for those who find the folder locked.
        progress: who hears how it goes.
        started: called with a stage's status before it runs.
        finished: called with each result as soon as it is there.
    """

    config: Config
    artifacts: Artifacts
    overrides: dict[str, Any]
    stages: tuple[str, ...] = tuple(STAGES)
    force: bool = False
    resume: Resume = "auto"
    mirrors: tuple[str, ...] = ()
    wait: float = 0
    promise: Promise | None = None
    command: str = "mnist"
    progress: Progress = SILENT
    started: Callable[[StageStatus], None] = lambda _status: None
    finished: Callable[[StageResult], None] = lambda _result: None

    def insists(self, stage: str) -> bool:
        """Tell whether a stage is to run even when it is fresh; training that must not go on is to begin again."""
        return self.force or (stage == "train" and self.resume == "never")
