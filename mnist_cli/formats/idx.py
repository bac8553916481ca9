"""Read the IDX format, in which MNIST is published, strictly and block by block.

    byte 0, 1    zero
    byte 2       type: 08 ubyte, 09 byte, 0B short, 0C int, 0D float, 0E double
    byte 3       number of dimensions, d
    4 … 4+4d     the dimensions, unsigned big-endian 32-bit
    then         the data, big-endian, last dimension fastest

Source: the description at the foot of http://yann.lecun.com/exdb/mnist/. The file may be gzip-compressed.
"""

from __future__ import annotations

import math
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import FormatError
from mnist_cli.formats.byte_stream import ByteStream

Array = npt.NDArray[Any]

# Type byte → dtype in the file.
IDX_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
# The limit of NumPy 1; the format itself allows 255.
_MAX_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class IdxHeader:
    """The header of an IDX file.

    Attributes:
        dtype: type of the elements, in the byte order of this machine.
        shape: the dimensions; the first counts the rows (images, labels).
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the header; the data begin after them."""
        return 4 + 4 * len(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    @property
    def data_bytes(self) -> int:
        """Bytes of all rows."""
        return self.shape[0] * self.row_bytes


class IdxReader:
    """An IDX file, open for reading its rows in order; use it in a `with` statement.

    Attributes:
        path: the file.
        header: its type and shape, checked against the size of the file.
        rows_left: number of rows not yet read.

    Raises:
        InputError: the file does not exist, or cannot be read.
        FormatError: the header is wrong, or impossible for a file of this size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = ByteStream(path)
        try:
            self.header = _parse_header(self._stream)
            self.rows_left = self.header.shape[0]
            self._file_dtype = self.header.dtype.newbyteorder(">")
            self._offset = self.header.size
            if self.header.data_bytes == 0:
                self._stream.finish(self._offset)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's content, unpacked, once the last row has been read."""
        return self._stream.sha256

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def read_rows(self, count: int) -> Array:
        """Return the next `count` rows, or as many as are left; read-only if nothing had to be converted.

        The last row is returned only after the end of the file has been verified.

        Raises:
            FormatError: the data are too short, too long, or damaged.
        """
        count = min(count, self.rows_left)
        expected = count * self.header.row_bytes
        content = self._stream.read(expected)
        if len(content) < expected:
            received = self._offset - self.header.size + len(content)
            raise _wrong_length(self.path, self.header, received, self._offset + len(content))
        self._offset += expected
        self.rows_left -= count
        if count and not self.rows_left and self.header.row_bytes:
            self._stream.finish(self._offset)
        rows = np.frombuffer(content, self._file_dtype).reshape(count, *self.header.shape[1:])
        return rows.astype(self.header.dtype, copy=False)


def _parse_header(stream: ByteStream) -> IdxHeader:
    path = stream.path
    start = stream.read(4)
    if len(start) < 4:
        raise FormatError(
            path, "too short for IDX", expected="4 bytes", received=f"{len(start)} bytes", offset=len(start)
        )
    if start[:2] != b"\0\0":
        raise FormatError(path, "not an IDX file", expected="0x0000", received=f"0x{start[:2].hex()}", offset=0)
    if start[2] not in IDX_TYPES:
        types = ", ".join(f"0x{code:02x}" for code in IDX_TYPES)
        raise FormatError(path, "unknown IDX type", expected=f"one of {types}", received=f"0x{start[2]:02x}", offset=2)
    dimensions = start[3]
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        expected = f"1 to {_MAX_DIMENSIONS}"
        raise FormatError(path, "wrong number of IDX dimensions", expected=expected, received=dimensions, offset=3)
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        expected, received = f"{4 + 4 * dimensions} bytes", f"{4 + len(sizes)} bytes"
        raise FormatError(
            path, "the IDX header ends too early", expected=expected, received=received, offset=4 + len(sizes)
        )
    dtype: np.dtype[Any] = IDX_TYPES[start[2]].newbyteorder("=")
    header = IdxHeader(dtype, struct.unpack(f">{dimensions}I", sizes))
    _check_size(stream, header)
    return header


def _check_size(stream: ByteStream, header: IdxHeader) -> None:
    """Refuse a header that does not fit the size of the file, before anything is allocated for it."""
    # NumPy multiplies the nonzero dimensions, even if one is zero.
    elements = math.prod(size for size in header.shape if size)
    if elements * header.dtype.itemsize > sys.maxsize - header.size:
        raise FormatError(
            stream.path,
            f"the IDX dimensions {_dimensions(header)} are too large",
            expected=f"at most {sys.maxsize} bytes",
            received=f"{elements * header.dtype.itemsize} bytes",
            offset=4,
        )
    if header.size + header.data_bytes > stream.capacity and stream.compressed:
        raise FormatError(
            stream.path,
            f"the IDX dimensions {_dimensions(header)} are too large for a gzip file of {stream.file_size} bytes",
            expected=f"at most {stream.capacity} bytes",
            received=f"{header.size + header.data_bytes} bytes",
            offset=4,
        )
    received = stream.file_size - header.size
    if not stream.compressed and received != header.data_bytes:
        raise _wrong_length(stream.path, header, received, header.size + min(received, header.data_bytes))


def _wrong_length(path: Path, header: IdxHeader, received: int, offset: int) -> FormatError:
    problem = "the IDX data end too early" if received < header.data_bytes else "extra bytes after the IDX data"
    return FormatError(
        path,
        problem,
        expected=f"{header.data_bytes} bytes of data ({_dimensions(header)} {header.dtype})",
        received=f"{received}",
        offset=offset,
    )


def _dimensions(header: IdxHeader) -> str:
    return "×".join(str(size) for size in header.shape)
