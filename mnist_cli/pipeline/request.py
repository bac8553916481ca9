"""What is asked of the runner, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Config
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.progress import SILENT, Progress
from mnist_cli.stages.stage import BoundStage, Resume


@dataclass(frozen=True)
class StageResult:
    """What became of one stage.

    Attributes:
        stage: its name.
        ran: whether it had to run.
        before: its status before, which says why.
        manifest: what is published now.
        taken_from: what it was published from instead of being run, such as the id of a kept run, or None.
    """

    stage: str
    ran: bool
    before: StageStatus
    manifest: Manifest
    taken_from: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether something was published just now."""
        return self.ran or self.taken_from is not None


@dataclass(frozen=True)
class Reusable:
    """What the same run of a stage gave before, which can be published instead of running it again.

    Attributes:
        name: what it is published from, such as the id of a kept run.
        manifest: of that run.
        contents: output → its bytes.
    """

    name: str
    manifest: Manifest
    contents: Mapping[str, bytes]


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
        command: what was typed, for those who find the folder locked.
        progress: progress callback.
        started: called with a stage's status before it runs.
        finished: called with each result as soon as it is there.
        reuse: returns what can be published instead of running a stage that is not up to date, or None.
        before_publish: called with what a stage has just made; an error keeps it from being published.
        before_use: called with what was published before and is used again; an error ends the run.
        published: called with what was just published, under the mutex.
        settled: called with all results when everything requested is up to date, without the mutex.
        recovered: called, under the mutex, after what a killed run left is finished or undone.
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
    command: str = "mnist"
    progress: Progress = SILENT
    started: Callable[[StageStatus], None] = lambda _status: None
    finished: Callable[[StageResult], None] = lambda _result: None
    reuse: Callable[[BoundStage, Mapping[str, StageStatus]], Reusable | None] = lambda _bound, _statuses: None
    before_publish: Callable[[Manifest], None] = lambda _manifest: None
    before_use: Callable[[Manifest], None] = lambda _manifest: None
    published: Callable[[Manifest], None] = lambda _manifest: None
    settled: Callable[[list[StageResult]], None] = lambda _results: None
    recovered: Callable[[], None] = lambda: None

    def insists(self, stage: str) -> bool:
        """Tell whether a stage is to run even when it is fresh; training that must not go on is to begin again."""
        takes_resume = "resume" in self.artifacts.pipeline.stages[stage].takes
        return self.force or (takes_resume and self.resume == "never")

    def may_reuse(self, stage: str) -> bool:
        """Tell whether a stage may be published from an earlier run; who insists on resuming wants it to be run."""
        return not self.insists(stage) and self.resume != "require"
