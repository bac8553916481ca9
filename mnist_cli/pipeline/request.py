"""What is asked of the runner, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mnist_cli.config.declarations import Config
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.progress import SILENT, Progress
from mnist_cli.stages.stage import Resume


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


class Promise(Protocol):
    """What stages have to be run with, and have to give; each method raises NotAsLocked where something differs."""

    def check_before(self, config: Config, stages: Collection[str]) -> None:
        """Compare what these stages would be run with."""

    def check_published(self, manifests: Mapping[str, Manifest]) -> None:
        """Compare what was published before and is used again."""

    def check_new(self, manifest: Manifest) -> None:
        """Compare what a stage has just made, before it is published."""


class Records(Protocol):
    """Keeps a record of what is published."""

    def lack(self, statuses: Mapping[str, StageStatus], stages: Collection[str]) -> list[Manifest]:
        """Return what is published and has no record yet; no file is read."""

    def sweep(self) -> None:
        """Remove what a killed process left, under the mutex."""

    def keep(self, manifest: Manifest) -> None:
        """Record what was published, under the mutex; where that fails there is a warning, and no error."""


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
        cache: the folder of downloads that projects share, or None.
        offline: ask no mirror on the web.
        wait: seconds to wait for another run in the same folder.
        promise: what the outputs have to be, or None where they are not promised.
        records: keeps a record of what is published, or None.
        command: what was typed, for those who find the folder locked.
        progress: progress callback.
        started: called with a stage's status before it runs.
        finished: called with each result as soon as it is there.
    """

    config: Config
    artifacts: Artifacts
    overrides: dict[str, Any]
    stages: tuple[str, ...]
    force: bool = False
    resume: Resume = "auto"
    mirrors: tuple[str, ...] = ()
    cache: Path | None = None
    offline: bool = False
    wait: float = 0
    promise: Promise | None = None
    records: Records | None = None
    command: str = "mnist"
    progress: Progress = SILENT
    started: Callable[[StageStatus], None] = lambda _status: None
    finished: Callable[[StageResult], None] = lambda _result: None

    def insists(self, stage: str) -> bool:
        """Tell whether a stage is to run even when it is fresh; training that must not go on is to begin again."""
        takes_resume = "resume" in self.artifacts.pipeline.stages[stage].takes
        return self.force or (takes_resume and self.resume == "never")
