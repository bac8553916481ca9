"""A store that grows over several runs: after a kill at any moment, the next run resumes from the rows that are safe.

The file has its final size and layout from the start, and rows are written in place. A journal beside it records how
many rows are on the disk and their digests; the rest of the file is not trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_cli import files, system
from mnist_cli.formats.growing_journal import JOURNAL_NAME, PART_NAME, Journal, read_journal, write_journal
from mnist_cli.formats.hdf5_writing import change_hdf5_file, safe_hdf5_file
from mnist_cli.formats.store import ALIGNMENT, ARRAYS, SPLITS, Bytes
from mnist_cli.formats.store_writer import StoreFacts, create_arrays, describe

_BLOCK = 1 << 22


@dataclass
class _Array:
    """The offset of an array in the file, the length of its rows, and how many of them are written."""

    offset: int
    row: int
    rows: int
    written: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def resume(self, descriptor: int, rows: int, sha256: str) -> bool:
        """Read the rows that an earlier run wrote; return False if their digest differs."""
        if not 0 <= rows <= self.rows:
            return False
        position, end = self.offset, self.offset + rows * self.row
        while position < end and (block := system.bytes_at(descriptor, min(end - position, _BLOCK), position)):
            self.digest.update(block)
            position += len(block)
        self.written = rows
        return position == end and bool(self.digest.hexdigest() == sha256)


class GrowingStore:
    """A store that is being written, split by split, each from its first row.

    Args:
        folder: for the file and its journal; created if it does not exist.
        key: identifies everything that determines the bytes; rows of another key are dropped.
        counts: split → rows.
        width: length of a row, D.

    Attributes:
        path: the file.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """

    def __init__(self, folder: Path, key: str, counts: Mapping[str, int], width: int) -> None:
        self.path = folder / PART_NAME
        self._folder = folder
        self._key = key
        folder.mkdir(parents=True, exist_ok=True)
        layout = folder / "layout.part"
        with safe_hdf5_file(layout, alignment=ALIGNMENT) as file:
            create_arrays(file, counts, width)
            self._arrays = {name: _place_of(file[name]) for name in ARRAYS}
        self._file = self._resumed(layout)
        if self._file < 0:
            files.remove(folder / JOURNAL_NAME, folder)
            for array in self._arrays.values():
                array.written, array.digest = 0, hashlib.sha256()
            system.replace(layout, self.path)
            self._file = _opened(self.path)
        files.remove(layout, folder)

    def __enter__(self) -> GrowingStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; rows in the journal stay for the next run."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def rows(self, split: str) -> int:
        """Return the number of rows of a split that are written."""
        return self._arrays[f"/{split}/inputs"].written

    def append(self, split: str, inputs: Bytes, labels: Bytes) -> None:
        """Add rows to a split.

        Args:
            split: `train`, `validation` or `test`.
            inputs: uint8 [k, D].
            labels: uint8 [k].
        """
        for kind, rows in (("inputs", inputs), ("labels", labels)):
            array = self._arrays[f"/{split}/{kind}"]
            content = memoryview(np.ascontiguousarray(rows).data).cast("B")
            at = array.offset + array.written * array.row
            array.digest.update(content)
            with files.naming(self.path):
                while content:
                    done = system.write_at(self._file, content, at)
                    content, at = content[done:], at + done
            array.written += len(rows)

    def save(self) -> None:
        """Make the written rows safe: if the run is killed from now on, the next one resumes here."""
        with files.naming(self.path):
            os.fsync(self._file)
        state = {name: (array.written, array.digest.hexdigest()) for name, array in self._arrays.items()}
        write_journal(self._folder, Journal(self._key, state))

    def finish(self, target: Path, facts: StoreFacts) -> str:
        """Write the attributes and move the file to `target`, on the same file system.

        Returns:
            The content digest of the store.
        """
        self.save()
        self.close()
        sha256 = {name: array.digest.hexdigest() for name, array in self._arrays.items()}
        with change_hdf5_file(self.path) as file:
            digest = describe(self.path, file, facts, sha256)
        system.replace(self.path, target)
        files.remove(self._folder / JOURNAL_NAME, self._folder)
        with contextlib.suppress(OSError):  # it contains something else
            self._folder.rmdir()
        return digest

    def _resumed(self, layout: Path) -> int:
        """Open the file of an earlier run if its rows match the journal; return its descriptor, or −1.

        Everything around the arrays is reset to its initial state, as a run may have been killed while it was
        finishing.
        """
        journal = read_journal(self._folder)
        if journal is None or journal.key != self._key or sorted(journal.arrays) != sorted(self._arrays):
            return -1
        if self.path.is_symlink() or not self.path.is_file():
            return -1
        descriptor = _opened(self.path)
        with files.naming(self.path):
            if all(array.resume(descriptor, *journal.arrays[name]) for name, array in self._arrays.items()) and all(
                self._arrays[f"/{split}/inputs"].written == self._arrays[f"/{split}/labels"].written for split in SPLITS
            ):
                _reset_around(descriptor, layout, self._arrays)
                return descriptor
        os.close(descriptor)
        return -1


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))


def _place_of(array: h5py.Dataset) -> _Array:
    return _Array(array.id.get_offset() or 0, math.prod(array.shape[1:]), len(array))


def _reset_around(descriptor: int, layout: Path, arrays: Mapping[str, _Array]) -> None:
    """Copy everything except the arrays from an empty file of the same layout."""
    with layout.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        position = 0
        ends = sorted((array.offset, array.offset + array.rows * array.row) for array in arrays.values() if array.rows)
        for start, end in [*ends, (size, size)]:
            while position < start:
                block = system.bytes_at(file.fileno(), min(_BLOCK, start - position), position)
                position += system.write_at(descriptor, memoryview(block), position)
            position = max(position, end)
    os.ftruncate(descriptor, size)
