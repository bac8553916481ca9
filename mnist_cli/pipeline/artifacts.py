"""Where artifacts live, and how a stage's new files replace its old ones: all of them, or none.

A stage writes into `artifacts/<stage>/.new/`, the manifest last. A folder without a manifest is thrown away. The files
of one with a manifest are moved into place; if a run dies while it moves them, the next run finishes the move.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mnist_cli import files, system
from mnist_cli.pipeline import manifest as manifests
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.mutex import HOLDER_NAME
from mnist_cli.stages.stage import BoundStage, Pipeline

_NEW = ".new"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The artifacts folder of a pipeline.

    Attributes:
        root: the folder, such as `artifacts`; it need not exist.
        pipeline: the stages that publish there.
        elsewhere: stage → folder of its published files, if that is not `root/stage`.
        digests: the cache of content digests in `root`; by default a new one.
    """

    root: Path
    pipeline: Pipeline
    elsewhere: dict[str, Path] = field(default_factory=dict)
    digests: DigestCache = field(default=cast("Any", None), compare=False)

    def __post_init__(self) -> None:
        if self.digests is None:
            object.__setattr__(self, "digests", DigestCache(self.root))

    def folder(self, stage: str) -> Path:
        """Return the folder of one stage's published files."""
        return self.elsewhere.get(stage) or self.root / stage

    def path(self, kind: str) -> Path:
        """Return where the one file of a kind is published, by the stage that `Pipeline.maker` gives."""
        return self.folder(self.pipeline.maker(kind).name) / self.pipeline.file(kind)

    def inputs(self, bound: BoundStage) -> dict[str, list[Path]]:
        """Return kind → the published files that a stage reads."""
        return {kind: [self.folder(source) / file for source, file in pairs] for kind, pairs in bound.inputs.items()}

    def manifest(self, stage: str) -> manifests.Manifest | None:
        """Read a stage's manifest, or its copy if the stage's folder was emptied; raises as `read_manifest`."""
        folder = self.folder(stage)
        found = manifests.read_manifest(folder / manifests.NAME)
        if found or not self._may_be_emptied(stage):
            return found
        if any((folder / name).exists() for name in self.pipeline.stages[stage].outputs):
            return None
        return manifests.read_manifest(self._copy(stage))

    def _may_be_emptied(self, stage: str) -> bool:
        """Tell whether a stage's files may be removed and made again; an export is not a stage, so its files stay."""
        return stage in self.pipeline.stages and bool(self.pipeline.stages[stage].spare)

    def has_manifest(self, stage: str) -> bool:
        """Tell whether the stage's own folder has a manifest."""
        return (self.folder(stage) / manifests.NAME).exists()

    def _copy(self, stage: str) -> Path:
        """Return where the copy of a manifest is kept for a stage whose files may be removed."""
        return self.root / f".{stage}-{manifests.NAME}"

    def begin(self, stage: str) -> Path:
        """Return an empty folder for a stage's new files, on the same file system as the published ones."""
        new = self.folder(stage) / _NEW
        files.remove(new, self.root)
        new.mkdir(parents=True)
        return new

    def commit(self, stage: str) -> None:
        """Move the files of `begin`'s folder, which holds a manifest, over the published ones, the manifest last."""
        folder = self.folder(stage)
        new = folder / _NEW
        for path in sorted(new.iterdir(), key=lambda path: (path.name == manifests.NAME, path.name)):
            if not path.name.startswith(files.TEMPORARY_PREFIX):
                system.replace(path, folder / path.name)
        files.sync_folder(folder)
        if self._may_be_emptied(stage) and stage not in self.elsewhere:
            with contextlib.suppress(OSError):  # without the copy, a stage with an emptied folder counts as never run
                files.write_bytes(self._copy(stage), files.read_regular(folder / manifests.NAME))
        files.remove(new, self.root)

    def discard(self, stage: str) -> None:
        """Throw away what a failed stage wrote."""
        with contextlib.suppress(OSError):
            files.remove(self.folder(stage) / _NEW, self.root)

    def recover(self, stage: str) -> None:
        """Finish or undo what a killed run left; call it only while holding the mutex."""
        new = self.folder(stage) / _NEW
        if (new / manifests.NAME).is_file() and not new.is_symlink() and not new.parent.is_symlink():
            self.commit(stage)
        for leftover in self._leftovers(stage):
            files.remove(leftover, self.root)

    def are_untidy(self) -> bool:
        """Tell whether a run was killed here, or is still going."""
        if (self.root / HOLDER_NAME).exists() or any(files.temporaries(self.root)):
            return True
        return any(any(self._leftovers(stage)) for stage in self.pipeline.stages)

    def _leftovers(self, stage: str) -> Iterator[Path]:
        """Yield a stage's `.new` folder and its temporary files and folders, those of its checkpoints too."""
        folder = self.folder(stage)
        if not folder.is_symlink():
            yield from folder.glob(_NEW)
            yield from files.temporaries(folder, depth=2)
