"""A feature map in an HDF5 file, a store or a model: the group `/map`.

attributes of /map      document (JSON, as `feature_map.document_of` makes it) and digest, as text
/map/000, /map/001, …   int32, the arrays that the document refers to by number
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import h5py
import numpy as np

from mnist_cli.errors import FormatError
from mnist_cli.formats.hdf5 import read_text, reading
from mnist_cli.formats.hdf5_writing import create_group, write_text
from mnist_cli.maps.feature_map import FeatureMap, document_of, from_document
from mnist_cli.maps.ops import OutOfBounds

GROUP = "/map"
_MOST_ARRAYS = 1000


def write_map(file: h5py.File, feature_map: FeatureMap) -> None:
    """Write a feature map into an open file; equal maps give equal bytes."""
    document, arrays = document_of(feature_map)
    group = create_group(file, GROUP)
    for number, array in enumerate(arrays):
        group.create_dataset(f"{number:03}", data=np.ascontiguousarray(array, "<i4"), track_times=False)
    write_text(group, "document", json.dumps(document, sort_keys=True, separators=(",", ":")))
    write_text(group, "digest", feature_map.digest)


def without_map(names: Collection[str]) -> list[str]:
    """Return the names of a file's objects without those of a feature map, sorted."""
    return sorted(name for name in names if name != GROUP and not name.startswith(f"{GROUP}/"))


def read_map(path: Path, file: h5py.File) -> FeatureMap | None:
    """Return the feature map of an open file, verified and with its bounds proved; None if it has none.

    Raises:
        FormatError: it is damaged, or not a map with exact arithmetic.
    """
    if GROUP not in file:
        return None
    group = file[GROUP]
    if not isinstance(group, h5py.Group) or len(group) > _MOST_ARRAYS:
        raise FormatError(path, f"{GROUP} has the wrong type", expected="a feature map", received="something else")
    arrays = []
    for number in range(len(group)):
        name = f"{number:03}"
        item = group.get(name)
        if not isinstance(item, h5py.Dataset) or item.dtype != np.dtype("<i4"):
            received = str(item.dtype) if isinstance(item, h5py.Dataset) else "something else"
            raise FormatError(path, f"{GROUP}/{name} has the wrong type", expected="int32", received=received)
        with reading(path, f"{GROUP}/{name}"):
            arrays.append(np.asarray(item[()], np.int64))
    try:
        made = from_document(json.loads(read_text(path, group, "document")), arrays)
    except (OutOfBounds, ValueError, RecursionError) as problem:
        raise FormatError(
            path, f"{GROUP} is not a feature map", expected="exact operations", received=problem
        ) from problem
    if (stated := read_text(path, group, "digest")) != made.digest:
        raise FormatError(
            path, f"{GROUP} does not match its digest", expected=f"SHA-256 {stated}", received=made.digest
        )
    return made
