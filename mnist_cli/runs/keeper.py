"""Keeps the records of runs for the runner, which does not depend on them; imports as little as possible."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.errors import Locked, MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.pipeline.request import Request, Reusable, StageResult
from mnist_cli.progress import Progress
from mnist_cli.runs.names import FOLDER, is_recorded
from mnist_cli.stages.stage import EVALUATION, MODEL, BoundStage
from mnist_cli.text import plural, printable


@dataclass(frozen=True)
class RunKeeper:
    """Records trainings and evaluations, and publishes a training from its record instead of training again.

    Attributes:
        artifacts: where they are published; its root has the runs.
        keep_runs: how many of the newest runs to keep.
        progress: progress callback, which gets a warning if a record cannot be made.
    """

    artifacts: Artifacts
    keep_runs: int
    progress: Progress

    def attached(self, request: Request) -> Request:
        """Return a request with this keeper's callbacks."""
        return replace(
            request,
            reuse=lambda bound, statuses: self.find(bound, request.config, statuses),
            published=self.keep,
            settled=lambda results: self.complete(results, request.command),
            recovered=self.sweep,
        )

    def find(self, bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus]) -> Reusable | None:
        """Return the undamaged kept training that running this stage would give again, or None."""
        from mnist_cli.runs.reuse import find_same, reusable

        run = find_same(bound, config, statuses, self.artifacts)
        try:
            return reusable(run) if run else None
        except OSError:  # it was removed meanwhile
            return None

    def complete(self, results: list[StageResult], command: str) -> None:
        """Make missing records, left by a killed run or by an evaluation that holds for another run too.

        The records of the stages that have just run were already tried. If another run is in progress, or the folder
        cannot be written, the next run makes them.
        """
        lacking = [result.manifest for result in results if not result.is_new and self._lacks(result.manifest)]
        if lacking:
            with contextlib.suppress(Locked, OSError), locked(self.artifacts.root, command):
                for manifest in lacking:
                    self.keep(manifest)

    def _lacks(self, manifest: Manifest) -> bool:
        """Tell whether a published training or evaluation has no record, without reading records."""
        trainer, evaluator = (self.artifacts.pipeline.maker(kind).name for kind in (MODEL, EVALUATION))
        if manifest.stage not in (trainer, evaluator):
            return False
        try:
            train = manifest if manifest.stage == trainer else self.artifacts.manifest(trainer)
        except (MnistError, OSError):
            return False
        return train is not None and not is_recorded(self.artifacts.root, train, manifest)

    def sweep(self) -> None:
        """Remove what killed processes left in the folder of the runs."""
        folder = self.artifacts.root / FOLDER
        if not folder.is_symlink():
            files.sweep(folder, depth=1)

    def keep(self, manifest: Manifest) -> None:
        """Record what was just published; if that fails, only warn.

        The run that a new one pushes out is removed. If there are more, because `keep_runs` was lowered, only
        `mnist runs prune` removes them.
        """
        from mnist_cli.runs import recording  # slow, and not needed by a run with nothing to do

        try:
            recording.record(self.artifacts, manifest)
            if manifest.stage == self.artifacts.pipeline.maker(MODEL).name:
                self._prune(recording.surplus(self.artifacts, self.keep_runs))
        except (MnistError, OSError) as error:
            self.progress.warn(f"this run is not recorded in artifacts/runs: {printable(in_one_line(error))}")

    def _prune(self, surplus: list[str]) -> None:
        from mnist_cli.runs import recording

        if len(surplus) == 1:
            recording.remove_run(self.artifacts.root, surplus[0])
            self.progress.note(f"removed the oldest run, {surplus[0]}: keep_runs is {self.keep_runs}")
        elif surplus:
            self.progress.note(
                f"{plural(len(surplus), 'run')} more than keep_runs ({self.keep_runs}) are kept; "
                f"'mnist runs prune' removes {', '.join(surplus[:3])}{'…' if surplus[3:] else ''}"
            )
