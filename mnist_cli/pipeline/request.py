"""Requests to the runner, and their results."""

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
    """The result of one stage.

    Attributes:
        stage: its name.
        ran: whether it ran.
        before: its status before the run, with the reasons.
        manifest: the manifest that is published now.
        taken_from: the source it was published from instead of running, such as the id of a kept run, or None.
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
    """The outputs of an identical earlier run of a stage, which can be published instead of running it again.

    Attributes:
        name: the source, such as the id of a kept run.
        manifest: the manifest of that run.
        contents: output → its bytes.
    """

    name: str
    manifest: Manifest
    contents: Mapping[str, bytes]


@dataclass(frozen=True)
class Request:
    """Which stages to run, with what, and where.

    Attributes:
        config: the configuration.
        artifacts: the artifacts folder.
        overrides: values of the configuration that came from the command line; recorded in the manifests.
        stages: names of the stages to bring up to date, in pipeline order and without gaps.
        force: run them even if they are up to date.
        resume: whether training may, must or must not resume from a checkpoint.
        mirrors: addresses and folders to try before the configured ones.
        cache: the folder of downloads that projects share, or None.
        offline: use no mirror on the web.
        wait: seconds to wait for another run in the same folder.
        command: the command as typed, shown to others who find the folder locked.
        progress: progress callback.
        started: called with a stage's status before it runs.
        finished: called with each result as soon as it is known.
        reuse: returns what can be published instead of running a stage that is not up to date, or None.
        before_publish: called with the manifest of what a stage has just made; an error keeps it from being published.
        before_use: called with the manifest of an up-to-date stage before it is used; an error ends the run.
        published: called with the manifest of what was just published, while the mutex is held.
        settled: called with all results when everything requested is up to date, without the mutex.
        recovered: called after what a killed run left is finished or undone, while the mutex is held.
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
        """Tell whether a stage must run even if it is up to date; training that must not resume starts over."""
        takes_resume = "resume" in self.artifacts.pipeline.stages[stage].takes
        return self.force or (takes_resume and self.resume == "never")

    def may_reuse(self, stage: str) -> bool:
        """Tell whether a stage may be published from an earlier run; with resume "require" it must run."""
        return not self.insists(stage) and self.resume != "require"
