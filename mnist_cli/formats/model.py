"""The model file: W and b of a softmax regression, and how an image becomes their input.

    /W                 float64 [D, K], whole numbers times 2^-24
    /b                 float64 [K], the same
    attributes of /    schema, input, shape and classes (JSON), digest, store_digest, each as text; fit if pictures
                       are resized instead of normalised;
                       step, seed, input_zero, input_step as int64

    /map               the feature map that makes rows of images (map_group.py); missing if rows are pixels

For a row q of the store, x = (q − input_zero) / input_step. In files of the schemas mnist-model/1 and 2, W and b are
float32; those of mnist-model/1 have no shape and no input_*.

Using a model needs only NumPy. The logits of bytes are exact, hence the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.hdf5 import open_hdf5, read_text, reading, walk
from mnist_cli.formats.hdf5_writing import safe_hdf5_file, write_text
from mnist_cli.formats.map_group import read_map, without_map, write_map
from mnist_cli.formats.store import STEP, ZERO
from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.layout import Layout, layout_of
from mnist_cli.maps.softmax import UNIT, logits

SCHEMA = "mnist-model/3"
# Schema → the type of W and b.
_TYPES = {SCHEMA: "float64", "mnist-model/2": "float32", "mnist-model/1": "float32"}
INPUT = "x = (uint8 - input_zero) / input_step, the rows of an image after each other; y = softmax(x W + b)"
INPUT_OF_MAP = "x = (uint8 - input_zero) / input_step, the features that /map makes of an image; y = softmax(x W + b)"
_HINT = "run 'mnist train'"
_BLOCK = 1000
# Blocks of larger images have fewer rows, so that a block takes at most 4 MB as bytes.
_BLOCK_VALUES = 1 << 22
# OpenBLAS computes a product of at most this many multiplications in one thread
# (SMP_THRESHOLD_MIN · GEMM_MULTITHREAD_THRESHOLD in its interface/gemm.c). Its other threads would keep their
# processors busy for milliseconds after a product, waiting for the next one, which makes a busy machine ten times
# slower. In pieces of this size, converting bytes to float64 also stays in the processor's caches.
_ONE_THREAD = 2**18

Floats = npt.NDArray[np.float64]
T = TypeVar("T", bound=npt.NDArray[Any])


@dataclass(frozen=True, eq=False, repr=False)  # comparing arrays gives arrays, not an answer
class Model:
    """A trained softmax regression.

    An image is uint8, 0 = background, or float32 in [0, 1]. Images have the shape [n, P], P = height · width, or [n,
    height, width]; a single one may be [P] or [height, width] and counts as n = 1. Anything else raises InputError. A
    feature map takes bytes, so float32 is rounded to bytes, halves up.

    Attributes:
        weights: W, float64 [D, K].
        bias: b, float64 [K].
        classes: name of each label, K of them.
        step: number of training steps that made it.
        seed: of the order of its examples.
        store_digest: content digest of the store it was trained on.
        shape: height and width of an image, D pixels together.
        fit: how a picture becomes an image: `normalise` as in MNIST, or `resize`.
        feature_map: makes the D inputs from an image; None if they are its pixels.
    """

    weights: Floats
    bias: Floats
    classes: tuple[str, ...]
    step: int
    seed: int
    store_digest: str
    shape: tuple[int, int]
    fit: str = "normalise"
    feature_map: FeatureMap | None = None

    def __repr__(self) -> str:
        mapped = f"{self.feature_map.name}: " if self.feature_map else ""
        return f"Model({mapped}{len(self.weights)} → {len(self.bias)}, step {self.step}, digest {self.digest[:12]}…)"

    @property
    def pixels(self) -> int:
        """Number of pixels of an image."""
        return math.prod(self.shape)

    @property
    def zero(self) -> int:
        """Zero of x = (q − zero) / step, for a row q."""
        return self.feature_map.zero if self.feature_map else ZERO

    @property
    def input_step(self) -> int:
        """Step of x = (q − zero) / step."""
        return self.feature_map.step if self.feature_map else STEP

    @cached_property
    def layout(self) -> Layout:
        """The layout of the D inputs over an image and in a picture."""
        return layout_of(self.feature_map, self.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the little-endian bytes of W, then of b, with −0 as 0: equal digests mean the same model."""
        return _digest(self.weights, self.bias, "float64")

    def logits(self, images: npt.ArrayLike) -> Floats:
        """Return xW + b; for bytes, exact up to one final division.

        Returns:
            float64 [n, K].

        Raises:
            InputError: the images have another dtype, shape or range than the class describes.
        """
        rows = self.rows(images)
        return self._by_blocks(rows, self._in_units, np.empty((len(rows), len(self.bias))))

    def probabilities(self, images: npt.ArrayLike) -> Floats:
        """Return softmax(xW + b); errors as `logits`.

        Returns:
            float64 [n, K], where each row sums to 1.
        """
        rows = self.rows(images)
        result = np.empty((len(rows), len(self.bias)))
        return self._by_blocks(rows, lambda scores: softmax(self._in_units(scores)), result)

    def predict(self, images: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the most probable label of each image, the lower one of two that tie; errors as `logits`.

        Returns:
            uint8 [n].
        """
        rows = self.rows(images)
        return self._by_blocks(rows, lambda scores: scores.argmax(axis=1), np.empty(len(rows), np.uint8))

    def rows(self, images: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the inputs of W: an image's features, uint8 [n, D], or its unchanged pixels; errors as `logits`."""
        checked = self._checked(images)
        if self.feature_map is None:
            return checked
        if checked.dtype != np.uint8:
            checked = np.floor(checked * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        return self.feature_map.rows(checked)

    def seen(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the image from which the inputs are computed: shrunk and deskewed if the feature map does that.

        Args:
            image: uint8 [height, width].

        Returns:
            uint8 [height, width], smaller if large images are shrunk.
        """
        return image if self.feature_map is None else self.feature_map.seen(image[np.newaxis])[0]

    def _in_units(self, scores: Floats) -> Floats:
        return in_units(scores, self.input_step)

    def _by_blocks(self, rows: npt.NDArray[Any], function: Callable[[Floats], Any], result: T) -> T:
        """Fill an array with a function of the scores, block by block."""
        for start, scores in score_blocks(self.weights, self.bias, rows, self.zero, self.input_step):
            result[start : start + len(scores)] = function(scores)
        return result

    def _checked(self, images: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the images as [n, P]."""
        array = np.asarray(images)
        if array.dtype not in (np.uint8, np.float32):
            raise InputError(f"images: expected uint8, or float32 in [0, 1]; received {array.dtype}")
        pixels = self.pixels
        single = array.ndim == 1 or (array.ndim == 2 and array.shape[1] != pixels)
        rows = array[np.newaxis] if single else array
        if rows.ndim not in (2, 3) or int(np.prod(rows.shape[1:])) != pixels:
            raise InputError(
                f"images: expected [n, {pixels}], or [n, height, width] of {pixels} pixels; received {[*array.shape]}"
            )
        # Written so that NaN fails too.
        if rows.dtype == np.float32 and rows.size and not (rows.min() >= 0 and rows.max() <= 1):
            raise InputError(f"images: expected float32 in [0, 1]; received {rows.min():g} to {rows.max():g}")
        return rows.reshape(len(rows), pixels)


def score_blocks(
    weights: Floats, bias: Floats, images: npt.NDArray[Any], zero: int = ZERO, step: int = STEP
) -> Iterator[tuple[int, Floats]]:
    """Yield the logits of rows in units of 2^-24 / step, block by block: whole numbers for bytes.

    Args:
        weights: W, float64 [D, K].
        bias: b, float64 [K].
        images: rows uint8 [n, D]; or float32 [n, D] in [0, 1], which are pixels.
        zero, step: of x = (q − zero) / step.

    Yields:
        The position of a block's first image, and float64 [images of the block, K].
    """
    weights, bias = weights / UNIT, bias / UNIT
    count = max(1, min(_BLOCK, _BLOCK_VALUES // len(weights)))
    piece = max(1, _ONE_THREAD // weights.size)
    for start in range(0, len(images), count):
        block = images[start : start + count]
        scores = np.empty((len(block), len(bias)))
        for first in range(0, len(block), piece):
            rows = block[first : first + piece].astype(np.float64)
            if images.dtype != np.uint8:
                rows = rows * STEP + ZERO
            scores[first : first + piece] = logits(rows, weights, bias, zero, step)
        yield start, scores


def in_units(scores: Floats, step: int = STEP) -> Floats:
    """Return scores in units of 2^-24 / step as logits."""
    result: Floats = scores * UNIT / step
    return result


def _digest(weights: npt.NDArray[Any], bias: npt.NDArray[Any], kind: str) -> str:
    digest = hashlib.sha256()
    for array in (weights, bias):
        # + 0 turns −0 into 0; older digests distinguish them.
        values = array + 0.0 if kind == "float64" else array
        digest.update(np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).data)
    return digest.hexdigest()


def softmax(logits: Floats) -> Floats:
    """Return the softmax of each row of float64 [n, K]; no finite logit overflows."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def save_model(path: Path, model: Model) -> None:
    """Publish the model as `path`; equal models give equal bytes.

    Raises:
        OSError: the file cannot be written.
    """
    with safe_hdf5_file(path) as file:
        file.create_dataset("W", data=np.ascontiguousarray(model.weights, "<f8") + 0.0)
        file.create_dataset("b", data=np.ascontiguousarray(model.bias, "<f8") + 0.0)
        texts = {
            "schema": SCHEMA,
            "input": INPUT if model.feature_map is None else INPUT_OF_MAP,
            "shape": json.dumps(model.shape),
            "classes": json.dumps(model.classes),
            "digest": model.digest,
            "store_digest": model.store_digest,
        }
        texts |= {} if model.fit == "normalise" else {"fit": model.fit}
        for name, text in texts.items():
            write_text(file, name, text)
        numbers = {"step": model.step, "seed": model.seed, "input_zero": model.zero, "input_step": model.input_step}
        for name, number in numbers.items():
            file.attrs.create(name, np.int64(number))
        if model.feature_map:
            write_map(file, model.feature_map)


def load_model(path: Path | str) -> Model:
    """Read a model and verify it: schema, names, shapes, types, finite values and the digest of W and b.

    Older schemas are read too; W and b become float64, and the digest is that of the float64 values. A file of schema
    mnist-model/1 does not state the shape of its images: it is square if D is a square number, else (1, D).

    Raises:
        InputError: the file does not exist.
        FormatError: it is damaged, or not a model.
    """
    path = Path(path)
    with open_hdf5(path, hint=_HINT) as file:
        schema = read_text(path, file, "schema")
        if schema not in _TYPES:
            raise _wrong(path, "not a model of this version", f"schema '{SCHEMA}'", repr(schema))
        items = walk(path, file)
        if without_map(items) != ["/", "/W", "/b"]:
            raise _wrong(path, "not the arrays of a model", "/W and /b", list(items)[:20])
        kind = _TYPES[schema]
        weights, bias = _read_array(path, items["/W"], kind, 2), _read_array(path, items["/b"], kind, 1)
        classes = _read_classes(path, file)
        if not (weights.size and weights.shape[1] == len(bias) == len(classes)):
            received = f"W {list(weights.shape)}, b {list(bias.shape)}, {len(classes)} classes"
            raise _wrong(path, "W, b and the classes do not fit together", "W [D, K], b [K], K classes", received)
        step, seed = (_read_count(path, file, name) for name in ("step", "seed"))
        feature_map = read_map(path, file)
        shape = _likely_shape(len(weights)) if schema == "mnist-model/1" else _read_shape(path, file)
        _check_inputs(path, file if schema != "mnist-model/1" else None, len(weights), shape, feature_map)
        fit = read_text(path, file, "fit") if "fit" in file.attrs else "normalise"
        store = read_text(path, file, "store_digest")
        model = Model(weights, bias, classes, step, seed, store, shape, fit, feature_map)
        stated = read_text(path, file, "digest")
    if (received := _digest(weights, bias, kind)) != stated:
        raise _wrong(path, "W and b do not match their digest", f"SHA-256 {stated}", received)
    return model


def _read_array(path: Path, item: h5py.Group | h5py.Dataset, kind: str, dimensions: int) -> Floats:
    received = f"{item.dtype}, {item.ndim} dimensions" if isinstance(item, h5py.Dataset) else "a group"
    if received != f"{kind}, {dimensions} dimensions":
        raise _wrong(path, f"{item.name} has the wrong type", f"{kind}, {dimensions} dimensions", received)
    with reading(path, item.name):
        array: Floats = np.asarray(item[()], np.float64)
    if not np.isfinite(array).all():
        raise _wrong(path, f"{item.name} is not finite", "finite numbers", "infinities or NaN")
    array.flags.writeable = False
    return array


def _read_shape(path: Path, file: h5py.File) -> tuple[int, int]:
    shape = _read_json(path, file, "shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(size) is int and size > 0 for size in shape)):
        raise _wrong(path, "attribute 'shape' is wrong", "height and width", shape)
    return shape[0], shape[1]


def _check_inputs(
    path: Path, file: h5py.File | None, inputs: int, shape: tuple[int, int], feature_map: FeatureMap | None
) -> None:
    """Refuse a model whose inputs do not fit its map or, without a map, its images."""
    expected = (feature_map.zero, feature_map.step) if feature_map else (ZERO, STEP)
    stated = expected
    if file is not None:
        stated = (_read_count(path, file, "input_zero"), _read_count(path, file, "input_step"))
    if stated != expected:
        kind = "the features of its map" if feature_map else "pixels"
        problem = f"its inputs are not {kind}"
        raise _wrong(path, problem, "input_zero {}, input_step {}".format(*expected), "{}, {}".format(*stated))
    if feature_map and feature_map.shape != shape:
        raise _wrong(path, "its map is for images of another shape", [*shape], [*feature_map.shape])
    if (len(feature_map) if feature_map else math.prod(shape)) != inputs:
        given = f"{len(feature_map)} features" if feature_map else f"height and width, {inputs} pixels together"
        raise _wrong(path, "attribute 'shape' is wrong", given, f"{[*shape]}, W of {inputs} rows")


def _likely_shape(pixels: int) -> tuple[int, int]:
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)


def _read_classes(path: Path, file: h5py.File) -> tuple[str, ...]:
    classes = _read_json(path, file, "classes")
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise _wrong(path, "attribute 'classes' is wrong", "a list of names", str(classes)[:100])
    return tuple(classes)


def _read_json(path: Path, file: h5py.File, name: str) -> Any:
    try:
        return json.loads(read_text(path, file, name))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"attribute '{name}' is not JSON", "JSON", error) from error


def _read_count(path: Path, file: h5py.File, name: str) -> int:
    value = np.asarray(file.attrs.get(name, -1.0))
    if value.dtype.kind not in "iu" or value.shape != () or value < 0:
        raise _wrong(path, f"attribute '{name}' is wrong", "a whole number from 0 up", value)
    return int(value)


def _wrong(path: Path, problem: str, expected: object, received: object) -> FormatError:
    return FormatError(path, problem, expected=expected, received=received, hint=_HINT)
