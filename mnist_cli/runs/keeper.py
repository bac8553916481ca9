"""Keeps records for the runner: as little as it can before there is something to record, as nothing depends on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mnist_cli import files
from mnist_cli.errors import MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.progress import Progress
from mnist_cli.runs.names import FOLDER, is_recorded
from mnist_cli.stages.stage import EVALUATION, MODEL
from mnist_cli.text import plural, printable


@dataclass(frozen=True)
class RunKeeper:
    """Records trainings and evaluations; see `pipeline.request.Records`.

    Attributes:
        artifacts: where they are published; its root has the runs.
        keep_runs: how many runs stay, the newest ones.
        progress: gets a warning where a record cannot be made.
    """

    artifacts: Artifacts
    keep_runs: int
    progress: Progress

    def lack(self, statuses: Mapping[str, StageStatus], stages: Collection[str]) -> list[Manifest]:
        """Return what is published and has no record: a run was killed, or another one's evaluation holds for it too.

        No file is read. A training that is not up to date is left to the run that replaces it.
        """
        trains, evaluates = (self.artifacts.pipeline.maker(kind).name for kind in (MODEL, EVALUATION))
        train = statuses[trains].manifest if trains in statuses else None
        published = [
            statuses[name].manifest
            for name in (trains, evaluates)
            if name in stages and name in statuses and statuses[name].fresh
        ]
        return [made for made in published if train and made and not is_recorded(self.artifacts.root, train, made)]

    def sweep(self) -> None:
        """Remove what killed processes left in the folder of the runs."""
        folder = self.artifacts.root / FOLDER
        if not folder.is_symlink():
            files.sweep(folder, depth=1)

    def keep(self, manifest: Manifest) -> None:
        """Record what was just published; where that fails, it is published all the same, and there is a warning.

        The run that a new one pushes out is removed. More than that, as when `keep_runs` was lowered, only
        `mnist runs prune` removes.
        """
        from mnist_cli.runs import recording  # a run with nothing to do does not pay for it

        try:
            recording.record(self.artifacts, manifest)
            if manifest.stage == self.artifacts.pipeline.maker(MODEL).name:
                self._prune(recording.surplus(self.artifacts, self.keep_runs))
        except (MnistError, OSError) as error:
            self.progress.warn(f"no record of it is kept in artifacts/runs: {printable(in_one_line(error))}")

    def _prune(self, surplus: list[str]) -> None:
        from mnist_cli.runs import recording

        if len(surplus) == 1:
            recording.remove_run(self.artifacts.root, surplus[0])
            self.progress.note(f"run {surplus[0]}, the oldest, was removed: keep_runs is {self.keep_runs}")
        elif surplus:
            self.progress.note(
                f"{plural(len(surplus), 'run')} more than keep_runs ({self.keep_runs}) are kept; "
                f"'mnist runs prune' removes {', '.join(surplus[:3])}{'…' if surplus[3:] else ''}"
            )
