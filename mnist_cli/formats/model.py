"""The model file: W and b of a softmax regression, and how an image becomes what they are multiplied with.

    /W                 float32 [D, K]
    /b                 float32 [K]
    attributes of /    schema, input, shape and classes (JSON), digest, store_digest, each as text; fit where pictures
                       are resized and not normalised;
                       step, seed, input_zero, input_step as int64

x = (q − input_zero) / input_step of a row q of the store. A file of schema mnist-model/1 has no shape and no input_*.

Using a model needs NumPy only.
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
from mnist_cli.formats.store import STEP, ZERO

SCHEMA = "mnist-model/2"
_OLD_SCHEMA = "mnist-model/1"
INPUT = "x = (uint8 - input_zero) / input_step as float32, the rows of an image after each other; y = softmax(x W + b)"
_HINT = "run 'mnist train'"
# Float images take four times the bytes; a block of 1,000 of MNIST stays within 3 MB, near the processor.
_BLOCK = 1000
# Of larger images so many fewer that a block takes 16 MB at most.
_BLOCK_VALUES = 1 << 22
# A product of so many multiplications OpenBLAS does without its other threads
# (SMP_THRESHOLD_MIN · GEMM_MULTITHREAD_THRESHOLD in its interface/gemm.c).
_ONE_THREAD = 2**18

Floats = npt.NDArray[np.float32]
T = TypeVar("T", bound=npt.NDArray[Any])


@dataclass(frozen=True, eq=False, repr=False)  # comparing arrays gives arrays, not an answer
class Model:
    """A trained softmax regression.

    An image is uint8, 0 = background, or float32 in [0, 1]. Images come as [n, D], [n, height, width], or a single
    one as [D] or [height, width], which counts as n = 1. What is neither raises InputError.

    Attributes:
        weights: W, float32 [D, K].
        bias: b, float32 [K].
        classes: name of each label, K of them.
        step: training steps that made it.
        seed: seed of the order of its examples.
        store_digest: content digest of the store it was trained on.
        shape: height and width of an image, D pixels together.
        fit: how a picture becomes an image: `normalise` as MNIST was made, or `resize`.
    """

    weights: Floats
    bias: Floats
    classes: tuple[str, ...]
    step: int
    seed: int
    store_digest: str
    shape: tuple[int, int]
    fit: str = "normalise"

    def __repr__(self) -> str:
        return f"Model({len(self.weights)} → {len(self.bias)}, step {self.step}, digest {self.digest[:12]}…)"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the little-endian bytes of W, then of b: what "the same model" means."""
        digest = hashlib.sha256()
        for array in (self.weights, self.bias):
            digest.update(np.ascontiguousarray(array, "<f4").data)
        return digest.hexdigest()

    def logits(self, images: npt.ArrayLike) -> Floats:
        """Return xW + b.

        Returns:
            float32 [n, K].

        Raises:
            InputError: the images have another dtype, shape or range than the class describes.
        """
        rows = self._checked(images)
        return self._by_blocks(rows, lambda logits: logits, np.empty((len(rows), len(self.bias)), np.float32))

    def probabilities(self, images: npt.ArrayLike) -> Floats:
        """Return softmax(xW + b); errors as `logits`.

        Returns:
            float32 [n, K], each row sums to 1.
        """
        rows = self._checked(images)
        return self._by_blocks(rows, softmax, np.empty((len(rows), len(self.bias)), np.float32))

    def predict(self, images: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the most probable label of each image, the lower one of two that tie; errors as `logits`.

        Returns:
            uint8 [n].
        """
        rows = self._checked(images)
        return self._by_blocks(rows, lambda logits: logits.argmax(axis=1), np.empty(len(rows), np.uint8))

    def _by_blocks(self, rows: npt.NDArray[Any], function: Callable[[Floats], Any], result: T) -> T:
        """Fill an array with what a function makes of the logits; of no more of them than a block at once."""
        # On a busy machine a second thread makes this ten times slower, and on an idle one hardly faster.
        for start, logits in linear_blocks(self.weights, self.bias, rows, one_thread=True):
            result[start : start + len(logits)] = function(logits)
        return result

    def _checked(self, images: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the images as [n, D]."""
        array = np.asarray(images)
        if array.dtype not in (np.uint8, np.float32):
            raise InputError(f"images: expected uint8, or float32 in [0, 1]; received {array.dtype}")
        pixels = len(self.weights)
        single = array.ndim == 1 or (array.ndim == 2 and array.shape[1] != pixels)
        rows = array[np.newaxis] if single else array
        if rows.ndim not in (2, 3) or int(np.prod(rows.shape[1:])) != pixels:
            raise InputError(f"images: expected [n, {pixels}] or as much in two dimensions; received {[*array.shape]}")
        # Written so that NaN fails too.
        if rows.dtype == np.float32 and rows.size and not (rows.min() >= 0 and rows.max() <= 1):
            raise InputError(f"images: expected float32 in [0, 1]; received {rows.min():g} to {rows.max():g}")
        return rows.reshape(len(rows), pixels)


def linear_blocks(
    weights: Floats, bias: Floats, images: npt.NDArray[Any], *, one_thread: bool = False
) -> Iterator[tuple[int, Floats]]:
    """Give xW + b of the images, block by block.

    Args:
        weights: float32 [D, K].
        bias: float32 [K].
        images: uint8 [n, D], or float32 [n, D] in [0, 1].
        one_thread: multiply in pieces so small that no other thread is asked to help. Those of OpenBLAS keep their
            processors busy for milliseconds after a product, waiting for the next one. The sums are added up in
            another order, so the last bits may differ.

    Yields:
        The position of a block's first image, and float32 [images of the block, K].
    """
    is_scaled = images.dtype == np.float32
    # One buffer for all blocks: to touch fresh memory takes longer than to multiply.
    count = max(1, min(_BLOCK, _BLOCK_VALUES // len(weights)))
    buffer = np.empty((0 if is_scaled else min(count, len(images)), len(weights)), np.float32)
    for start in range(0, len(images), count):
        block = images[start : start + count]
        inputs = block if is_scaled else np.divide(block, np.float32(255), out=buffer[: len(block)])
        yield start, (_product_by_one_thread(inputs, weights) if one_thread else inputs @ weights) + bias


def _product_by_one_thread(inputs: Floats, weights: Floats) -> Floats:
    """Return inputs [n, D] times weights [D, K]."""
    rows = max(1, _ONE_THREAD // weights.size)
    product = np.empty((len(inputs), weights.shape[1]), np.float32)
    for start in range(0, len(inputs), rows):
        np.matmul(inputs[start : start + rows], weights, out=product[start : start + rows])
    return product


def softmax(logits: Floats) -> Floats:
    """Return the softmax of each row of float32 [n, K]; no finite logit overflows."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def save_model(path: Path, model: Model) -> None:
    """Publish the model as `path`; equal models give equal bytes.

    Raises:
        OSError: the file cannot be written.
    """
    with safe_hdf5_file(path) as file:
        file.create_dataset("W", data=np.ascontiguousarray(model.weights, "<f4"))
        file.create_dataset("b", data=np.ascontiguousarray(model.bias, "<f4"))
        texts = {
            "schema": SCHEMA,
            "input": INPUT,
            "shape": json.dumps(model.shape),
            "classes": json.dumps(model.classes),
            "digest": model.digest,
            "store_digest": model.store_digest,
        }
        texts |= {} if model.fit == "normalise" else {"fit": model.fit}
        for name, text in texts.items():
            write_text(file, name, text)
        numbers = {"step": model.step, "seed": model.seed, "input_zero": ZERO, "input_step": STEP}
        for name, number in numbers.items():
            file.attrs.create(name, np.int64(number))


def load_model(path: Path | str) -> Model:
    """Read a model and verify it: schema, names, shapes, types, finite values and the digest of W and b.

    A file of schema mnist-model/1 does not say what shape its images have: square, where D is a square number, else
    (1, D).

    Raises:
        InputError: there is no such file.
        FormatError: it is damaged, or no model.
    """
    path = Path(path)
    with open_hdf5(path, hint=_HINT) as file:
        schema = read_text(path, file, "schema")
        if schema not in (SCHEMA, _OLD_SCHEMA):
            raise _wrong(path, "not a model of this version", f"schema '{SCHEMA}'", repr(schema))
        items = walk(path, file)
        if sorted(items) != ["/", "/W", "/b"]:
            raise _wrong(path, "not the arrays of a model", "/W and /b", list(items)[:20])
        weights, bias = _read_array(path, items["/W"], 2), _read_array(path, items["/b"], 1)
        classes = _read_classes(path, file)
        if not (weights.size and weights.shape[1] == len(bias) == len(classes)):
            received = f"W {list(weights.shape)}, b {list(bias.shape)}, {len(classes)} classes"
            raise _wrong(path, "W, b and the classes do not fit", "W [D, K], b [K], K classes", received)
        step, seed = (_read_count(path, file, name) for name in ("step", "seed"))
        shape = _read_shape(path, file, len(weights)) if schema == SCHEMA else _likely_shape(len(weights))
        fit = read_text(path, file, "fit") if "fit" in file.attrs else "normalise"
        model = Model(weights, bias, classes, step, seed, read_text(path, file, "store_digest"), shape, fit)
        stated = read_text(path, file, "digest")
    if model.digest != stated:
        raise _wrong(path, "W and b are not what was written", f"SHA-256 {stated}", model.digest)
    return model


def _read_array(path: Path, item: h5py.Group | h5py.Dataset, dimensions: int) -> Floats:
    received = f"{item.dtype}, {item.ndim} dimensions" if isinstance(item, h5py.Dataset) else "a group"
    if received != f"float32, {dimensions} dimensions":
        raise _wrong(path, f"{item.name} is of another kind", f"float32, {dimensions} dimensions", received)
    with reading(path, item.name):
        array: Floats = np.asarray(item[()], np.float32)
    if not np.isfinite(array).all():
        raise _wrong(path, f"{item.name} is of no use", "finite numbers", "infinities or NaN")
    array.flags.writeable = False
    return array


def _read_shape(path: Path, file: h5py.File, pixels: int) -> tuple[int, int]:
    zero, step = (_read_count(path, file, name) for name in ("input_zero", "input_step"))
    if (zero, step) != (ZERO, STEP):
        raise _wrong(path, "its inputs are not pixels", f"input_zero {ZERO}, input_step {STEP}", f"{zero}, {step}")
    shape = _read_json(path, file, "shape")
    is_shape = isinstance(shape, list) and len(shape) == 2 and all(type(size) is int and size > 0 for size in shape)
    if not is_shape or math.prod(shape) != pixels:
        raise _wrong(path, "attribute 'shape' is wrong", f"height and width, {pixels} pixels together", shape)
    return shape[0], shape[1]


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
        raise _wrong(path, f"attribute '{name}' is wrong", "a whole number from 0 on", value)
    return int(value)


def _wrong(path: Path, problem: str, expected: object, received: object) -> FormatError:
    return FormatError(path, problem, expected=expected, received=received, hint=_HINT)
