"""Read HDF5 files without trusting them, and identify them by their content; hdf5_writing.py writes them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mnist_cli import files
from mnist_cli.errors import FormatError, InputError
from mnist_cli.text import printable

# What h5py raises for a damaged file: OSError and RuntimeError from the library, KeyError for a name that it cannot
# resolve, the others from converting what it found to NumPy types.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
# Booleans, integers, floats and strings of fixed length: all their bytes are where the header says.
_PLAIN_KINDS = "biufS"
# Far more than our attributes need; a header that declares more is refused.
_MAX_ATTRIBUTE_BYTES = 1 << 20
_HASH_BLOCK = 1 << 22
_TRUNCATED = re.compile(r"truncated file: eof = (\d+), .*stored_eof = (\d+)")
# Part of HDF5's message → what it found; the first match wins.
_MEANINGS = {
    "file signature not found": "a file that does not begin as HDF5 files do",
    "metadata checksum": "names, types or attributes with a wrong checksum",
    "filter returned failure": "data with a wrong checksum",
}
_OTHERWISE = "an invalid structure"


def read_text(path: Path, holder: h5py.Group, name: str) -> str:
    """Return the text attribute `name` of an object in the file `path`.

    Raises:
        FormatError: the attribute does not exist, is not text, or is too long.
    """
    if name not in holder.attrs:
        raise FormatError(path, f"{holder.name} has no attribute '{name}'", expected="a text", received="nothing")
    value = _attribute(path, holder, name)
    if value.dtype.kind != "S" or value.shape != ():
        raise FormatError(
            path,
            f"attribute '{name}' of {holder.name} has the wrong type",
            expected="one text of fixed length",
            received=f"{value.dtype} {list(value.shape)}",
        )
    return bytes(value[()]).decode()


@contextlib.contextmanager
def open_hdf5(path: Path, *, hint: str | None = None) -> Iterator[h5py.File]:
    """Yield the HDF5 file `path`, open for reading; errors of h5py inside the block become ours.

    Args:
        path: the file.
        hint: what to run if the file is missing or damaged.

    Raises:
        InputError: the file does not exist, or must not be read.
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
        problem = _damage_of(path, error)
        problem.hint = hint
        raise problem from error


@contextlib.contextmanager
def reading(path: Path, name: str) -> Iterator[None]:
    """Name the object in the error if it turns out to be damaged while the block reads it.

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
        raise _damage_of(path, error, printable(name)) from error


def content_digest(path: Path) -> str:
    """Return the SHA-256 that identifies an HDF5 file's content: names, types, shapes, data and attributes.

    The layout of the data in the file (chunks, checksums, byte order) does not count.

    Raises:
        InputError: the file does not exist.
        FormatError: it is damaged, or contains something that `walk` refuses.
    """
    with open_hdf5(path) as file:
        return digest_of(path, file)


def digest_of(path: Path, file: h5py.File, known: Mapping[str, str] | None = None) -> str:
    """Return the content digest of an open file.

    Args:
        path: the file's name, for errors.
        file: open for reading or writing.
        known: name of a data set (such as `/train/inputs`) → the SHA-256 of its bytes, if it need not
            be computed again.
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
        FormatError: a link leaves the file or is symbolic, an object has two names, or a data set keeps its data
            elsewhere, compresses them, has a type without a fixed length, or declares more than the file holds.
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


def _damage_of(path: Path, error: Exception, name: str | None = None) -> FormatError:
    """Return the error for a file that HDF5 could not read; `--debug` shows HDF5's own message as the cause.

    Args:
        path: the file.
        error: what h5py raised.
        name: the object that could not be read, such as `/train/inputs`; None for the file itself.
    """
    text = str(error)
    if truncated := _TRUNCATED.search(text):
        received = f"{int(truncated[1]):,} of {int(truncated[2]):,} bytes"
    else:
        received = next((meaning for words, meaning in _MEANINGS.items() if words in text), _OTHERWISE)
    if name is None:
        return FormatError(path, "not a valid HDF5 file", expected="a complete HDF5 file", received=received)
    return FormatError(path, f"{name} is damaged", expected="undamaged data", received=received)
