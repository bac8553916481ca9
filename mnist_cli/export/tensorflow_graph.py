"""The graph in TensorFlow's operations, for SavedModel and LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mnist_cli.export import graph
from mnist_cli.export.graph import Array, Tensor
from mnist_cli.formats.model import Model
from mnist_cli.maps.softmax import UNIT


class TensorFlowBackend:
    """A `graph.Backend` with float64 for wide tensors."""

    kind = tf.float64

    def conv(self, maps: Tensor, kernels: Array) -> Tensor:
        filters = np.ascontiguousarray(kernels.transpose(1, 2, 0)[:, :, np.newaxis])
        made = tf.nn.conv2d(tf.transpose(maps, [0, 2, 3, 1]), filters, strides=1, padding="SAME")
        return tf.transpose(made, [0, 3, 1, 2])

    def matmul(self, left: Tensor, right: Array) -> Tensor:
        shape = left.shape.as_list()
        product = tf.matmul(tf.reshape(left, [-1, shape[-1]]), right)
        return tf.reshape(product, [-1, *shape[1:-1], right.shape[1]])

    def turned(self, values: Tensor) -> Tensor:
        return tf.transpose(values, [0, 1, 3, 2])

    def floor(self, values: Tensor) -> Tensor:
        return tf.floor(values)

    def sqrt(self, values: Tensor) -> Tensor:
        return tf.sqrt(values)

    def clip(self, values: Tensor, low: float, high: float) -> Tensor:
        return tf.minimum(tf.maximum(values, tf.constant(low, values.dtype)), tf.constant(high, values.dtype))

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return tf.concat(parts, axis)

    def part(self, values: Tensor, start: int, stop: int) -> Tensor:
        return values[:, start:stop]

    def reshape(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        return tf.reshape(values, shape)

    def padded(self, values: Tensor, before: int, after: int) -> Tensor:
        return tf.pad(values, [[0, 0], [before, after], [before, after]])

    def total(self, values: Tensor) -> Tensor:
        return tf.reduce_sum(values, axis=1, keepdims=True)

    def wide(self, values: Tensor | Array) -> Tensor:
        return tf.cast(values, self.kind)

    def quotient(self, over: Tensor, under: Tensor, bits: int) -> Tensor:
        return tf.cast(tf.floor(over / under * 2.0**bits + 0.5), tf.float32)

    def gather(self, flat: Tensor, places: Tensor) -> Tensor:
        return tf.gather(flat, tf.cast(places, tf.int32), batch_dims=1)


class LiteBackend(TensorFlowBackend):
    """The same with int64 for wide tensors, because LiteRT's operations lack float64."""

    kind = tf.int64

    def clip(self, values: Tensor, low: float, high: float) -> Tensor:
        if values.dtype == tf.int64:
            return tf.minimum(tf.maximum(values, tf.constant(int(low), tf.int64)), tf.constant(int(high), tf.int64))
        return super().clip(values, low, high)

    def quotient(self, over: Tensor, under: Tensor, bits: int) -> Tensor:
        """Estimate the quotient in float32 and correct it from the remainder, in whole numbers."""
        twice = under * 2
        left = over * 2 ** (bits + 1) + under  # ⌊left / twice⌋ is the result
        result = tf.zeros_like(over)
        for _ in range(2):
            guess = tf.cast(tf.floor(tf.cast(left, tf.float32) / tf.cast(twice, tf.float32)), tf.int64)
            left -= guess * twice
            result += guess
        result += tf.cast(left >= twice, tf.int64) - tf.cast(left < 0, tf.int64)
        return tf.cast(result, tf.float32)


def exact_function(model: Model) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return a function of uint8 [n, h, w] whose features and logits are the same as in Python, to the bit."""
    backend = TensorFlowBackend()
    weights = np.rint(model.weights / UNIT)
    constants = model.input_step * np.rint(model.bias / UNIT) - model.zero * weights.sum(axis=0)

    def predict(images: Tensor) -> dict[str, Tensor]:
        rows = graph.rows(backend, model, tf.cast(images, tf.float32))
        exact = tf.cast(tf.constant(weights, tf.int32), tf.float64)
        scores = tf.matmul(tf.cast(rows, tf.float64), exact) + constants
        logits = scores * (UNIT / model.input_step)
        return {
            "probabilities": tf.cast(tf.nn.softmax(logits), tf.float32),
            "label": tf.argmax(scores, axis=1),
        }

    return predict


def float_function(model: Model) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return a function of uint8 [n, h, w] in float32 that uses only operations of LiteRT."""
    backend = LiteBackend()
    weights = (model.weights / model.input_step).astype(np.float32)
    bias = (model.bias - model.zero * model.weights.sum(axis=0) / model.input_step).astype(np.float32)

    def predict(images: Tensor) -> dict[str, Tensor]:
        # LiteRT accepts images of any shape with the same number of pixels. Concatenating an image of the right shape
        # makes it refuse all others.
        images = tf.concat([images, tf.zeros([1, *model.shape], tf.uint8)], axis=0)[:-1]
        rows = graph.rows(backend, model, tf.cast(images, tf.float32))
        return {"probabilities": tf.nn.softmax(tf.matmul(rows, weights) + bias)}

    return predict


def signature(model: Model, function: Callable[[Tensor], dict[str, Tensor]]) -> tuple[Any, Any]:
    """Return a module with `predict`, and its concrete function on uint8 [n, h, w]."""
    module: Any = tf.Module()
    images = tf.TensorSpec([None, *model.shape], tf.uint8, name="images")
    module.predict = tf.function(function, input_signature=[images], autograph=False)
    return module, module.predict.get_concrete_function()
