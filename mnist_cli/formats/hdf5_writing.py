"""Write HDF5 files whole or not at all; equal content gives equal bytes.

Every version of the library writes the format of HDF5 1.10: its metadata have checksums, which reveal a flipped bit in
a header, and both version bounds are fixed, so a newer library writes the same bytes. No object stores times.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from mnist_cli import files, system
from mnist_cli.signals import deferred_signals


@contextlib.contextmanager
def safe_hdf5_file(target: Path, *, alignment: int = 1) -> Iterator[h5py.File]:
    """Yield an empty HDF5 file to fill; it becomes `target` at once if the block ends without an error.

    The content is written to a temporary file right away, so memory does not grow with it. Create groups with
    `create_group` and text attributes with `write_text`; otherwise the bytes depend on times or addresses.

    SIGINT and SIGTERM are deferred to the end of the block; a long block checks `deferred_signals` now and then.

    Args:
        target: the file.
        alignment: in bytes; every array begins at a multiple of it.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then unchanged.
    """
    with _signals_deferred(), files.publish(target) as raw:
        guarded = _GuardedFile(raw)
        with _write_errors_raised(guarded, target), contextlib.closing(_create(guarded, alignment)) as file:
            yield file


@contextlib.contextmanager
def change_hdf5_file(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file to extend in place, which nobody may be reading yet; otherwise as `safe_hdf5_file`.

    Raises:
        OSError: the file cannot be written, or the disk is full.
    """
    with _signals_deferred(), path.open("r+b") as raw:
        guarded = _GuardedFile(raw)
        with _write_errors_raised(guarded, path), contextlib.closing(_open(guarded)) as file:
            yield file
        with files.naming(path):
            os.fsync(raw.fileno())


@contextlib.contextmanager
def _write_errors_raised(guarded: _GuardedFile, target: Path) -> Iterator[None]:
    try:
        yield
    except Exception as problem:
        # Whatever failed in HDF5 afterwards, the failed write is the cause.
        if guarded.error is None:
            raise
        raise _named(guarded.error, target) from problem
    if guarded.error is not None:
        raise _named(guarded.error, target) from guarded.error


def create_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Create the group `name` in `parent` without the times that h5py's own `create_group` may store."""
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode(), gcpl=properties))


def write_text(holder: h5py.Group, name: str, text: str) -> None:
    """Store `text` as an attribute of fixed length in UTF-8.

    h5py stores a `str` with variable length in a heap without a checksum; a fixed length stays in the object's header,
    which has one.
    """
    encoded = text.encode()
    dtype = h5py.string_dtype("utf-8", max(1, len(encoded)))
    holder.attrs.create(name, np.array(encoded, dtype=f"S{max(1, len(encoded))}"), dtype=dtype)


class _GuardedFile:
    """A file that hides failed reads and writes from HDF5.

    HDF5 cannot close a file whose last writes fail: it keeps it open and crashes when the process ends. So this keeps
    the first error for the caller, and from then on every operation seems to succeed.

    Attributes:
        error: the first failure, or None.
    """

    def __init__(self, raw: BinaryIO) -> None:
        # Bypasses Python's buffer, which would report a failed write only at a later seek.
        self._descriptor = raw.fileno()
        self._position = 0
        self._size = os.fstat(self._descriptor).st_size
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, relative to the start or the end of the file."""
        self._position = offset if whence == os.SEEK_SET else self._size + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; past the end, and after a failure, with zeros."""
        count = 0
        if self.error is None:
            try:
                count = system.read_at(self._descriptor, buffer, self._position)
            except OSError as error:
                self.error = error
        buffer[count:] = bytes(len(buffer) - count)
        return len(buffer)

    def write(self, content: memoryview) -> int:
        """Write all of the content at the position, or keep the error."""
        end = self._position + len(content)
        while self._position < end and self.error is None:
            try:
                rest = content[self._position - end :]
                self._position += system.write_at(self._descriptor, rest, self._position)
            except OSError as error:
                self.error = error
        self._position = end
        self._size = max(self._size, end)
        return len(content)

    def truncate(self, size: int) -> int:
        """Set the size, or keep the error."""
        self._size = size
        if self.error is None:
            try:
                os.ftruncate(self._descriptor, size)
            except OSError as error:
                self.error = error
        return size

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


def _create(guarded: _GuardedFile, alignment: int) -> h5py.File:
    # h5py.File has no option for the times of the root group, hence the low-level calls.
    access = _access(guarded, alignment)
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(b"published later", h5py.h5f.ACC_EXCL, fcpl=properties, fapl=access))


def _open(guarded: _GuardedFile) -> h5py.File:
    return h5py.File(h5py.h5f.open(b"published later", h5py.h5f.ACC_RDWR, fapl=_access(guarded, 1)))


def _access(guarded: _GuardedFile, alignment: int) -> h5py.h5p.PropFAID:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_alignment(1, alignment)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, guarded)
    return access


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    # An exception that a signal handler raises while HDF5 calls `_GuardedFile` reaches the caller as a SystemError.
    with deferred_signals() as request:
        yield
    if request.signal_number is not None:
        signal.raise_signal(request.signal_number)


def _named(error: OSError, target: Path) -> OSError:
    return OSError(error.errno, error.strerror or str(error), os.fspath(target))
