"""HDF5 as this toolkit uses it: written whole or not at all, read with suspicion, named by its content.

Files are written in the format of HDF5 1.10 whatever library writes them: its metadata carry checksums, so a
flipped bit in a header is found, and both bounds are fixed, so that a newer library writes the same bytes.
No object stores times. Equal content therefore gives equal files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mnist_cli import files
from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.guarded_file import GuardedFile
from mnist_cli.formats.hdf5_damage import damage
from mnist_cli.signals import deferred_signals
from mnist_cli.text import printable

# What h5py raises for a damaged file: OSError and RuntimeError from the library, KeyError for a name it cannot
# resolve, the others from turning what it found into NumPy's terms.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
# Booleans, integers, floats and strings of fixed length: their bytes stand where the header says, all of them.
_PLAIN_KINDS = "biufS"
# Far above what any attribute of ours needs; a header that declares more is not believed.
_MAX_ATTRIBUTE_BYTES = 1 << 20
_HASH_BLOCK = 1 << 22


@contextlib.contextmanager
def safe_hdf5_file(target: Path, *, alignment: int = 1) -> Iterator[h5py.File]:
    """Give an empty HDF5 file to fill; when the block ends without an error, it becomes `target` at once.

    The content goes to a temporary file as it is written, so memory does not grow with it. Make groups with
    `create_group` and text attributes with `write_text`, or the bytes will depend on the time or the address.

    SIGINT and SIGTERM wait until the end of the block; a long one asks `deferred_signals` inside it now and then.

    Args:
        target: the file.
        alignment: bytes; every array begins at a multiple of it.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then what it was before.
    """
    with _signals_held_back(), files.publish(target) as raw:
        guarded = GuardedFile(raw)
        try:
            with contextlib.closing(_create(guarded, alignment)) as file:
                yield file
        except Exception as problem:
            # Whatever HDF5 stumbled over afterwards, the failed write is the cause.
            if guarded.error is None:
                raise
            raise _named(guarded.error, target) from problem
        if guarded.error is not None:
            raise _named(guarded.error, target) from guarded.error


def create_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Make the group `name` in `parent` without the times that h5py's own `create_group` may store."""
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode(), gcpl=properties))


def write_text(holder: h5py.Group, name: str, text: str) -> None:
    """Store `text` as an attribute of fixed length in UTF-8.

    h5py stores a `str` with variable length, in a heap that has no checksum; a fixed length stays in the object's
    header, which has one.
    """
    encoded = text.encode()
    dtype = h5py.string_dtype("utf-8", max(1, len(encoded)))
    holder.attrs.create(name, np.array(encoded, dtype=f"S{max(1, len(encoded))}"), dtype=dtype)


def read_text(path: Path, holder: h5py.Group, name: str) -> str:
    """Return the text attribute `name` of an object in the file `path`.

    Raises:
        FormatError: there is no such attribute, or it is not text of a bearable length.
    """
    if name not in holder.attrs:
        raise FormatError(path, f"{holder.name} has no attribute '{name}'", expected="a text", received="nothing")
    value = _attribute(path, holder, name)
    if value.dtype.kind != "S" or value.shape != ():
        raise FormatError(
            path,
            f"attribute '{name}' of {holder.name} is of another type",
            expected="one text of fixed length",
            received=f"{value.dtype} {list(value.shape)}",
        )
    return bytes(value[()]).decode()


@contextlib.contextmanager
def open_hdf5(path: Path, *, hint: str | None = None) -> Iterator[h5py.File]:
    """Give the HDF5 file `path` to read; what h5py raises inside the block becomes an error of ours.

    Args:
        path: the file.
        hint: what to run when the file is missing or damaged.

    Raises:
        InputError: there is no such file, or the system does not let it be read.
        FormatError: it is not an HDF5 file, or it is damaged.
    """
    try:
        files.open_regular(path).close()  # HDF5 itself would wait for the writer of a named pipe
    except FileNotFoundError as error:
        raise InputError(f"{printable(path)}: no such file", hint=hint) from error
    except OSError as error:
        raise InputError(f"{printable(path)}: {error.strerror}", hint=hint) from error
    try:
        # No lock: a published file never changes, and on some network file systems locking fails.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except FormatError as error:
        error.hint = error.hint or hint
        raise
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno:
            raise InputError(f"{printable(path)}: {os.strerror(error.errno)}", hint=hint) from error
        problem = damage(path, error)
        problem.hint = hint
        raise problem from error


@contextlib.contextmanager
def reading(path: Path, name: str) -> Iterator[None]:
    """Name the object of a file that turns out to be damaged while the block reads it.

    Raises:
        FormatError: it is damaged.
    """
    try:
        yield
    except FormatError:
        raise
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise damage(path, error, printable(name)) from error


def content_digest(path: Path) -> str:
    """Return the SHA-256 that names the content of an HDF5 file: names, types, shapes, data and attributes.

    How the data are laid out in the file (chunks, checksums, byte order) does not count.

    Raises:
        InputError: there is no such file.
        FormatError: it is damaged, or holds what `walk` refuses.
    """
    with open_hdf5(path) as file:
        return digest_of(path, file)


def digest_of(path: Path, file: h5py.File, known: Mapping[str, str] | None = None) -> str:
    """Return the content digest of an open file.

    Args:
        path: the file's name, for errors.
        file: open for reading or writing.
        known: name of a data set (such as `/train/inputs`) → the SHA-256 of its bytes, where it need not be
            computed again.
    """
    known = known or {}
    description = []
    for name, item in walk(path, file).items():
        entry: dict[str, object] = {"name": name, "attributes": _attributes(path, item)}
        if isinstance(item, h5py.Dataset):
            entry["dtype"] = item.dtype.newbyteorder("<").str
            entry["shape"] = list(item.shape)
            with reading(path, name):
                entry["sha256"] = known.get(name) or data_sha256(item)
        description.append(entry)
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def data_sha256(dataset: h5py.Dataset) -> str:
    """Return the SHA-256 of a data set's values as little-endian bytes in row order, in constant memory."""
    digest = hashlib.sha256()
    little = dataset.dtype.newbyteorder("<")
    if dataset.ndim == 0 or dataset.size == 0:
        digest.update(np.asarray(dataset[()], little).tobytes())
        return digest.hexdigest()
    rows = max(1, _HASH_BLOCK // max(1, dataset.nbytes // len(dataset)))
    for start in range(0, len(dataset), rows):
        digest.update(np.ascontiguousarray(dataset[start : start + rows], little).data)
    return digest.hexdigest()


def walk(path: Path, file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    """Return every group and data set of the file by its full name, in sorted order, without reading data.

    Raises:
        FormatError: a link leaves the file or is symbolic, an object has two names, a data set keeps its data
            elsewhere, compresses them, is of a type without a fixed length, or declares more than the file holds.
    """
    size = path.stat().st_size if file.mode == "r" else None
    found: dict[str, h5py.Group | h5py.Dataset] = {"/": file["/"]}
    places = {h5py.h5o.get_info(file.id).addr}
    waiting = [file["/"]]
    while waiting:
        group = waiting.pop()
        for child in group:
            name = f"{group.name.rstrip('/')}/{child}"
            if not isinstance(group.get(child, getlink=True), h5py.HardLink):
                raise _refused(path, name, "a link within the file", "a symbolic or external link")
            with reading(path, name):
                item = group[child]
                place = h5py.h5o.get_info(item.id).addr
            if place in places:
                raise _refused(path, name, "one name for each object", "a second name")
            places.add(place)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(path, name, item, size)
            else:
                raise _refused(path, name, "a group or a data set", type(item).__name__)
            found[name] = item
    return dict(sorted(found.items()))


def _check_dataset(path: Path, name: str, dataset: h5py.Dataset, file_size: int | None) -> None:
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    if dataset.is_virtual or dataset.external:
        raise _refused(path, name, "data in this file", "data in other files")
    if filters - {h5py.h5z.FILTER_FLETCHER32}:
        raise _refused(path, name, "plain data, with a checksum or without", f"HDF5 filters {sorted(filters)}")
    if dataset.dtype.kind not in _PLAIN_KINDS or dataset.shape is None:
        raise _refused(path, name, "numbers or strings of fixed length", f"type {dataset.dtype}")
    if file_size is not None and dataset.nbytes > file_size:
        raise _refused(path, name, f"at most the {file_size} bytes of the file", f"a shape of {dataset.nbytes} bytes")


def _refused(path: Path, name: str, expected: str, received: str) -> FormatError:
    return FormatError(path, f"{printable(name)} is not accepted", expected=expected, received=received)


def _attributes(path: Path, item: h5py.Group | h5py.Dataset) -> dict[str, list[object]]:
    described: dict[str, list[object]] = {}
    for name in item.attrs:
        value = _attribute(path, item, name)
        little = value.astype(value.dtype.newbyteorder("<"))
        described[name] = [little.dtype.str, list(value.shape), little.tobytes().hex()]
    return described


def _attribute(path: Path, item: h5py.Group | h5py.Dataset, name: str) -> npt.NDArray[Any]:
    header = item.attrs.get_id(name)
    size = header.dtype.itemsize * int(np.prod(header.shape, dtype=object))
    if header.dtype.kind not in _PLAIN_KINDS or size > _MAX_ATTRIBUTE_BYTES:
        raise FormatError(
            path,
            f"attribute '{printable(name)}' of {printable(item.name)} is not accepted",
            expected=f"numbers or text of fixed length, at most {_MAX_ATTRIBUTE_BYTES} bytes",
            received=f"type {header.dtype}, {size} bytes",
        )
    return np.asarray(item.attrs[name])


def _create(guarded: GuardedFile, alignment: int) -> h5py.File:
    # h5py.File has no option for the times of the root group, hence the low-level calls.
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_alignment(1, alignment)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, guarded)
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(b"published later", h5py.h5f.ACC_EXCL, fcpl=properties, fapl=access))


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    # An exception that a signal handler raises while HDF5 calls `GuardedFile` reaches the caller as a SystemError.
    with deferred_signals() as request:
        yield
    if request.signal_number is not None:
        signal.raise_signal(request.signal_number)


def _named(error: OSError, target: Path) -> OSError:
    return OSError(error.errno, error.strerror or str(error), os.fspath(target))
