"""The softmax regression and its training: many steps of gradient descent in one compiled call.

    x = uint8 / 255                                      [m, D]
    loss = mean over the batch of −ln softmax(xW + b)[label]

What a step does with the gradient is the business of a rule (rules.py). The gradient is written out, as the fused
operation gives ∂loss/∂logits along with the loss; and without AutoGraph the function is traced in 40 ms instead of 400.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.learning.data import TrainingData
from mnist_cli.learning.devices import Device, resident
from mnist_cli.learning.distributed.replicas import Replicas
from mnist_cli.learning.rules import make_rule
from mnist_cli.learning.settings import TrainSettings

# A batch larger than this is summed up block by block, so that memory stays bounded: as float32, a block of MNIST
# takes 13 MB, the whole training split would take 172. Of larger images, a block takes 16 MB.
_BLOCK = 4096
_BLOCK_VALUES = 1 << 22

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Chunk:
    """What some steps in a row came to.

    Attributes:
        losses: float32 [steps], each step's loss before its update.
        values: of the variables after the last step: Wᵀ, b, and what the rule remembers.
    """

    losses: Floats
    values: tuple[tf.Tensor, ...]

    def is_finite(self) -> bool:
        """Whether W and b are."""
        return all(np.isfinite(value.numpy()).all() for value in self.values[:2])


class TrainingLoop:
    """The parameters of a softmax regression, from zeros, and the compiled function that trains them.

    Args:
        data: the examples; the training split stays on the device as bytes.
        settings: how to train.
        replicas: where all this is; the examples are on every device, the parameters on the first.
    """

    def __init__(self, data: TrainingData, settings: TrainSettings, replicas: Replicas) -> None:
        self._batch = batch = settings.batch(len(data.labels))
        self._l2 = settings.l2 or 0.0
        self._replicas = replicas
        self._device = device = replicas.devices[0]
        self._examples = [_examples(data, each) for each in replicas.devices]
        pixels, classes = data.inputs.shape[1], len(data.classes)
        with tf.device(device.name):
            self.weights = tf.Variable(tf.zeros([classes, pixels]), name="weights")
            self.bias = tf.Variable(tf.zeros([classes]), name="bias")
        total_steps = settings.total_steps(len(data.labels))
        self._rule = make_rule(settings, (self.weights, self.bias), total_steps, device)
        self._best: tuple[tf.Variable, ...] = (
            (tf.Variable(self.weights), tf.Variable(self.bias)) if settings.select == "best" else ()
        )
        # The number of steps is open, so one trace serves calls of any length.
        signature = [tf.TensorSpec([None, batch], tf.int32)]
        self._compiled = tf.function(self._steps, input_signature=signature, autograph=False)

    def compile(self) -> None:
        """Trace and optimize the function, by a call that does no step."""
        self.run(np.empty((0, self._batch), np.int32))

    def run(self, rows: npt.NDArray[np.int32]) -> Chunk:
        """Do one step for each batch of rows.

        Args:
            rows: int32 [steps, batch], positions in the training split.
        """
        with tf.device(self._device.name):
            losses, values = self._compiled(tf.constant(rows))
        return Chunk(losses.numpy(), tuple(values))

    def snapshot(self, chunk: Chunk) -> list[tf.Tensor]:
        """Return the values of `variables()` as they are after a chunk, until the next one.

        Most came out of the compiled function: to read them one by one, out of the cold, would take 0.15 ms for each.
        """
        return [*chunk.values, *(variable.value() for variable in self._best)]

    def parameters(self) -> tuple[Floats, Floats]:
        """Return W, float32 [D, K], and b, float32 [K], as they are now."""
        return _as_model((self.weights, self.bias))

    def model(self) -> tuple[Floats, Floats]:
        """Return the W and b that are validated and published: their moving averages if there are any."""
        return _as_model(self._rule.averages or (self.weights, self.bias))

    def remember_best(self) -> None:
        """Keep the model as it is now as the best so far; only with `select: best`."""
        for variable, source in zip(self._best, self._rule.averages or (self.weights, self.bias), strict=True):
            variable.assign(source.value())

    def best(self) -> tuple[Floats, Floats]:
        """Return the W and b that were remembered."""
        return _as_model(self._best)

    def variables(self) -> dict[str, tf.Variable]:
        """Return everything that a run needs to go on, by the name that it has in a checkpoint."""
        names = ["weights", "bias", *(f"optimizer_{index:02}" for index in range(len(self._rule.variables)))]
        best = ("best_weights", "best_bias") if self._best else ()
        return dict(zip((*names, *best), (*self._trained(), *self._best), strict=True))

    def _trained(self) -> list[tf.Variable]:
        return [self.weights, self.bias, *self._rule.variables]

    def _steps(self, rows: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        count = tf.shape(rows)[0]

        def step(index: tf.Tensor, losses: Any, *values: tf.Tensor) -> tuple[Any, ...]:
            weights, bias = self._rule.parameters(values)
            loss, weights_gradient, bias_gradient = self._mean_over_batch(rows[index], weights, bias)
            if self._l2:
                # ∂(l2 · ΣW²)/∂W; the loss that is recorded stays the cross-entropy, to be compared to others.
                weights_gradient += 2.0 * self._l2 * weights
            return index + 1, losses.write(index, loss), *self._rule.update(values, (weights_gradient, bias_gradient))

        start = (0, tf.TensorArray(tf.float32, count), *self._rule.begin())
        _, losses, *values = tf.while_loop(lambda index, *_: index < count, step, start)
        self._rule.end(tuple(values))
        return losses.stack(), [variable.read_value() for variable in self._trained()]

    def _mean_over_batch(self, rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> list[tf.Tensor]:
        """Return the loss and its gradients by Wᵀ and b, of the examples at rows int32 [batch]."""

        sums = self._replicas.sums(self._sums, rows, weights, bias)
        return [total / self._batch for total in sums]

    def _sums(self, device: int, rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the sum of the losses and its gradients, of the examples at rows int32 [m], on one of the devices."""
        all_images, all_labels = self._examples[device]

        def sums_of(block: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inputs = tf.cast(tf.gather(all_images, block), tf.float32) / 255.0  # [m, D]
            labels = tf.cast(tf.gather(all_labels, block), tf.int32)
            return loss_and_gradient_sums(inputs, labels, weights, bias)

        block = max(1, min(_BLOCK, _BLOCK_VALUES // weights.shape[1]))
        return sums_of(rows) if rows.shape[0] <= block else _sum_of_blocks(rows, block, sums_of, weights, bias)


def _as_model(variables: Sequence[tf.Variable]) -> tuple[Floats, Floats]:
    """Return the values of Wᵀ and b as the model has them: W, float32 [D, K], and b, float32 [K]."""
    weights, bias = (variable.value().numpy() for variable in variables)
    return np.ascontiguousarray(weights.T), bias


def _examples(data: TrainingData, device: Device) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the training split on a device: images uint8 [n, D] and labels uint8 [n]."""
    with tf.device(device.name):
        return resident(data.inputs, device), resident(data.labels, device)


def loss_and_gradient_sums(
    inputs: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the sum of the examples' cross-entropies and its gradients by Wᵀ and b.

    Args:
        inputs: float32 [m, D].
        labels: int32 [m].
        weights: float32 [K, D], which is Wᵀ.
        bias: float32 [K].

    Returns:
        float32 [], [K, D] and [K].
    """
    logits = tf.transpose(tf.matmul(weights, inputs, transpose_b=True)) + bias  # [m, K]
    # The second output is ∂loss/∂logits = softmax(logits) − one-hot(labels), [m, K].
    losses, errors = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
    return tf.reduce_sum(losses), tf.matmul(errors, inputs, transpose_a=True), tf.reduce_sum(errors, axis=0)


def _sum_of_blocks(
    rows: tf.Tensor,
    block: int,
    sums_of: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    weights: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Add up what `sums_of` gives for each `block` of the rows, one after the other."""
    count = rows.shape[0]

    def add(start: tf.Tensor, *totals: tf.Tensor) -> tuple[tf.Tensor, ...]:
        sums = sums_of(rows[start : tf.minimum(start + block, count)])
        return (start + block, *(total + part for total, part in zip(totals, sums, strict=True)))

    zeros = (0, tf.constant(0.0), tf.zeros_like(weights), tf.zeros_like(bias))
    # One at a time: two would need the memory of two.
    totals: tuple[tf.Tensor, ...] = tf.while_loop(lambda start, *_: start < count, add, zeros, parallel_iterations=1)
    return totals[1:]
