"""The store: the examples of a data set in one HDF5 file, split into training, validation and test.

    /{train,validation,test}/inputs    uint8 [n, D], one example per row: pixels, 0 = background, or features
    /{train,validation,test}/labels    uint8 [n], index into the classes
    /map                               the feature map that made the rows (map_group.py); missing if rows are pixels
    attributes of /                    schema, dataset, split, shape, classes, zero, step, sources, sha256, each as text

A row q becomes the model's input x = (q − zero) / step: for pixels zero is 0 and step 255, for features 80 and 32.

Each array is contiguous and starts at a multiple of 4,096 bytes, so it is mapped instead of read: memory does not grow
with the number of examples. HDF5 keeps no checksum of such arrays, so `sha256` holds the SHA-256 of each, and `Split`
verifies it before it returns an array. No times or paths are stored: equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mnist_cli import files, system
from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.hdf5 import digest_of, open_hdf5, read_text, walk
from mnist_cli.formats.map_group import GROUP, read_map, without_map
from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.text import printable

SCHEMA = "mnist-store/2"
SPLITS = ("train", "validation", "test")
ARRAYS = tuple(f"/{split}/{kind}" for split in SPLITS for kind in ("inputs", "labels"))
# A page of memory on most machines.
ALIGNMENT = 4096
# x = (q − ZERO) / STEP
ZERO, STEP = 0, 255
_DOCUMENTS = ("shape", "classes", "zero", "step", "sources", "sha256")
_HINT = "run 'mnist preprocess'"
_BLOCK_BYTES = 1 << 20

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoreHeader:
    """The attributes of a store.

    Attributes:
        dataset: name of the data set.
        split_rule: how the validation examples were chosen, for people to read.
        image_shape: height and width.
        classes: name of each label, by index.
        sources: role of an input file → SHA-256 of its bytes.
        array_sha256: name of an array, such as `/train/inputs` → SHA-256 of its bytes.
        fit: how a picture becomes such an image: `normalise` as in MNIST, or `resize`.
        zero, step: of x = (q − zero) / step.
    """

    dataset: str
    split_rule: str
    image_shape: tuple[int, int]
    classes: tuple[str, ...]
    sources: Mapping[str, str]
    array_sha256: Mapping[str, str]
    fit: str
    zero: int
    step: int

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return math.prod(self.image_shape)


def scaled(pixels: Bytes) -> Floats:
    """Return bytes as float32 in [0, 1]: divided by 255, in float32."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array is in the file; `offset` is in bytes and meaningless for an empty array."""

    name: str
    offset: int
    shape: tuple[int, ...]


class Split:
    """The examples of one split; each array is verified and mapped when it is first used.

    The properties raise FormatError if the bytes in the file do not match their digest.
    """

    def __init__(self, path: Path, name: str, places: Mapping[str, _Place], header: StoreHeader) -> None:
        self._path = path
        self._header = header
        self._places = places
        self.name = name

    def __len__(self) -> int:
        return self._places["labels"].shape[0]

    @property
    def width(self) -> int:
        """Bytes per row, D."""
        return self._places["inputs"].shape[1]

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return len(self)

    @cached_property
    def inputs(self) -> Bytes:
        """uint8 [n, D], read-only, mapped: rows that are not used take no memory.

        The toolkit replaces files and never changes them. If another program truncates the file while an array of it
        is in use, the process ends (SIGBUS).
        """
        return self._map("inputs")

    @cached_property
    def images(self) -> Floats:
        """float32 [n, D] in [0, 1]: the bytes divided by 255, all of them in memory."""
        return scaled(self.inputs)

    @cached_property
    def labels(self) -> Bytes:
        """uint8 [n], read-only, mapped; below the number of classes."""
        labels = self._map("labels")
        classes = len(self._header.classes)
        for start in range(0, len(labels), _BLOCK_BYTES):
            wrong = np.flatnonzero(labels[start : start + _BLOCK_BYTES] >= classes)
            if wrong.size:
                position = start + int(wrong[0])
                raise FormatError(
                    self._path,
                    f"/{self.name}/labels[{position}] is out of range",
                    expected=f"a label from 0 to {classes - 1}",
                    received=labels[position],
                    hint=_HINT,
                )
        return labels

    @cached_property
    def one_hot(self) -> Floats:
        """float32 [n, classes]: 1 at the label, else 0."""
        return np.eye(len(self._header.classes), dtype=np.float32)[self.labels]

    def blocks(self) -> Iterator[tuple[int, Bytes, Bytes]]:
        """Yield the examples block by block: the position of the first, `inputs` and `labels` of the block."""
        rows = max(1, _BLOCK_BYTES // self.inputs.shape[1])
        for start in range(0, len(self), rows):
            yield start, self.inputs[start : start + rows], self.labels[start : start + rows]

    def _map(self, kind: str) -> Bytes:
        place = self._places[kind]
        try:
            with files.open_regular(self._path) as file:
                return _map_verified(self._path, file.fileno(), place, self._header.array_sha256[place.name])
        except FileNotFoundError as error:
            raise InputError(f"{printable(self._path)}: no such file", hint=_HINT) from error
        except OSError as error:
            raise InputError(f"{printable(self._path)}: {error.strerror}", hint=_HINT) from error


def _map_verified(path: Path, descriptor: int, place: _Place, expected: str) -> Bytes:
    """Return an array as a read-only map of the file, after comparing its bytes with their SHA-256."""
    size = math.prod(place.shape)
    received = _sha256_at(descriptor, place.offset, size)
    if received != expected:
        raise FormatError(
            path,
            f"{place.name} does not match its digest",
            expected=f"SHA-256 {expected}",
            received=received or "a file that ends within it",
            hint=_HINT,
        )
    if not size:
        array = np.empty(place.shape, np.uint8)
        array.flags.writeable = False
        return array
    margin = place.offset % mmap.ALLOCATIONGRANULARITY
    mapped = mmap.mmap(descriptor, size + margin, access=mmap.ACCESS_READ, offset=place.offset - margin)
    return np.frombuffer(mapped, np.uint8, size, margin).reshape(place.shape)


def _sha256_at(descriptor: int, offset: int, size: int) -> str | None:
    """Return the SHA-256 of a part of a file, or None if the file ends before the part does.

    The part is read, not mapped: touching a mapped page that the file no longer has would end the process (SIGBUS).
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(size, _BLOCK_BYTES)))
    end = offset + size
    while offset < end:
        count = system.read_at(descriptor, buffer[: min(len(buffer), end - offset)], offset)
        if not count:
            return None
        digest.update(buffer[:count])
        offset += count
    return digest.hexdigest()


class Store:
    """An open store; its file stays open while an array of it is in use.

    Attributes:
        path: the file.
        digest: its content digest, computed from the SHA-256 that it states for each array.
        train, validation, test: the splits.
    """

    def __init__(self, path: Path, header: StoreHeader, places: Mapping[str, _Place], digest: str) -> None:
        self.path = path
        self.digest = digest
        self._header = header
        self.train, self.validation, self.test = (
            Split(path, name, {kind: places[f"/{name}/{kind}"] for kind in ("inputs", "labels")}, header)
            for name in SPLITS
        )

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
    def pixels(self) -> int:
        """Pixels of one image."""
        return self._header.pixels

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each label, by index."""
        return self._header.classes

    @property
    def fit(self) -> str:
        """How a picture becomes such an image: `normalise` as in MNIST, or `resize`."""
        return self._header.fit

    @property
    def zero(self) -> int:
        """Zero of x = (q − zero) / step, for a row q."""
        return self._header.zero

    @property
    def step(self) -> int:
        """Step of x = (q − zero) / step."""
        return self._header.step

    @cached_property
    def feature_map(self) -> FeatureMap | None:
        """The verified map that made the rows from images; None if they are pixels. Errors as `read_map`."""
        with open_hdf5(self.path, hint=_HINT) as file:
            found = read_map(self.path, file)
        width = self.train.width
        if found and (found.shape, len(found)) != (self.image_shape, width):
            expected = f"{width} features of images {[*self.image_shape]}"
            received = f"{len(found)} of {[*found.shape]}"
            raise FormatError(self.path, f"{GROUP} does not fit the rows", expected=expected, received=received)
        return found

    @property
    def sources(self) -> Mapping[str, str]:
        """Role of an input file → SHA-256 of its bytes."""
        return self._header.sources


def open_store(path: Path | str) -> Store:
    """Open a store after verifying its schema and the names, types and shapes in it, without reading the arrays.

    Raises:
        InputError: the file does not exist.
        FormatError: it is damaged, or not a store.
    """
    path = Path(path)
    with open_hdf5(path, hint=_HINT) as file:
        items = walk(path, file)
        header = _read_header(path, file)
        expected = sorted({"/", *(f"/{split}" for split in SPLITS), *ARRAYS})
        if without_map(items) != expected:
            raise FormatError(path, "not the arrays of a store", expected=expected, received=list(items)[:20])
        pixels = GROUP not in items
        if pixels != ((header.zero, header.step) == (ZERO, STEP)):
            expected_rows = f"{ZERO} and {STEP} without a map, other values with one"
            received = f"{header.zero} and {header.step}, with{'out' * pixels} a map"
            raise FormatError(path, "zero and step do not fit the rows", expected=expected_rows, received=received)
        width = header.pixels if pixels else _columns(items["/train/inputs"])
        places = {}
        for split in SPLITS:
            count = _rows(items[f"/{split}/labels"])
            for kind, shape in (("inputs", (count, width)), ("labels", (count,))):
                name = f"/{split}/{kind}"
                places[name] = _find_array(path, name, items[name], shape)
        return Store(path, header, places, digest_of(path, file, header.array_sha256))


def _rows(item: h5py.Group | h5py.Dataset) -> int:
    return item.shape[0] if isinstance(item, h5py.Dataset) and item.shape else 0


def _columns(item: h5py.Group | h5py.Dataset) -> int:
    return item.shape[1] if isinstance(item, h5py.Dataset) and len(item.shape) == 2 else 0


def _find_array(path: Path, name: str, item: h5py.Group | h5py.Dataset, shape: tuple[int, ...]) -> _Place:
    received = f"{item.dtype} {list(item.shape)}" if isinstance(item, h5py.Dataset) else "something else"
    if received != f"uint8 {list(shape)}":
        raise FormatError(
            path, f"{name} has the wrong type", expected=f"uint8 {list(shape)}", received=received, hint=_HINT
        )
    # HDF5 returns the offset only of a contiguous array that has been written.
    offset = item.id.get_offset()
    if offset is None and item.size:
        raise FormatError(
            path,
            f"{name} cannot be mapped",
            expected="an array in one piece",
            received="chunks, or nothing",
            hint=_HINT,
        )
    return _Place(name, offset or 0, shape)


def _read_header(path: Path, file: h5py.File) -> StoreHeader:
    schema = read_text(path, file, "schema")
    if schema != SCHEMA:
        raise FormatError(path, "not a store of this version", expected=f"schema '{SCHEMA}'", received=repr(schema))
    texts = {name: read_text(path, file, name) for name in ("dataset", "split", *_DOCUMENTS)}
    documents = {name: _parsed(path, name, texts) for name in _DOCUMENTS}
    shape, classes, sources, sha256 = (documents[name] for name in ("shape", "classes", "sources", "sha256"))
    well_formed = (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(size) is int and size > 0 for size in shape)
        and isinstance(classes, list)
        and 0 < len(classes) <= 256
        and all(isinstance(name, str) for name in classes)
        and all(type(documents[name]) is int and 0 <= documents[name] <= 255 for name in ("zero", "step"))
        and documents["step"] > 0
        and _maps_text_to_text(sources)
        and _maps_text_to_text(sha256)
        and sorted(sha256) == sorted(ARRAYS)
    )
    if not well_formed:
        raise FormatError(
            path,
            "an attribute of the store is wrong",
            expected="shape, classes, digests, zero and step",
            received={name: texts[name] for name in _DOCUMENTS},
        )
    fit = read_text(path, file, "fit") if "fit" in file.attrs else "normalise"
    zero, step = documents["zero"], documents["step"]
    image_shape = (shape[0], shape[1])
    return StoreHeader(texts["dataset"], texts["split"], image_shape, tuple(classes), sources, sha256, fit, zero, step)


def _parsed(path: Path, name: str, texts: Mapping[str, str]) -> Any:
    try:
        return json.loads(texts[name])
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"attribute '{name}' is not JSON", expected="JSON", received=error) from error


def _maps_text_to_text(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
