"""Guess what an unexpected file is, for a message."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files
from mnist_cli.datasets import DATASETS, DataFile
from mnist_cli.text import printable

_HEAD = 4096
_GZIP_MAGIC = b"\x1f\x8b"
_IDX_ITEM_BYTES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}

# A larger file is none of those above, so it is not read to the end for a message.
_LARGEST_LOOKALIKE = 64 << 20


def page_or_pointer(head: bytes) -> str | None:
    """Return what replaces a missing file, such as an error page, judging by its first bytes; else None."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a git-LFS pointer instead of the file"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start:
        return "an HTML page"
    if start.startswith(b"<?xml"):
        return "an XML document"
    return None


def description_of(path: Path, wanted: DataFile) -> str:
    """Return in a few words what the wrong file at `path` seems to be.

    Args:
        path: a regular file.
        wanted: what was expected there.

    Returns:
        One printable line that continues after "is" or "has".

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    sizes = f"{size:,} of {wanted.size:,} bytes"
    if size == 0:
        return "an empty file"
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - 4))
        tail = file.read(4)
    guess = page_or_pointer(head) or _known_file(path, size)
    if guess:
        return guess
    if header := _idx_header(head):
        return f"an uncompressed IDX file ({header.shape})"
    if head.startswith(_GZIP_MAGIC):
        # A gzip file ends with the length of its content: if that matches the header, the file is complete.
        header = _idx_header(_inflated(head))
        if size != wanted.size and header and header.length % 2**32 == int.from_bytes(tail, "little"):
            return f"another IDX file ({header.shape})"
        if size < wanted.size:
            return f"a truncated file ({sizes})"
    return "a damaged file: the size is right, the SHA-256 is not" if size == wanted.size else f"another file ({sizes})"


def _known_file(path: Path, size: int) -> str | None:
    if size > _LARGEST_LOOKALIKE:
        return None
    sha256 = files.sha256_of(path)
    for dataset in DATASETS.values():
        for file in dataset.files.values():
            if file.sha256 == sha256:
                return f"{file.name} of {dataset.name}"
    return None


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b""


@dataclass(frozen=True, slots=True)
class _IdxHeader:
    shape: str  # such as 60,000 × 28 × 28
    length: int  # of the whole file that it declares, in bytes


def _idx_header(content: bytes) -> _IdxHeader | None:
    if len(content) < 8 or content[:2] != b"\0\0" or content[2] not in _IDX_ITEM_BYTES or content[3] == 0:
        return None
    end = 4 + 4 * content[3]
    if len(content) < end:
        return None
    lengths = struct.unpack(f">{content[3]}I", content[4:end])
    shape = " × ".join(f"{length:,}" for length in lengths)
    return _IdxHeader(printable(shape, 60), end + math.prod(lengths) * _IDX_ITEM_BYTES[content[2]])
