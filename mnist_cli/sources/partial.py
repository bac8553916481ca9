"""Unfinished downloads, kept apart from published files and moved there only when all are verified."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mnist_cli import files, system
from mnist_cli.datasets import DataFile
from mnist_cli.errors import InputError
from mnist_cli.formats.byte_stream import content_sha256

_SUFFIX = ".part"
_DIGITS = 16  # of the digest
_NAME = re.compile(rf"[0-9a-f]{{{_DIGITS}}}-.+{re.escape(_SUFFIX)}", re.DOTALL)


class PartialFile:
    """The bytes of one pinned file received so far; its name begins with the pinned digest.

    A file from another wrapper is only ever here as a whole: other bytes with the pinned content.

    As the digest is part of the name, the bytes may come from several mirrors in several runs, and cannot be mistaken
    for the published file or for the beginning of another one.
    """

    def __init__(self, folder: Path, wanted: DataFile, role: str = "") -> None:
        self.wanted = wanted
        self.role = role
        self.path = folder / f"{wanted.sha256[:_DIGITS]}-{wanted.name}{_SUFFIX}"

    def size(self) -> int:
        """Return the number of bytes; 0 if there is no file."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @contextlib.contextmanager
    def append_from(self, offset: int) -> Iterator[BinaryIO]:
        """Yield the file for writing after its first `offset` bytes; the bytes after them are dropped."""
        self.cut(offset)
        with files.naming(self.path), self.path.open("ab") as file:
            yield file

    def is_right(self) -> bool:
        """Return whether the file is complete and it or its content has the pinned SHA-256."""
        return is_right(self.path, self.wanted) if self.size() else False

    def cut(self, size: int) -> None:
        """Keep only the first `size` bytes, because the others cannot be trusted."""
        if self.size() > size:
            os.truncate(self.path, size)


def is_partial(path: Path) -> bool:
    """Return whether something is a partial file, judging by its name."""
    return bool(_NAME.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def is_right(path: Path, wanted: DataFile) -> bool:
    """Return whether a file is the wanted one: by its own digest, or by that of its content.

    Raises:
        OSError: the file cannot be read.
    """
    if path.stat().st_size == wanted.size and files.sha256_of(path) == wanted.sha256:
        return True
    if not wanted.content:
        return False
    try:
        return content_sha256(path) == wanted.content
    except InputError:
        return False


def publish_all(moves: Iterable[tuple[Path, Path]], folder: Path) -> None:
    """Rename complete files to their places in `folder`, durably.

    Every file is on disk before the first one is renamed, so that the time during which some names are new and some are
    old is as short as possible.

    Args:
        moves: the path of each file and its target in `folder`, which is on the same file system.
        folder: the folder of all targets.
    """
    moves = tuple(moves)
    for source, _ in moves:
        with source.open("rb") as file, files.naming(source):
            os.fsync(file.fileno())
    for source, target in moves:
        system.replace(source, target)
    if moves:
        files.sync_folder(folder)


def partial_files(folder: Path) -> Iterator[Path]:
    """Yield the partial downloads in `folder`."""
    yield from folder.glob(f"{'[0-9a-f]' * _DIGITS}-*{_SUFFIX}")


@contextlib.contextmanager
def drop_empty(partial: Path) -> Iterator[None]:
    """After the block, remove empty partial files and the folder if it is empty: nothing can resume from them."""
    try:
        yield
    finally:
        for path in partial_files(partial):
            if path.is_file() and not path.stat().st_size:
                files.remove(path, partial)
        with contextlib.suppress(OSError):
            partial.rmdir()


def tidy(folder: Path) -> None:
    """Remove the partial downloads in `folder`, and the folder unless it contains something else."""
    files.sweep(folder)
    for leftover in partial_files(folder):
        files.remove(leftover, folder)
    with contextlib.suppress(OSError):
        folder.rmdir()
