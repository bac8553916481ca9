"""The store: the examples of a data set in one HDF5 file, split into training, validation and test.

    /{train,validation,test}/images    uint8 [n, pixels], 0 = background, rows of an image after each other
    /{train,validation,test}/labels    uint8 [n], index into the classes
    attributes of /                    schema, dataset, split, image_shape, classes, sources, sha256, each as text

`sha256` holds the SHA-256 of each array's bytes, so whoever reads an array knows that it is what was written.
No time and no path is stored: equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mnist_cli.errors import FormatError
from mnist_cli.formats.hdf5 import digest_of, open_hdf5, read_text, reading, walk

# What the file is called in the folder of the stage that writes it.
STORE_NAME = "store.h5"
SCHEMA = "mnist-store/1"
SPLITS = ("train", "validation", "test")
ARRAYS = tuple(f"/{split}/{kind}" for split in SPLITS for kind in ("images", "labels"))
_TEXTS = ("schema", "dataset", "split", "image_shape", "classes", "sources", "sha256")
_HINT = "run 'mnist preprocess'"

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoreHeader:
    """What a store says of itself.

    Attributes:
        dataset: name of the data set.
        split_rule: how the validation examples were chosen, for people to read.
        image_shape: height and width.
        classes: name of each label, by index.
        sources: role of an input file → SHA-256 of its bytes.
        array_sha256: name of an array, such as `/train/images` → SHA-256 of its bytes.
    """

    dataset: str
    split_rule: str
    image_shape: tuple[int, int]
    classes: tuple[str, ...]
    sources: Mapping[str, str]
    array_sha256: Mapping[str, str]

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return math.prod(self.image_shape)


def scaled(pixels: Bytes) -> Floats:
    """Return bytes as float32 in [0, 1]: divided by 255, in float32."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


class Split:
    """The examples of one split; each array is read and verified when it is first asked for, and then kept.

    The properties raise FormatError when the bytes in the file are not those that were written.
    """

    def __init__(self, path: Path, name: str, count: int, header: StoreHeader) -> None:
        self._path = path
        self._header = header
        self._count = count
        self.name = name

    def __len__(self) -> int:
        return self._count

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return self._count

    @cached_property
    def pixels(self) -> Bytes:
        """uint8 [n, pixels], 0 = background."""
        array = np.empty((self._count, self._header.pixels), np.uint8)
        self.read_pixels(array)
        array.flags.writeable = False
        return array

    def read_pixels(self, memory: Bytes) -> None:
        """Read what `pixels` is into memory of the caller's, and keep nothing.

        Args:
            memory: uint8 [n, pixels], row after row.
        """
        self._read("images", memory)

    @cached_property
    def images(self) -> Floats:
        """float32 [n, pixels] in [0, 1]: the bytes divided by 255."""
        return scaled(self.pixels)

    @cached_property
    def labels(self) -> Bytes:
        """uint8 [n], below the number of classes."""
        labels = np.empty(self._count, np.uint8)
        self._read("labels", labels)
        classes = len(self._header.classes)
        wrong = np.flatnonzero(labels >= classes)
        if wrong.size:
            raise FormatError(
                self._path,
                f"/{self.name}/labels[{wrong[0]}] is no class",
                expected=f"a label from 0 to {classes - 1}",
                received=labels[wrong[0]],
                hint=_HINT,
            )
        labels.flags.writeable = False
        return labels

    @cached_property
    def one_hot(self) -> Floats:
        """float32 [n, classes]: 1 at the label, else 0."""
        return np.eye(len(self._header.classes), dtype=np.float32)[self.labels]

    def _read(self, kind: str, array: Bytes) -> None:
        name = f"/{self.name}/{kind}"
        with open_hdf5(self._path, hint=_HINT) as file:
            # The file may be another one than when the store was opened.
            _check_array(self._path, name, walk(self._path, file).get(name), array.shape)
            if array.size:
                with reading(self._path, name):
                    file[name].read_direct(array)
        received = hashlib.sha256(array.data if array.size else b"").hexdigest()
        expected = self._header.array_sha256[name]
        if received != expected:
            raise FormatError(
                self._path,
                f"{name} is not what was written",
                expected=f"SHA-256 {expected}",
                received=received,
                hint=_HINT,
            )


class Store:
    """An open store; no file stays open between two reads.

    Attributes:
        path: the file.
        digest: its content digest, from the SHA-256 that it states for each array.
        train, validation, test: the splits.
    """

    def __init__(self, path: Path, header: StoreHeader, counts: Mapping[str, int], digest: str) -> None:
        self.path = path
        self.digest = digest
        self._header = header
        self.train, self.validation, self.test = (Split(path, name, counts[name], header) for name in SPLITS)

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return self._header.dataset

    @property
    def split_rule(self) -> str:
        """How the validation examples were chosen."""
        return self._header.split_rule

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._header.image_shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each label, by index."""
        return self._header.classes

    @property
    def sources(self) -> Mapping[str, str]:
        """Role of an input file → SHA-256 of its bytes."""
        return self._header.sources


def open_store(path: Path | str) -> Store:
    """Open a store after verifying its schema and the names, types and shapes in it, without reading the arrays.

    Raises:
        InputError: there is no such file.
        FormatError: it is damaged, or not a store.
    """
    path = Path(path)
    with open_hdf5(path, hint=_HINT) as file:
        items = walk(path, file)
        header = _read_header(path, file)
        expected = sorted({"/", *(f"/{split}" for split in SPLITS), *ARRAYS})
        if list(items) != expected:
            raise FormatError(path, "not the arrays of a store", expected=expected, received=list(items)[:20])
        counts = {}
        for split in SPLITS:
            counts[split] = count = _rows(items[f"/{split}/labels"])
            _check_array(path, f"/{split}/labels", items[f"/{split}/labels"], (count,))
            _check_array(path, f"/{split}/images", items[f"/{split}/images"], (count, header.pixels))
        return Store(path, header, counts, digest_of(path, file, header.array_sha256))


def _rows(item: h5py.Group | h5py.Dataset) -> int:
    return item.shape[0] if isinstance(item, h5py.Dataset) and item.shape else 0


def _check_array(path: Path, name: str, item: h5py.Group | h5py.Dataset | None, shape: tuple[int, ...]) -> None:
    received = f"{item.dtype} {list(item.shape)}" if isinstance(item, h5py.Dataset) else "something else"
    if received != f"uint8 {list(shape)}":
        raise FormatError(
            path, f"{name} is of another kind", expected=f"uint8 {list(shape)}", received=received, hint=_HINT
        )


def _read_header(path: Path, file: h5py.File) -> StoreHeader:
    schema = read_text(path, file, "schema")
    if schema != SCHEMA:
        raise FormatError(path, "not a store of this version", expected=f"schema '{SCHEMA}'", received=repr(schema))
    texts = {name: read_text(path, file, name) for name in _TEXTS}
    shape, classes = _parsed(path, "image_shape", texts), _parsed(path, "classes", texts)
    sources, sha256 = _parsed(path, "sources", texts), _parsed(path, "sha256", texts)
    well_formed = (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(size) is int and size > 0 for size in shape)
        and isinstance(classes, list)
        and 0 < len(classes) <= 256
        and all(isinstance(name, str) for name in classes)
        and _maps_text_to_text(sources)
        and _maps_text_to_text(sha256)
        and sorted(sha256) == sorted(ARRAYS)
    )
    if not well_formed:
        received = {name: texts[name] for name in ("image_shape", "classes", "sources", "sha256")}
        raise FormatError(
            path, "an attribute of the store is wrong", expected="image shape, classes and digests", received=received
        )
    return StoreHeader(texts["dataset"], texts["split"], (shape[0], shape[1]), tuple(classes), sources, sha256)


def _parsed(path: Path, name: str, texts: Mapping[str, str]) -> Any:
    try:
        return json.loads(texts[name])
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"attribute '{name}' is not JSON", expected="JSON", received=error) from error


def _maps_text_to_text(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
