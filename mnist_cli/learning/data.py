"""The examples of a training run, in memory as TensorFlow wants them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.formats.store import open_store
from mnist_cli.text import printable

# TensorFlow demands this of memory that it takes over instead of copying it (the width of Eigen's widest vectors).
ALIGNMENT = 64

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TrainingData:
    """What training reads.

    Attributes:
        pixels: uint8 [n, D], aligned.
        labels: uint8 [n].
        validation_pixels: uint8 [m, D], m ≥ 0.
        validation_labels: uint8 [m].
        classes: name of each label.
        image_shape: height and width, D pixels together.
        store_digest: content digest of the store.
    """

    pixels: Bytes
    labels: Bytes
    validation_pixels: Bytes
    validation_labels: Bytes
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    store_digest: str


def load_data(path: Path | str) -> TrainingData:
    """Read the training and the validation split of a store.

    Raises:
        InputError: there is no store, it is damaged, or its training split is empty.
    """
    store = open_store(path)
    if not len(store.train):
        raise InputError(
            f"{printable(path)}: the training split is empty",
            hint="run 'mnist preprocess' with fewer validation images",
        )
    pixels = _aligned(len(store.train), math.prod(store.image_shape))
    store.train.read_pixels(pixels)
    return TrainingData(
        pixels=pixels,
        labels=store.train.labels,
        validation_pixels=store.validation.pixels,
        validation_labels=store.validation.labels,
        classes=store.classes,
        image_shape=store.image_shape,
        store_digest=store.digest,
    )


def _aligned(rows: int, columns: int) -> Bytes:
    """Return memory at a multiple of ALIGNMENT, which TensorFlow then uses where it is.

    Its own copy would take two passes and twice the memory; one of ours takes as long as reading.
    """
    size = rows * columns
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].reshape(rows, columns)
