"""Writing the store, block by block, so that memory does not grow with the data set."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py

from mnist_cli.formats.hdf5 import create_group, digest_of, safe_hdf5_file, write_text
from mnist_cli.formats.store import ARRAYS, SCHEMA, Bytes

# A chunk is what HDF5 reads, writes and checks at once: 128 images of 28×28 are 98 KiB. With h5py's own choice of
# chunks, reading rows takes a hundred times longer.
CHUNK_ROWS = 128
# Images of up to 256×256 pixels keep a chunk at 8 MiB or less, and so the memory of whoever reads or writes.
MAX_PIXELS = 1 << 16


class StoreWriter:
    """A store that is being written; `write_store` makes it."""

    def __init__(self, path: Path, file: h5py.File, counts: Mapping[str, int], pixels: int) -> None:
        self._path = path
        self._file = file
        self._written = dict.fromkeys(counts, 0)
        self._digests = {name: hashlib.sha256() for name in ARRAYS}
        for split, count in counts.items():
            group = create_group(file, split)
            # There is nothing to cut into chunks in an empty array, and HDF5 wants chunks no larger than the array.
            rows = min(CHUNK_ROWS, count)
            for kind, shape in (("images", (pixels,)), ("labels", ())):
                layout = {"chunks": (rows, *shape), "fletcher32": True} if rows else {}
                group.create_dataset(kind, shape=(count, *shape), dtype="u1", **layout)

    def append(self, split: str, images: Bytes, labels: Bytes) -> None:
        """Add examples to a split; quickest in multiples of CHUNK_ROWS.

        Args:
            split: `train`, `validation` or `test`.
            images: uint8 [k, pixels].
            labels: uint8 [k].
        """
        start = self._written[split]
        self._written[split] = stop = start + len(labels)
        for kind, rows in (("images", images), ("labels", labels)):
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
    ) -> str:
        """Write the attributes, after the last example; what they mean is in `StoreHeader`.

        Returns:
            The content digest of the store.
        """
        sha256 = {name: digest.hexdigest() for name, digest in self._digests.items()}
        texts = {"schema": SCHEMA, "dataset": dataset, "split": split_rule}
        documents = {"image_shape": image_shape, "classes": classes, "sources": sources, "sha256": sha256}
        texts |= {name: json.dumps(document, sort_keys=True) for name, document in documents.items()}
        for name, text in texts.items():
            write_text(self._file, name, text)
        return digest_of(self._path, self._file, sha256)


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
    with safe_hdf5_file(target) as file:
        yield StoreWriter(target, file, counts, pixels)
