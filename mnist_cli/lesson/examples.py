"""The examples of the lesson: a random choice from a store, in four levels of grey, so that they fit into a page."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from mnist_cli import files
from mnist_cli.datasets import FILE_NAMES, ROLES, Dataset
from mnist_cli.formats.store import Split, Store
from mnist_cli.maps.permutation import permuted
from mnist_cli.page.packing import in_four_greys, packed
from mnist_cli.pictures.luminance import shrunk

Bytes = npt.NDArray[np.uint8]

TRAIN, TEST = 6000, 1000
_STREAMS = {"train": 3000, "test": 3001}  # of the permutation that chooses them
# Limits that keep the page below 1.5 MB, and a step of its training to a few milliseconds.
_PACKED = 620_000  # bytes before base64; MNIST's 7,000 images take 490 kB
_PIXELS = 1024  # of an image, at most: 32 × 32
_WEIGHTS = 60_000


@dataclass(frozen=True)
class Part:
    """Some examples.

    Attributes:
        inputs: uint8 [n, D], multiples of 85.
        labels: uint8 [n].
    """

    inputs: Bytes
    labels: Bytes


@dataclass(frozen=True)
class Examples:
    """The examples that the page trains on, and the unseen ones that it measures with.

    Attributes:
        train, test: the examples.
        shape: height and width of an image, as in the store or smaller.
        classes: name of each label.
    """

    train: Part
    test: Part
    shape: tuple[int, int]
    classes: tuple[str, ...]

    def packed(self) -> bytes:
        """Return all labels, train before test, and then all images in the same order, deflated."""
        parts = (self.train, self.test)
        labels = b"".join(part.labels.tobytes() for part in parts)
        return packed(labels, np.concatenate([part.inputs.ravel() for part in parts]))


def choose_examples(store: Store) -> Examples:
    """Return the same examples of a store every time: up to 6,000 and 1,000, as many as fit into the page."""
    counts = {"train": min(TRAIN, len(store.train)), "test": min(TEST, len(store.test))}
    while True:
        chosen = _chosen(store, counts)
        size = len(chosen.packed())
        if size <= _PACKED or min(counts.values()) == 1:
            return chosen
        counts = {name: max(1, int(0.97 * count * _PACKED / size)) for name, count in counts.items()}


def _chosen(store: Store, counts: dict[str, int]) -> Examples:
    height, width = store.image_shape
    room = min(_PIXELS, _WEIGHTS // len(store.classes))
    scale = min(1.0, (room / (height * width)) ** 0.5)
    rows = max(1, int(height * scale))
    columns = max(1, min(int(width * scale), room // rows))
    shape = min(rows, room // columns), columns
    rows, columns = shrunk(np.zeros(store.image_shape, np.uint8), *shape).shape
    train, test = (_part(getattr(store, name), _STREAMS[name], counts[name], store, shape) for name in counts)
    return Examples(train, test, (rows, columns), store.classes)


def _part(split: Split, stream: int, count: int, store: Store, shape: tuple[int, int]) -> Part:
    rows = np.sort(permuted(0, stream, np.arange(count, dtype=np.int64), len(split)))
    inputs = split.inputs[rows]
    if shape != store.image_shape:
        images = inputs.reshape(count, *store.image_shape)
        inputs = np.stack([shrunk(image, *shape).ravel() for image in images])
    return Part(in_four_greys(inputs), np.array(split.labels[rows]))


def write_dataset(examples: Examples, folder: Path, origin: Dataset) -> Path:
    """Write the examples as a data set for `mnist run`, and return the file that describes it.

    Args:
        examples: the examples.
        folder: folder for the four IDX files and `dataset.yaml`; created if missing.
        origin: the data set that the examples are from, which gives the licence.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {}
    for name, part in (("train", examples.train), ("test", examples.test)):
        contents[f"{name}-images"] = part.inputs.reshape(-1, *examples.shape)
        contents[f"{name}-labels"] = part.labels
    for role in ROLES:
        array = contents[role]
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        files.write_bytes(folder / FILE_NAMES[role], zlib.compress(header + array.tobytes(), 9, wbits=31))
    described = {
        "name": f"{origin.name}-lesson"[-64:],
        "title": f"{len(examples.train.labels)} and {len(examples.test.labels)} images of {origin.name}, four greys",
        "files": ".",
        "classes": list(examples.classes),
    }
    described |= {key: value for key in ("licence", "source") if (value := getattr(origin, key))}
    path = folder / "dataset.yaml"
    files.write_bytes(path, yaml.safe_dump(described, allow_unicode=True, sort_keys=False).encode())
    return path
