"""The four MNIST files as arrays, and random batches of them: what every training peer reads and draws."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

# The tutorial keeps so many of the training images for validation, and so does the toolkit.
VALIDATION_SIZE = 5000


@dataclass(frozen=True)
class Split:
    """Images uint8 [n, 784] and labels uint8 [n]."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def inputs(self) -> npt.NDArray[np.float32]:
        """Return the images as float32 [n, 784] in [0, 1]."""
        return self.pixels.astype(np.float32) / np.float32(255)


def training_split(folder: Path) -> Split:
    """Read the training images after the first 5,000."""
    whole = _read(folder, "train")
    return Split(whole.pixels[VALIDATION_SIZE:].copy(), whole.labels[VALIDATION_SIZE:].copy())


def test_split(folder: Path) -> Split:
    """Read the test images."""
    return _read(folder, "t10k")


class Order:
    """Random rows: each epoch visits every example once, in a new order; epochs are laid end to end."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._count = count
        self._rows = np.empty(0, np.int64)

    def next(self, size: int) -> npt.NDArray[np.int64]:
        """Return the next `size` rows."""
        while len(self._rows) < size:
            self._rows = np.concatenate([self._rows, self._random.permutation(self._count)])
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows


def _read(folder: Path, name: str) -> Split:
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return Split(pixels, labels)
