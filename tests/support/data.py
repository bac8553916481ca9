"""Small data for tests: IDX files, data sets and stores, and a drawn digit; the same arguments give the same bytes.

The IDX files are written from the format's description and not with the code under test.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from mnist_cli.datasets import DATASETS, FILE_NAMES, DataFile, Dataset
from mnist_cli.files import sha256_of
from mnist_cli.formats.idx import IdxReader
from mnist_cli.formats.store_writer import StoreFacts, write_store

TYPE_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

SIDE = 28
CLASSES = tuple("0123456789")


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


def register_dataset(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "tiny") -> None:
    """Make the four files in `folder` a data set with pinned digests, as MNIST is."""
    pinned = {}
    for role, file_name in FILE_NAMES.items():
        path = folder / file_name
        pinned[role] = DataFile(file_name, path.stat().st_size, sha256_of(path))
    monkeypatch.setitem(DATASETS, name, Dataset(name, pinned, (), CLASSES))


def write_small_store(
    path: Path, *, train: int = 130, validation: int = 30, test: int = 50, classes: tuple[str, ...] = CLASSES
) -> Path:
    """Write a store of squares that a linear model tells apart; the same arguments give the same bytes."""
    counts = {"train": train, "validation": validation, "test": test}
    with write_store(path, counts, SIDE * SIDE) as writer:
        for seed, (split, count) in enumerate(counts.items()):
            images, labels = tiny_examples(count, seed)
            writer.append(split, images.reshape(count, SIDE * SIDE), labels)
            shape = (SIDE, SIDE)
            facts = StoreFacts(dataset="small", split_rule="made up", image_shape=shape, classes=classes, sources={})
            writer.describe(facts)
    return path


def digit(size: int = 200, *, shift: tuple[int, int] = (0, 0), scale: float = 1) -> npt.NDArray[np.uint8]:
    """A seven in black on white, drawn with strokes of a fifteenth of its height."""
    points = [(0.35, 0.3), (0.65, 0.3), (0.48, 0.7)]
    image = Image.new("L", (size, size), 255)
    placed = [(x * size * scale + shift[0], y * size * scale + shift[1]) for x, y in points]
    ImageDraw.Draw(image).line(placed, fill=0, width=max(1, round(size * scale / 15)), joint="curve")
    return np.asarray(image)


def write_strokes(
    path: Path,
    shape: tuple[int, int],
    *,
    train: int = 60,
    validation: int = 10,
    test: int = 20,
    classes: tuple[str, ...] = CLASSES,
) -> Path:
    """Write a store of images of any shape, a few bright points on black; the same arguments give the same bytes."""
    counts = {"train": train, "validation": validation, "test": test}
    facts = StoreFacts(dataset="strokes", split_rule="made up", image_shape=shape, classes=classes, sources={"a": "b"})
    with write_store(path, counts, shape[0] * shape[1]) as writer:
        for seed, (split, count) in enumerate(counts.items()):
            random = np.random.default_rng([seed, *shape])
            images = random.integers(0, 256, (count, shape[0] * shape[1]), dtype=np.uint8)
            images *= random.integers(0, 4, images.shape, dtype=np.uint8) == 0
            writer.append(split, images, (np.arange(count) % len(classes)).astype(np.uint8))
        writer.describe(facts)
    return path
