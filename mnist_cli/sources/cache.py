"""A folder of verified downloads that projects and users share, named by `MNIST_CACHE`.

Nothing in it is trusted. A file there is named after the SHA-256 that it must have. We copy it and verify the copy, so
nobody can replace it in between. Whoever may write to the folder can only make others download again.
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
from mnist_cli.sources.time_limits import TimeLimits
from mnist_cli.text import printable

_BLOCK = 1 << 20
# Seconds after which no process can still be writing a temporary file: the longest deadline of a fetch.
_ABANDONED = 86400


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache.

    Attributes:
        folder: its folder, created when the first file is kept.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its name as the source of a file."""
        return f"cache {printable(self.folder)}"

    def give(self, partial: PartialFile, time_limits: TimeLimits, report: Callable[[int], None]) -> bool:
        """Complete a partial file from the cache; return whether the cache has it.

        Raises:
            MirrorError: the cache has another file of that name, or it cannot be read.
            DeadlineExceeded: the time is up.
            OSError: the partial file cannot be written.
        """
        place = self.folder / partial.wanted.sha256
        if not partial.wanted.sha256 or not os.path.lexists(place):
            return False
        copy_file(place, partial, time_limits, report)
        return True

    def keep(self, partial: PartialFile) -> None:
        """Put a verified file into the cache, replacing any file of that name.

        Raises:
            OSError: it cannot be written.
        """
        sha256 = partial.wanted.sha256
        # A file from another wrapper has the right content, but not the bytes that the name promises.
        if not sha256 or files.sha256_of(partial.path) != sha256:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with partial.path.open("rb") as source, files.publish(self.folder / sha256) as target:
            while block := source.read(_BLOCK):
                target.write(block)

    def _sweep(self) -> None:
        """Remove temporary files of killed processes; those of other users may be protected by the folder's mode."""
        with contextlib.suppress(OSError):
            for leftover in files.temporaries(self.folder):
                if leftover.lstat().st_mtime < time.time() - _ABANDONED:
                    files.remove(leftover, self.folder)
