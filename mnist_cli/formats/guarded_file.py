"""The file object through which HDF5 writes."""

from __future__ import annotations

import os
from typing import BinaryIO


class GuardedFile:
    """A file that never tells HDF5 of a failed write.

    HDF5 cannot close a file whose last writes fail: it keeps it open and crashes when the process ends. So the
    first error is kept for the caller, and from then on every operation seems to succeed.

    Attributes:
        error: the first failure, or None.
    """

    def __init__(self, raw: BinaryIO) -> None:
        # Below Python's buffer, which would report a failed write at some later seek.
        self._descriptor = raw.fileno()
        self._position = 0
        self._size = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, counted from the start or from the end of what was written."""
        self._position = offset if whence == os.SEEK_SET else self._size + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; past the end, and after a failure, with zeros."""
        content = b"" if self.error else os.pread(self._descriptor, len(buffer), self._position)
        buffer[:] = content.ljust(len(buffer), b"\0")
        return len(buffer)

    def write(self, content: memoryview) -> int:
        """Write all of it at the position, or remember why not."""
        end = self._position + len(content)
        while self._position < end and self.error is None:
            try:
                self._position += os.pwrite(self._descriptor, content[self._position - end :], self._position)
            except OSError as error:
                self.error = error
        self._position = end
        self._size = max(self._size, end)
        return len(content)

    def truncate(self, size: int) -> int:
        """Set the size, or remember why not."""
        self._size = size
        if self.error is None:
            try:
                os.ftruncate(self._descriptor, size)
            except OSError as error:
                self.error = error
        return size

    def flush(self) -> None:
        """Do nothing: no byte is held back here."""
