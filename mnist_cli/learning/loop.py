"""The softmax regression and its training: many steps of gradient descent in one compiled call, in whole numbers.

    x = (q − zero) / step                                [m, D]
    loss = mean over the batch of −ln softmax(xW + b)[label]

Every sum is a sum of whole numbers below 2^53 in float64. It is exact, hence the same in whatever order a matrix
product, a thread, a replica or a worker adds. Everything else is elementwise and rounded to whole numbers at once. So
the bits do not depend on where the loop runs; docs/reproducibility.md has the proof, mnist_cli/maps/softmax.py the
tables. A rule (rules.py) decides what a step does with the gradient.

Without AutoGraph, tracing the function takes 40 ms instead of 400.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.learning.data import TrainingData
from mnist_cli.learning.devices import Device, resident
from mnist_cli.learning.distributed.replicas import Replicas
from mnist_cli.learning.rates import AVERAGE, Factors
from mnist_cli.learning.rules import FINE, fine_product, make_rule, on_grid
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.maps.softmax import UNIT, largest, tables

# Values that are gathered and cast at once, for several steps: 6 steps of the tutorial, 4 MB.
_GROUP_VALUES = 1 << 19
# Values of a block; a larger batch is summed up block by block to bound memory: 16 MB as float64.
_BLOCK_VALUES = 1 << 21
_ONE = 2.0**20  # the probability 1
_SUM_OF_ONE = 2.0**24  # ΣE if one class has the probability 1; its logarithm is 0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chunk:
    """The result of several steps in a row.

    Attributes:
        steps: number of steps done; fewer than requested if a parameter left its range.
        losses: float64 [steps], sum of each batch's losses before its update, in units of 2^-20.
        values: the variables' values after the last step: Wᵀ, b, and what the rule remembers.
        is_in_range: whether W and b stayed in the range of exact arithmetic.
    """

    steps: int
    losses: Floats
    values: tuple[tf.Tensor, ...]
    is_in_range: bool


class _Examples(NamedTuple):
    """Examples in the form that a step takes; `_prepared` adds a leading dimension for the steps.

    Attributes:
        rows: q, float64 [m, D].
        half_less_truth: float64 [K, m], ½, minus 2^20 where the class is the label.
        places: int32 [m], index of the label's entry in a flat [K, m].
    """

    rows: tf.Tensor
    half_less_truth: tf.Tensor
    places: tf.Tensor


class TrainingLoop:
    """The parameters of a softmax regression, initially zero, and the compiled function that trains them.

    Args:
        data: the examples; the training split stays on the device as bytes.
        settings: how to train.
        replicas: the devices; the examples are on every device, the parameters on the first.

    Attributes:
        largest: the bound that |W| and |b| must stay below, in units of 2^-24.
    """

    def __init__(self, data: TrainingData, settings: TrainSettings, replicas: Replicas) -> None:
        examples = len(data.labels)
        self._batch = batch = settings.batch(examples)
        self._zero, self._step = data.zero, data.step
        self._replicas = replicas
        self._device = device = replicas.devices[0]
        self._examples = [_resident(data, each) for each in replicas.devices]
        self._inputs, self._classes = inputs, classes = data.inputs.shape[1], len(data.classes)
        self.largest = largest(inputs)
        self._block = max(1, _BLOCK_VALUES // inputs)
        self._is_one_block = replicas.strategy is None and batch <= self._block
        with tf.device(device.name):
            self.weights = tf.Variable(tf.zeros([classes, inputs], tf.float64), name="weights")
            self.bias = tf.Variable(tf.zeros([classes, 1], tf.float64), name="bias")
            self._averages = self._copies() if settings.ema is not None else ()
            self._best = self._copies() if settings.select == "best" else ()
            # E before rounding is the product of one entry of the high and one of the low table.
            self._high, self._low, self._logarithms = map(tf.constant, tables())
        self._factors = Factors(settings, settings.total_steps(examples), data.step)
        self._rule = make_rule(settings, (self.weights, self.bias), data.step, device)
        # The number of steps is open, so one trace serves calls of any length.
        signature = [tf.TensorSpec([None, batch], tf.int32), tf.TensorSpec([None, 5], tf.float64)]
        self._compiled = tf.function(self._steps, input_signature=signature, autograph=False)

    def compile(self) -> None:
        """Trace and optimize the function with a call of zero steps."""
        self.run(0, np.empty((0, self._batch), np.int32))

    def run(self, first: int, rows: npt.NDArray[np.int32]) -> Chunk:
        """Do one step for each batch of rows.

        Args:
            first: steps done before; the learning rate depends on it.
            rows: int32 [steps, batch], positions in the training split.
        """
        factors = self._factors.of_steps(first, len(rows))
        with tf.device(self._device.name):
            done, highest, losses, values = self._compiled(tf.constant(rows), tf.constant(factors))
        return Chunk(int(done), losses.numpy(), tuple(values), bool(highest.numpy() < self.largest))

    def snapshot(self, chunk: Chunk) -> list[tf.Tensor]:
        """Return the values of `variables()` after a chunk; call it before the next chunk.

        Most are outputs of the compiled function, as reading variables one by one would take 0.15 ms each.
        """
        return [*chunk.values, *(variable.value() for variable in self._best)]

    def parameters(self) -> tuple[Floats, Floats]:
        """Return the current W, float64 [D, K], and b, float64 [K]."""
        return _as_model((self.weights, self.bias), UNIT)

    def model(self) -> tuple[Floats, Floats]:
        """Return the W and b to validate and publish: their moving averages, if `ema` is set."""
        return _as_model(self._averages, UNIT / FINE) if self._averages else self.parameters()

    def remember_best(self) -> None:
        """Keep the current model as the best so far; only with `select: best`."""
        for variable, values in zip(self._best, self.model(), strict=True):
            variable.assign(values.T.reshape(variable.shape) / UNIT)

    def best(self) -> tuple[Floats, Floats]:
        """Return the W and b that were remembered."""
        return _as_model(self._best, UNIT)

    def variables(self) -> dict[str, tf.Variable]:
        """Return everything that a run needs to resume, by its name in a checkpoint."""
        memory = [f"optimizer_{index:02}" for index in range(len(self._rule.variables))]
        averages = ("average_weights", "average_bias") if self._averages else ()
        best = ("best_weights", "best_bias") if self._best else ()
        names = ("weights", "bias", *averages, *memory, *best)
        return dict(zip(names, (*self._trained(), *self._best), strict=True))

    def _copies(self) -> tuple[tf.Variable, ...]:
        return tf.Variable(self.weights), tf.Variable(self.bias)

    def _trained(self) -> list[tf.Variable]:
        return [self.weights, self.bias, *self._averages, *self._rule.variables]

    def _steps(self, rows: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        count = tf.shape(rows)[0]
        size = self._batch if self._is_one_block else 1
        group = max(1, _GROUP_VALUES // (size * self._inputs)) if self._is_one_block else 1
        parameters = (self.weights.read_value(), self.bias.read_value())
        averages = tuple(variable.read_value() for variable in self._averages)

        def until(end: tf.Tensor) -> Any:
            return lambda index, highest, *_: tf.logical_and(index < end, highest < self.largest)

        def steps_of_a_group(start: tf.Tensor, *values: Any) -> Any:
            end = tf.minimum(start + group, count)
            batches = self._prepared(0, rows[start:end]) if self._is_one_block else None

            def step(index: tf.Tensor, highest: tf.Tensor, distances: Any, sums: Any, *values: tf.Tensor) -> Any:
                split = 2 + len(self._averages)
                parameters, averages, memory = values[:2], values[2:split], values[split:]
                if batches is None:
                    distance, total, *gradients = self._shared_sums(rows[index], *parameters)
                else:
                    examples = _Examples(*(part[index - start] for part in batches))
                    distance, total, *gradients = self._sums(examples, *parameters)
                means = [gradient / (self._batch / 16) for gradient in gradients]
                columns = tf.unstack(factors[index], num=5)
                changed = self._rule.update(parameters, memory, tuple(means), columns)
                parameters, memory = changed[:2], changed[2:]
                averages = tuple(
                    average + fine_product(value * FINE - average, columns[AVERAGE])
                    for average, value in zip(averages, parameters, strict=False)
                )
                for value in parameters:
                    highest = tf.maximum(highest, tf.reduce_max(tf.abs(value)))
                written = (distances.write(index, distance), sums.write(index, total))
                return index + 1, highest, *written, *parameters, *averages, *memory

            return tf.while_loop(until(end), step, (start, *values))

        arrays = [tf.TensorArray(tf.float64, count, element_shape=[size]) for _ in range(2)]
        zero = tf.constant(0.0, tf.float64)
        values = (0, zero, *arrays, *parameters, *averages, *self._rule.begin(parameters))
        # One more group may be prepared meanwhile; several would need more memory.
        done, highest, distances, sums, *values = tf.while_loop(
            until(count), steps_of_a_group, values, parallel_iterations=2
        )
        losses = self._losses(distances.stack()[:done], sums.stack()[:done])
        carried = [self.weights, self.bias, *self._averages]
        for variable, value in zip(carried, values, strict=False):
            variable.assign(value)
        self._rule.end(tuple(values[len(carried) :]))
        return done, highest, losses, [variable.read_value() for variable in self._trained()]

    def _prepared(self, device: int, rows: tf.Tensor) -> _Examples:
        """Return the examples at rows int32 [steps, m] on a device, with a leading dimension for the steps."""
        all_inputs, all_labels = self._examples[device]
        shape, flat = tf.shape(rows), tf.reshape(rows, [-1])
        size = rows.shape[1] or shape[1]
        inputs = tf.reshape(tf.cast(tf.gather(all_inputs, flat), tf.float64), [shape[0], size, self._inputs])
        labels = tf.reshape(tf.cast(tf.gather(all_labels, flat), tf.int32), [shape[0], size])
        half, less = (tf.constant(value, tf.float64) for value in (0.5, 0.5 - _ONE))
        truth = tf.one_hot(labels, self._classes, on_value=less, off_value=half, axis=1, dtype=tf.float64)
        return _Examples(inputs, truth, labels * size + tf.range(size))

    def _sums(self, examples: _Examples, weights: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the losses' parts and the sums of the gradients over m examples.

        Args:
            examples: m examples.
            weights: Vᵀ, float64 [K, D].
            bias: float64 [K, 1].

        Returns:
            Distance of the label's logit from the highest, float64 [m], and ΣE, float64 [m], which make the loss; the
            sums of the gradients by Vᵀ, float64 [K, D], and b, float64 [K, 1], in units of 2^-20 / step and 2^-20.
        """
        constants = self._step * bias
        if self._zero:
            constants -= self._zero * tf.reduce_sum(weights, axis=1, keepdims=True)
        scores = tf.matmul(weights, examples.rows, transpose_b=True) + constants  # [K, m]
        distances = tf.floor((tf.reduce_max(scores, axis=0) - scores) / (16.0 * self._step) + 0.5)
        cut = tf.cast(tf.minimum(distances, 2.0**24 - 1), tf.int32)
        high = tf.gather(self._high, tf.bitwise.right_shift(cut, 8))
        powers = on_grid(high * tf.gather(self._low, tf.bitwise.bitwise_and(cut, 255)))
        sums = tf.reduce_sum(powers, axis=0)
        # ⌊p + ½⌋ minus 2^20 at the label, in one addition: no quotient is close enough to a half to be rounded wrongly.
        errors = tf.floor(powers * _ONE / sums + examples.half_less_truth)
        by_bias = tf.reduce_sum(errors, axis=1, keepdims=True)
        by_weights = tf.matmul(errors, examples.rows)
        if self._zero:
            by_weights -= self._zero * by_bias
        return tf.gather(tf.reshape(distances, [-1]), examples.places), sums, by_weights, by_bias

    def _shared_sums(self, rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> list[tf.Tensor]:
        """Return the same for rows int32 [batch], summed by replicas and blocks; the loss is one number."""
        loss, *gradients = self._replicas.sums(self._sum_of_blocks, rows, weights, bias)
        return [loss, tf.constant([_SUM_OF_ONE], tf.float64), *gradients]

    def _sum_of_blocks(
        self, device: int, rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return the loss, float64 [1], and the gradients, summed up over rows int32 [m], block by block."""
        count = rows.shape[0]

        def add(start: tf.Tensor, *totals: tf.Tensor) -> tuple[tf.Tensor, ...]:
            block = self._prepared(device, rows[tf.newaxis, start : tf.minimum(start + self._block, count)])
            distances, sums, *gradients = self._sums(_Examples(*(part[0] for part in block)), weights, bias)
            parts = (self._losses(distances, sums)[tf.newaxis], *gradients)
            return (start + self._block, *(total + part for total, part in zip(totals, parts, strict=True)))

        zeros = (0, tf.zeros([1], tf.float64), tf.zeros_like(weights), tf.zeros_like(bias))
        # One block at a time, to save memory.
        totals: tuple[tf.Tensor, ...] = tf.while_loop(
            lambda start, *_: start < count, add, zeros, parallel_iterations=1
        )
        return totals[1:]

    def _losses(self, distances: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        """Return Σ distance + ln ΣE over the last dimension, in units of 2^-20; see `maps.softmax.logarithms`."""
        bits = tf.bitcast(sums, tf.int64)

        def places(shift: int, mask: int) -> tf.Tensor:
            return tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, tf.constant(shift, tf.int64)), mask)

        table = self._logarithms
        index = places(42, 1023)
        lower = tf.gather(table, index)
        exponents = places(52, 2047) - 1047
        exact = (exponents * table[-1] + lower) * 2**22 + (tf.gather(table, index + 1) - lower) * places(20, 2**22 - 1)
        logarithms = tf.bitwise.right_shift(exact + 2**29, tf.constant(30, tf.int64))
        return tf.reduce_sum(distances, axis=-1) + tf.cast(tf.reduce_sum(logarithms, axis=-1), tf.float64)


def _as_model(variables: Sequence[tf.Variable], unit: float) -> tuple[Floats, Floats]:
    """Turn Wᵀ [K, D] and b [K, 1] into those of a model: W, float64 [D, K], and b, float64 [K], on the grid."""
    # + 0.0 makes −0 a 0.
    weights, bias = (np.floor(variable.numpy() * (unit / UNIT) + 0.5) * UNIT + 0.0 for variable in variables)
    return np.ascontiguousarray(weights.T), bias[:, 0]


def _resident(data: TrainingData, device: Device) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the training split on a device: inputs uint8 [n, D] and labels uint8 [n]."""
    with tf.device(device.name):
        return resident(data.inputs, device), resident(data.labels, device)
