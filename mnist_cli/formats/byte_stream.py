"""Read the content of a file that may be gzip-compressed once, from the start to a verified end.

Python's gzip silently accepts an empty file, trailing zeros and concatenated members, so this module uses zlib: it
reads one member, verifies its checksum and length, and allows nothing after it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from mnist_cli import files
from mnist_cli.errors import FormatError, InputError
from mnist_cli.text import printable

GZIP_MAGIC = b"\x1f\x8b"
# Two bits of deflate can encode at most 258 bytes: https://zlib.net/zlib_tech.html
MAX_DEFLATE_RATIO = 1032
_BLOCK = 1 << 16
_CONTENT_BLOCK = 1 << 20
_AS_GZIP = 31


class ByteStream:
    """The content of one file, plain or gzip, as its first two bytes tell, not its name.

    Attributes:
        path: the file.
        file_size: its size on disk, in bytes.
        compressed: whether it is gzip.

    Raises:
        InputError: the file does not exist, is not a regular file, or must not be read.
        FormatError: it is empty. `read` and `finish` raise this too, for a damaged file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_regular(path)
        self._digest = hashlib.sha256()
        self._taken = 0
        self.file_size = os.fstat(self._file.fileno()).st_size
        # Bytes of the file that were read but not yet consumed.
        self._pending = b""
        try:
            self._pending = self._next_block()
            if not self._pending:
                raise FormatError(path, "the file is empty", expected="content", received="0 bytes", offset=0)
        except BaseException:
            self.close()
            raise
        self.compressed = self._pending.startswith(GZIP_MAGIC)
        self._inflate = zlib.decompressobj(_AS_GZIP) if self.compressed else None

    @property
    def capacity(self) -> int:
        """The most bytes of content that a file of this size can hold."""
        return self.file_size * MAX_DEFLATE_RATIO if self.compressed else self.file_size

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content that has been read; of all of it once `finish` has returned."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes of content; fewer only at the end.

        Raises:
            FormatError: the gzip data are damaged or end too early.
        """
        pieces = []
        while count > 0:
            piece = self._plain_piece(count) if self._inflate is None else self._inflated_piece(count)
            if not piece:
                break
            self._digest.update(piece)
            pieces.append(piece)
            count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self, offset: int) -> None:
        """Verify that the content ends here, and that the file ends with it.

        Args:
            offset: bytes of content read so far, for the error.

        Raises:
            FormatError: there is more content, or something follows the gzip data in the file.
        """
        if self.read(1):
            raise FormatError(
                self.path,
                "more content than the header declares",
                expected=f"{offset} bytes",
                received="more",
                offset=offset,
            )
        if self._inflate is not None:
            trailing = self._inflate.unused_data or self._next_block()
            if trailing:
                raise self._unexpected(trailing)

    def _plain_piece(self, count: int) -> bytes:
        if not self._pending:
            self._pending = self._next_block()
        piece, self._pending = self._pending[:count], self._pending[count:]
        return piece

    def _inflated_piece(self, count: int) -> bytes:
        assert self._inflate is not None
        while not self._inflate.eof:
            try:
                # Called even without input: zlib may hold back content that the last limit cut off.
                piece = self._inflate.decompress(self._pending, count)
            except zlib.error as error:
                raise self._damaged(str(error)) from error
            self._pending = self._inflate.unconsumed_tail
            if piece:
                return piece
            if not self._pending and not self._inflate.eof:
                self._pending = self._next_block()
                if not self._pending:
                    raise FormatError(
                        self.path,
                        f"the gzip data end too early, at byte {self._taken} of the file",
                        expected="the end of the gzip member",
                        received="the end of the file",
                    )
        return b""

    def _next_block(self) -> bytes:
        try:
            block = self._file.read(_BLOCK)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        self._taken += len(block)
        return block

    def _damaged(self, reason: str) -> FormatError:
        # zlib says what is wrong, not where; the block that it was given is the best known position.
        start = self._taken - len(self._pending)
        return FormatError(
            self.path,
            f"the gzip data are damaged between bytes {start} and {self._taken} of the file",
            expected="gzip data with a matching checksum",
            received=printable(reason.rpartition(": ")[2]),
        )

    def _unexpected(self, trailing: bytes) -> FormatError:
        start = self._taken - len(trailing)
        if trailing.startswith(GZIP_MAGIC):
            what = "a second gzip member"
        elif not trailing.strip(b"\0"):
            what = "zeros"
        else:
            what = f"0x{trailing[:4].hex()}…"
        return FormatError(
            self.path,
            f"unexpected data after the gzip data, at byte {start} of the file",
            expected=f"the end of the file after {start} bytes",
            received=f"{self.file_size - start} more bytes: {what}",
        )


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of the content of a file, unpacked if it is packed.

    Raises:
        InputError: the file does not exist, or cannot be read.
        FormatError: it is empty, or its gzip data are damaged.
    """
    stream = ByteStream(path)
    try:
        done = 0
        while block := stream.read(_CONTENT_BLOCK):
            done += len(block)
        stream.finish(done)
    finally:
        stream.close()
    return stream.sha256


def content_digest(path: Path) -> str:
    """Return the digest of a file's content; for the names .h5 and .gz, of the HDF5 or unpacked content.

    Raises:
        OSError: the file is missing or cannot be read.
        FormatError: it has the name but not the content of an HDF5 file, or is a damaged gzip file.
    """
    if path.suffix == ".h5":
        from mnist_cli.formats import hdf5

        return hdf5.content_digest(path)
    return content_sha256(path) if path.suffix == ".gz" else files.sha256_of(path)


def _open_regular(path: Path) -> BinaryIO:
    try:
        return files.open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{printable(path)}: cannot be read: {error.strerror or printable(error)}")
