"""Writing the store, block by block, so that memory does not grow with the data set."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py

from mnist_cli.formats.hdf5 import digest_of
from mnist_cli.formats.hdf5_writing import create_group, safe_hdf5_file, write_text
from mnist_cli.formats.store import ALIGNMENT, ARRAYS, SCHEMA, STEP, ZERO, Bytes


class StoreWriter:
    """A store that is being written; `write_store` makes it."""

    def __init__(self, path: Path, file: h5py.File, counts: Mapping[str, int], pixels: int) -> None:
        self._path = path
        self._file = file
        self._written = dict.fromkeys(counts, 0)
        self._digests = {name: hashlib.sha256() for name in ARRAYS}
        for split, count in counts.items():
            group = create_group(file, split)
            _create_array(group, "inputs", (count, pixels))
            _create_array(group, "labels", (count,))

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

    def describe(
        self,
        *,
        dataset: str,
        split_rule: str,
        image_shape: tuple[int, int],
        classes: Sequence[str],
        sources: Mapping[str, str],
        fit: str = "normalise",
    ) -> str:
        """Write the attributes, after the last example; `StoreHeader` says what they mean.

        Returns:
            The content digest of the store.
        """
        sha256 = {name: digest.hexdigest() for name, digest in self._digests.items()}
        texts = {"schema": SCHEMA, "dataset": dataset, "split": split_rule}
        texts |= {} if fit == "normalise" else {"fit": fit}
        documents = {"shape": image_shape, "classes": classes, "zero": ZERO, "step": STEP}
        documents |= {"sources": sources, "sha256": sha256}
        texts |= {name: json.dumps(document, sort_keys=True) for name, document in documents.items()}
        for name, text in texts.items():
            write_text(self._file, name, text)
        return digest_of(self._path, self._file, sha256)


def _create_array(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    """Create a uint8 array in one piece, at a place that is settled now, whose bytes are not filled with zeros first.

    h5py's own `create_dataset` leaves the place open until the first write.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_U8LE, h5py.h5s.create_simple(shape), properties)


@contextlib.contextmanager
def write_store(target: Path, counts: Mapping[str, int], pixels: int) -> Iterator[StoreWriter]:
    """Give a store to fill; when the block ends without an error, it becomes `target` at once.

    Args:
        target: the file.
        counts: split → number of examples that will be appended; 0 is allowed.
        pixels: of one image, 1 to MAX_PIXELS.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then what it was before.
    """
    with safe_hdf5_file(target, alignment=ALIGNMENT) as file:
        yield StoreWriter(target, file, counts, pixels)
