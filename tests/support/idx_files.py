"""Small IDX files for tests, written from the format's description, and a way to read a whole one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.idx import IdxReader

TYPE_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

SIDE = 28


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """Return an array as IDX content, not compressed."""
    header = struct.pack(f">HBB{array.ndim}I", 0, TYPE_CODES[array.dtype.str[1:]], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array: npt.NDArray[Any], *, compress: bool = True) -> None:
    """Write an array as an IDX file; equal arrays give equal bytes."""
    content = idx_bytes(array)
    # gzip.compress writes another header from Python 3.13 on; with wbits=31 it is zlib's own.
    path.write_bytes(zlib.compress(content, 9, wbits=31) if compress else content)


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Return the whole array of an IDX file, read by the toolkit in blocks of about a MB."""
    with IdxReader(path) as reader:
        array = np.empty(reader.header.shape, reader.header.dtype)
        block = max(1, (1 << 20) // max(1, reader.header.row_bytes))
        while reader.rows_left:
            start = len(array) - reader.rows_left
            rows = reader.read_rows(block)
            array[start : start + len(rows)] = rows
        return array


def tiny_examples(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return images uint8 [count, 28, 28] and labels uint8 [count] that a linear model learns at once.

    Class k is a bright square at the k-th of ten places, on noise; the classes are as even as `count` allows.
    """
    random = np.random.default_rng([seed, count])
    labels = random.permutation(np.arange(count) % 10).astype(np.uint8)
    images = random.integers(0, 40, (count, SIDE, SIDE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[row * 9 : row * 9 + 7, column * 7 : column * 7 + 7] += np.uint8(200)
    return images, labels


def write_tiny_dataset(folder: Path, *, train: int = 60, test: int = 20, seed: int = 0) -> None:
    """Write the four files of a small data set under their MNIST names; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count, part in (("train", train, 0), ("t10k", test, 1)):
        images, labels = tiny_examples(count, 2 * seed + part)
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
