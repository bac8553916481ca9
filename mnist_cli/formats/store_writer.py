"""Write the store block by block, so that memory does not grow with the data set."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from mnist_cli.formats.hdf5 import digest_of
from mnist_cli.formats.hdf5_writing import create_group, safe_hdf5_file, write_text
from mnist_cli.formats.map_group import write_map
from mnist_cli.formats.store import ALIGNMENT, ARRAYS, SCHEMA, STEP, ZERO, Bytes
from mnist_cli.maps.feature_map import FeatureMap


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """The attributes of a store that is written; `StoreHeader` documents them.

    Attributes:
        feature_map: made the rows from images; None if they are pixels.
    """

    dataset: str
    split_rule: str
    image_shape: tuple[int, int]
    classes: Sequence[str]
    sources: Mapping[str, str]
    fit: str = "normalise"
    feature_map: FeatureMap | None = None


class StoreWriter:
    """A store that is being written; `write_store` makes it."""

    def __init__(self, path: Path, file: h5py.File, counts: Mapping[str, int], width: int) -> None:
        self._path = path
        self._file = file
        self._written = dict.fromkeys(counts, 0)
        self._digests = {name: hashlib.sha256() for name in ARRAYS}
        create_arrays(file, counts, width)

    def append(self, split: str, inputs: Bytes, labels: Bytes) -> None:
        """Add examples to a split.

        Args:
            split: `train`, `validation` or `test`.
            inputs: uint8 [k, D].
            labels: uint8 [k].
        """
        start = self._written[split]
        self._written[split] = stop = start + len(labels)
        for kind, rows in (("inputs", inputs), ("labels", labels)):
            self._file[f"{split}/{kind}"][start:stop] = rows
            self._digests[f"/{split}/{kind}"].update(rows.data)

    def describe(self, facts: StoreFacts) -> str:
        """Write the attributes, after the last example.

        Returns:
            The content digest of the store.
        """
        return describe(self._path, self._file, facts, {name: each.hexdigest() for name, each in self._digests.items()})


def create_arrays(file: h5py.File, counts: Mapping[str, int], width: int) -> None:
    """Create the arrays of a store, at their final offsets, for rows of `width` bytes."""
    for split, count in counts.items():
        group = create_group(file, split)
        _create_array(group, "inputs", (count, width))
        _create_array(group, "labels", (count,))


def describe(path: Path, file: h5py.File, facts: StoreFacts, sha256: Mapping[str, str]) -> str:
    """Write the attributes of a store whose arrays are written, and its feature map.

    Args:
        path: the file's name, for errors.
        file: open for writing.
        facts: the attributes.
        sha256: name of an array → SHA-256 of its bytes.

    Returns:
        The content digest of the store.
    """
    feature_map = facts.feature_map
    zero, step = (feature_map.zero, feature_map.step) if feature_map else (ZERO, STEP)
    texts = {"schema": SCHEMA, "dataset": facts.dataset, "split": facts.split_rule}
    texts |= {} if facts.fit == "normalise" else {"fit": facts.fit}
    documents = {"shape": facts.image_shape, "classes": facts.classes, "zero": zero, "step": step}
    documents |= {"sources": facts.sources, "sha256": sha256}
    texts |= {name: json.dumps(document, sort_keys=True) for name, document in documents.items()}
    for name, text in texts.items():
        write_text(file, name, text)
    if feature_map:
        write_map(file, feature_map)
    return digest_of(path, file, sha256)


def _create_array(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    """Create a contiguous uint8 array at an offset that is fixed now, without filling it with zeros first.

    h5py's own `create_dataset` chooses the offset only at the first write.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_U8LE, h5py.h5s.create_simple(shape), properties)


@contextlib.contextmanager
def write_store(target: Path, counts: Mapping[str, int], width: int) -> Iterator[StoreWriter]:
    """Yield a store to fill; it becomes `target` at once if the block ends without an error.

    Args:
        target: the file.
        counts: split → number of examples that will be appended; 0 is allowed.
        width: bytes per row, D, such as the pixels of an image.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then unchanged.
    """
    with safe_hdf5_file(target, alignment=ALIGNMENT) as file:
        yield StoreWriter(target, file, counts, width)
