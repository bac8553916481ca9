"""A folder of verified downloads that projects, and users, share: what `MNIST_CACHE` names.

Nothing in it is trusted. A file there is named after the SHA-256 that it must have; it is copied, and the copy is
compared, so nobody can exchange it in between. Whoever may write in the folder can cost the others a download, and
nothing else.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files
from mnist_cli.sources.folder import copy_file
from mnist_cli.sources.partial import PartialFile
from mnist_cli.sources.patience import Patience
from mnist_cli.text import printable

_BLOCK = 1 << 20
# Seconds after which nobody is writing a temporary file any more: the longest deadline of a fetch.
_ABANDONED = 86400


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache.

    Attributes:
        folder: where it is; made when something is to be kept.
    """

    folder: Path

    @property
    def name(self) -> str:
        """How it is shown as the source of a file."""
        return f"cache {printable(self.folder)}"

    def give(self, partial: PartialFile, patience: Patience, report: Callable[[int], None]) -> bool:
        """Complete a partial file, and return whether the cache has it.

        Raises:
            MirrorError: the cache has something else under its name, or it cannot be read.
            DeadlineExceeded: the time is over.
            OSError: the partial file cannot be written.
        """
        place = self.folder / partial.wanted.sha256
        if not partial.wanted.sha256 or not os.path.lexists(place):
            return False
        copy_file(place, partial, patience, report)
        return True

    def keep(self, partial: PartialFile) -> None:
        """Put a verified file into the cache; what was there under its name is replaced.

        Raises:
            OSError: it cannot be written.
        """
        sha256 = partial.wanted.sha256
        # What came in another wrapper is right by its content alone, and has not the bytes of that name.
        if not sha256 or files.sha256_of(partial.path) != sha256:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with partial.path.open("rb") as source, files.publish(self.folder / sha256) as target:
            while block := source.read(_BLOCK):
                target.write(block)

    def _sweep(self) -> None:
        """Remove what killed processes left; that of other users stays where the folder's mode protects it."""
        with contextlib.suppress(OSError):
            for leftover in files.temporaries(self.folder):
                if leftover.lstat().st_mtime < time.time() - _ABANDONED:
                    files.remove(leftover, self.folder)
