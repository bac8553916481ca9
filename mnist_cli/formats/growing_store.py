"""A store that grows over several runs: killed at any moment, the next run goes on from the rows that are safe.

The file has its final size and places from the beginning, and rows are written where they belong. A journal beside it
says how many rows of which bytes are on the disk; nothing else of the file is believed.
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
    """Where an array lies in the file, how long its rows are, and what of it is written."""

    offset: int
    row: int
    rows: int
    written: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def resume(self, descriptor: int, rows: int, sha256: str) -> bool:
        """Read the rows that an earlier run has written; False where their bytes have another digest."""
        if not 0 <= rows <= self.rows:
            return False
        position, end = self.offset, self.offset + rows * self.row
        while position < end and (block := system.bytes_at(descriptor, min(end - position, _BLOCK), position)):
            self.digest.update(block)
            position += len(block)
        self.written = rows
        return position == end and bool(self.digest.hexdigest() == sha256)


class GrowingStore:
    """A store that is being written, split by split, each from its first row on.

    Args:
        folder: of the file and its journal; made when it is not there.
        key: what decides every byte; of another key nothing is kept.
        counts: split → rows.
        width: of a row, D.

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
        """Close the file; what was written stays for the next run as far as the journal says so."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def rows(self, split: str) -> int:
        """Return how many rows of a split are written."""
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
        """Make what was written safe: a run that is killed from now on is gone on with from here."""
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
        with contextlib.suppress(OSError):  # something else is in it
            self._folder.rmdir()
        return digest

    def _resumed(self, layout: Path) -> int:
        """Open the file of an earlier run if its rows are what the journal says; return its descriptor, or −1.

        What HDF5 wrote around the arrays is put back to what it was in the beginning: a run may have been killed while
        it was finishing.
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
                _put_back(descriptor, layout, self._arrays)
                return descriptor
        os.close(descriptor)
        return -1


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))


def _place_of(array: h5py.Dataset) -> _Array:
    return _Array(array.id.get_offset() or 0, math.prod(array.shape[1:]), len(array))


def _put_back(descriptor: int, layout: Path, arrays: Mapping[str, _Array]) -> None:
    """Copy everything but the arrays from an empty file with the same arrays."""
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
