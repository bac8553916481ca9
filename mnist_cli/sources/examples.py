"""Read the examples in four IDX files, checked and block by block, in the layout that the data set describes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.datasets import Dataset
from mnist_cli.errors import FormatError
from mnist_cli.formats import MAX_PIXELS
from mnist_cli.formats.idx import IdxReader
from mnist_cli.text import plural, printable

BLOCK_BYTES = 1 << 20
_HINT = "run 'mnist fetch'"

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Examples:
    """The training or the test images of a data set, and their labels.

    Attributes:
        images: uint8 [n, height, width], as in the file.
        labels: whole numbers [n], or [n, columns].
        dataset: describes their layout.
        classes: number of classes, K.
    """

    images: IdxReader
    labels: IdxReader
    dataset: Dataset
    classes: int

    def __len__(self) -> int:
        return self.images.header.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of an upright image."""
        height, width = self.images.header.shape[1:]
        return (width, height) if self.dataset.transpose else (height, width)

    def blocks(self) -> Iterator[tuple[Bytes, Bytes]]:
        """Yield upright images, uint8 [k, pixels], and their labels, uint8 [k], 0 to K - 1.

        Raises:
            FormatError: a file is damaged, or a label is out of range.
        """
        while self.images.rows_left:
            block = self.images.read_rows(max(1, BLOCK_BYTES // self.images.header.row_bytes))
            upright = block.swapaxes(1, 2) if self.dataset.transpose else block
            # One row per image; this copies transposed images.
            yield upright.reshape(len(block), -1), self._next_labels(self.labels, len(block))

    def class_counts(self) -> npt.NDArray[np.int64]:
        """Return the number of examples of each class, int64 [K]; this reads the labels once more."""
        counts = np.zeros(self.classes, np.int64)
        with IdxReader(self.labels.path) as reader:
            while reader.rows_left:
                labels = self._next_labels(reader, max(1, BLOCK_BYTES // reader.header.row_bytes))
                counts += np.bincount(labels, minlength=self.classes)
        return counts

    def _next_labels(self, reader: IdxReader, count: int) -> Bytes:
        header, column, first = reader.header, self.dataset.column, self.dataset.first_label
        start = header.shape[0] - reader.rows_left
        rows = reader.read_rows(count)
        labels = rows if column is None else rows[:, column]
        wrong = ((labels < first) | (labels >= first + self.classes)).nonzero()[0]
        if wrong.size:
            position = start + int(wrong[0])
            offset = header.size + position * header.row_bytes + (column or 0) * header.dtype.itemsize
            expected = f"{first} to {first + self.classes - 1}"
            raise _wrong(reader, f"label {position} is out of range", expected, labels[wrong[0]], offset)
        return (labels - first).astype(np.uint8) if first else labels.astype(np.uint8, copy=False)


@contextlib.contextmanager
def open_examples(paths: Mapping[str, Path], dataset: Dataset, classes: int) -> Iterator[tuple[Examples, Examples]]:
    """Yield the training and the test examples in the files of the four roles.

    Raises:
        InputError: a file cannot be read.
        FormatError: a file is damaged, does not have the content of its role, or does not fit the others.
    """
    with contextlib.ExitStack() as stack:
        readers = {role: stack.enter_context(IdxReader(path)) for role, path in paths.items()}
        parts = ("train", "test")
        train, test = (
            Examples(readers[f"{part}-images"], readers[f"{part}-labels"], dataset, classes) for part in parts
        )
        for part in (train, test):
            _check_part(part)
        first, second = train.images.header, test.images.header
        if first.shape[1:] != second.shape[1:]:
            problem = f"test and training images differ in size: compare {printable(train.images.path.name)}"
            raise _wrong(test.images, problem, size_text(first.shape[1:]), size_text(second.shape[1:]), 8)
        if not 0 < first.row_bytes <= MAX_PIXELS:
            expected = f"1 to {MAX_PIXELS:,} pixels each"
            raise _wrong(train.images, "images too large or empty", expected, size_text(first.shape[1:]), 8)
        if dataset.is_own and dataset.shape and train.shape != dataset.shape:
            problem = "the images do not have the size in the data set's description"
            raise _wrong(train.images, problem, size_text(dataset.shape), size_text(train.shape), 8)
        yield train, test


def _check_part(part: Examples) -> None:
    images, labels = part.images, part.labels
    if len(images.header.shape) == 1 and len(labels.header.shape) == 3:
        problem = f"images and labels seem to be swapped: {printable(labels.path.name)} holds images"
        raise _wrong(images, problem, "3 dimensions", "1, as labels have")
    _check_kind(images, 3, "images")
    column = part.dataset.column
    if column is None:
        _check_kind(labels, 1, "labels")
    elif len(labels.header.shape) != 2 or labels.header.shape[1] <= column or labels.header.dtype.kind not in "iu":
        expected = f"whole numbers, 2 dimensions, more than {plural(column, 'column')}"
        raise _wrong(
            labels, "not labels in columns", expected, f"{labels.header.dtype}, {list(labels.header.shape)}", 2
        )
    counts = [plural(reader.header.shape[0], "label") for reader in (images, labels)]
    if counts[0] != counts[1]:
        problem = f"there must be one label for each image in {printable(images.path.name)}"
        raise _wrong(labels, problem, counts[0], counts[1], 4)


def _check_kind(reader: IdxReader, dimensions: int, what: str) -> None:
    header = reader.header
    if header.dtype != np.uint8 or len(header.shape) != dimensions:
        received = f"{header.dtype}, {plural(len(header.shape), 'dimension')}"
        raise _wrong(reader, f"not {what}", f"uint8, {plural(dimensions, 'dimension')}", received, 2)
    if header.shape[0] == 0:
        raise _wrong(reader, f"there are no {what}", "at least one", 0, 4)


def _wrong(reader: IdxReader, problem: str, expected: str, received: Any, offset: int | None = None) -> FormatError:
    return FormatError(reader.path, problem, expected=expected, received=received, offset=offset, hint=_HINT)


def size_text(shape: tuple[int, ...]) -> str:
    """Return a size such as `28 × 28 pixels`."""
    return " × ".join(map(str, shape)) + " pixels"
