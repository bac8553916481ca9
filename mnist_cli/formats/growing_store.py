"""A store that grows over several runs: killed at any moment, the next run goes on from the rows that are safe.

The file has its final size and places from the beginning, and rows are written where they belong. A journal beside it
says how many rows of which bytes are on the disk; nothing else of the file is believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_cli import files, system
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
        self.path = folder / "store.part"
        self._journal = folder / "journal.json"
        self._key = key
        folder.mkdir(parents=True, exist_ok=True)
        written = self._kept()
        if written is None:
            files.remove(self._journal, folder)
            with safe_hdf5_file(self.path, alignment=ALIGNMENT) as file:
                create_arrays(file, counts, width)
        self._arrays = self._places()
        if written is None or not self._resume(written):
            for array in self._arrays.values():
                array.written, array.digest = 0, hashlib.sha256()
        self._file = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))

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
        state = {name: [array.written, array.digest.hexdigest()] for name, array in self._arrays.items()}
        files.write_json(self._journal, {"key": self._key, "arrays": state})

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
        files.remove(self._journal, self._journal.parent)
        return digest

    def _kept(self) -> Mapping[str, tuple[int, str]] | None:
        """Return what the journal says of this key's arrays, if it does."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            journal = json.loads(files.read_regular(self._journal))
            if journal["key"] == self._key and self.path.is_file() and not self.path.is_symlink():
                return {name: (int(rows), str(sha256)) for name, (rows, sha256) in journal["arrays"].items()}
        return None

    def _places(self) -> dict[str, _Array]:
        with h5py.File(self.path, "r", locking=False) as file:
            return {
                name: _Array(file[name].id.get_offset() or 0, math.prod(file[name].shape[1:]), len(file[name]))
                for name in ARRAYS
            }

    def _resume(self, written: Mapping[str, tuple[int, str]]) -> bool:
        """Read what the journal vouches for; False where the bytes are others."""
        if sorted(written) != sorted(self._arrays):
            return False
        with files.open_regular(self.path) as file:
            for name, (rows, sha256) in written.items():
                array = self._arrays[name]
                if not 0 <= rows <= array.rows:
                    return False
                file.seek(array.offset)
                left = rows * array.row
                while left and (block := file.read(min(left, _BLOCK))):
                    array.digest.update(block)
                    left -= len(block)
                if left or array.digest.hexdigest() != sha256:
                    return False
                array.written = rows
        return all(self._arrays[f"/{s}/inputs"].written == self._arrays[f"/{s}/labels"].written for s in SPLITS)
