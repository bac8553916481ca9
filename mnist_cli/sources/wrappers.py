"""Find the same data in another wrapper: repacked, unpacked, under another usual name, in a zip archive or an .npz.

A find counts only if the digest of its content is right, so a wrong guess costs only the time to read it. Members of an
archive are read as streams: their names tell what they contain, never where anything is written.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from mnist_cli import files, system
from mnist_cli.datasets.folders import places, usual_names
from mnist_cli.errors import FormatError, MnistError
from mnist_cli.formats.byte_stream import GZIP_MAGIC, ByteStream, content_sha256
from mnist_cli.text import printable

_BLOCK = 1 << 20
# A folder with more archives, or an archive with more members, is a collection of something else.
_MOST_ARCHIVES = 20
_MOST_MEMBERS = 10_000
# The arrays of Keras's mnist.npz.
_ARRAYS = {
    "train-images": "x_train",
    "train-labels": "y_train",
    "test-images": "x_test",
    "test-labels": "y_test",
}
# What zipfile, zlib, gzip and NumPy raise for archives that are damaged, encrypted or packed in an unknown way.
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError, zipfile.BadZipFile, zlib.error)

Blocks = Iterator[bytes]


class WrongContent(Exception):
    """The content found is not the wanted one, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A place that may hold a wanted file's content.

    Attributes:
        what: its name in messages.
        blocks: yields the unpacked content block by block; raises the errors of reading a damaged file.
    """

    what: str
    blocks: Callable[[], Blocks]


def find(folder: Path, name: str, role: str) -> Iterator[Wrapped]:
    """Yield the places in a folder that may hold a file's content, the likeliest first.

    Args:
        folder: the folder, or one archive (.zip or .npz).
        name: the file's name on the mirrors.
        role: one of `datasets.ROLES`, or "" for a file without one.
    """
    if folder.is_file():
        yield from _in_archive(folder, name, role)
        return
    for place in places(folder):
        for usual in usual_names(name):
            path = place / usual
            if path.is_file():
                yield Wrapped(printable(path.relative_to(folder)), lambda path=path: _file_blocks(path))  # type: ignore[misc]
    archives = [path for place in places(folder) for suffix in ("npz", "zip") for path in place.glob(f"*.{suffix}")]
    for path in sorted(archives)[:_MOST_ARCHIVES]:
        if path.is_file():
            yield from _in_archive(path, name, role)


def save(wrapped: Wrapped, target: Path, content: str, limit: int, report: Callable[[int], None]) -> None:
    """Pack the content of a wrapper into a gzip file, if it is the wanted content.

    Args:
        wrapped: the wrapper.
        target: the file to write; it appears only if everything is right.
        content: the SHA-256 that the content must have.
        limit: the most bytes of content.
        report: called with the number of bytes of content read; an exception from it stops the reading.

    Raises:
        WrongContent: it is not that content.
        OSError: the target cannot be written.
    """
    temporary = files.temporary_beside(target)
    try:
        with files.naming(target), temporary.open("wb") as file:
            if _pack(_readable(wrapped), file, limit, report) != content:
                raise WrongContent
        system.replace(temporary, target)
    finally:
        files.remove(temporary, target.parent)


def pack_file(source: Path, target: Path) -> str:
    """Copy a user's file, packing it if necessary, and return the SHA-256 of its content.

    Raises:
        InputError: it cannot be read.
        FormatError: its gzip data are damaged.
        OSError: the target cannot be written.
    """
    with contextlib.closing(ByteStream(source)) as stream:
        is_packed = stream.compressed
    if is_packed:
        with files.open_regular(source) as file, files.naming(target), target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _BLOCK)
        return content_sha256(target)
    with files.naming(target), target.open("wb") as file:
        return _pack(_file_blocks(source), file, source.stat().st_size, lambda _done: None)


def extract(archive: Path, name: str, target: Path) -> None:
    """Copy one member of a zip archive, as it is packed in there, into a file.

    Args:
        archive: a zip archive whose digest has been verified.
        name: the member's name without its folders.
        target: the file to write.

    Raises:
        FormatError: the member does not exist, or cannot be read.
        OSError: the target cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            member = next((one for one in _members(opened) if PurePosixPath(one.filename).name == name), None)
            if member is None:
                raise FormatError(
                    archive, "a member is missing from the archive", expected=name, received="other members"
                )
            with opened.open(member) as source, files.naming(target), target.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
    except zipfile.BadZipFile as error:
        raise FormatError(archive, "not a zip archive", expected="a zip archive", received=error) from error


def packing(file: BinaryIO) -> gzip.GzipFile:
    """Return a gzip writer that stores no name or time, so that equal content gives equal bytes."""
    # Level 1: level 6 takes three times as long for an eighth fewer bytes.
    return gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0)


def _readable(wrapped: Wrapped) -> Blocks:
    try:
        yield from wrapped.blocks()
    except (MnistError, *_DAMAGE) as error:
        raise WrongContent from error


def _pack(blocks: Blocks, file: BinaryIO, limit: int, report: Callable[[int], None]) -> str:
    """Write the blocks as a gzip file and return the SHA-256 of their content."""
    digest = hashlib.sha256()
    done = 0
    with packing(file) as packed:
        for block in blocks:
            done += len(block)
            if done > limit:
                raise WrongContent
            digest.update(block)
            packed.write(block)
            report(done)
    return digest.hexdigest()


def _file_blocks(path: Path) -> Blocks:
    with contextlib.closing(ByteStream(path)) as stream:
        done = 0
        while block := stream.read(_BLOCK):
            done += len(block)
            yield block
        stream.finish(done)


def _in_archive(path: Path, name: str, role: str) -> Iterator[Wrapped]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member.filename for member in _members(archive)]
    except _DAMAGE:
        return
    shown = printable(path.name)
    for member in members:
        last = PurePosixPath(member).name
        if path.suffix == ".npz" and last == f"{_ARRAYS.get(role)}.npy":
            yield Wrapped(f"{shown} ({last[:-4]})", lambda member=member: _array_blocks(path, member))  # type: ignore[misc]
        elif last in usual_names(name):
            yield Wrapped(f"{shown} ({printable(member)})", lambda member=member: _member_blocks(path, member))  # type: ignore[misc]


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [member for member in archive.infolist()[:_MOST_MEMBERS] if not member.is_dir()]


def _member_blocks(path: Path, name: str) -> Blocks:
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        is_packed = member.read(2) == GZIP_MAGIC
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        content: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=member) if is_packed else member
        while block := content.read(_BLOCK):
            yield block


def _array_blocks(path: Path, name: str) -> Blocks:
    """Yield a NumPy array in an archive as the content of an IDX file."""
    import numpy as np

    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        header: Any = np.lib.format
        version = header.read_magic(member)
        read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
        shape, in_columns, dtype = read(member)
        if dtype.kind not in "iu" or (in_columns and len(shape) > 1) or not 1 <= len(shape) <= 3:
            raise ValueError("not an array of images or labels")
        yield bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        while block := member.read(_BLOCK * dtype.itemsize):
            numbers = np.frombuffer(block, dtype)
            narrow = numbers.astype(np.uint8)
            if not np.array_equal(narrow, numbers):
                raise ValueError("numbers above 255")
            yield narrow.tobytes()
