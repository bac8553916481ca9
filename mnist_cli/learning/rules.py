"""What a step does with the gradients: the part of the training loop that differs between optimizers.

W and b are whole numbers in units of 2^-24 here, velocities and averages in units of 2^-40, all held in float64. Every
product is exact (below 2^53) before it is rounded to a whole number, so no bit depends on the machine, the library or
the order of sums. Keras's optimizers are the exception: they get exact gradients, and W is put back on the grid after
each step, but in between they compute in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from mnist_cli.learning.devices import Device
from mnist_cli.learning.rates import BIAS, DECAY, L2, WEIGHTS, decimal, rounded
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.maps.softmax import UNIT

Tensors = tuple[tf.Tensor, ...]
# The factor from units of 2^-24 to units of 2^-40.
FINE = 2.0**16
_HALF = 2.0**22


class Rule(Protocol):
    """The update of Wᵀ and b in a step; its methods are called while the loop is traced.

    Attributes:
        variables: what a rule remembers from step to step, besides Wᵀ and b.
    """

    variables: Sequence[tf.Variable]

    def begin(self, parameters: Tensors) -> Tensors:
        """Return the values that the loop carries besides Wᵀ and b."""

    def update(self, parameters: Tensors, memory: Tensors, gradients: Tensors, factors: Sequence[tf.Tensor]) -> Tensors:
        """Do a step and return Wᵀ, b and the memory after it.

        Args:
            parameters: Wᵀ float64 [K, D] and b float64 [K, 1], in units of 2^-24.
            memory: the values from `begin` or from the step before.
            gradients: of the mean loss by Wᵀ and by b, in units of 2^-24, not rounded; that by Wᵀ is multiplied by the
                `step` of x = (q − zero) / step.
            factors: float64 [] each, the columns of `Factors.of_steps`.
        """

    def end(self, memory: Tensors) -> None:
        """Assign the values to the variables after the last step."""


def on_grid(values: tf.Tensor) -> tf.Tensor:
    """Return ⌊v + ½⌋; `round` would round halves to even."""
    return tf.floor(values + 0.5)


def fine_product(values: tf.Tensor, factor: Any) -> tf.Tensor:
    """Multiply whole numbers below 2^53 by a factor of 21 bits, in two parts, each exact before its rounding."""
    high = tf.floor(values * (1 / _HALF))
    low = values - high * _HALF
    return on_grid(high * (factor * _HALF)) + on_grid(low * factor)


class GradientDescent:
    """W ← W − rate · ∂loss/∂W − rate · (2 · l2 + weight_decay) · W; b likewise without the last term."""

    def __init__(self, settings: TrainSettings) -> None:
        self.variables: Sequence[tf.Variable] = ()
        self._shrinks = _shrinks(settings)

    def begin(self, parameters: Tensors) -> Tensors:  # noqa: ARG002  # it remembers nothing
        """Return nothing."""
        return ()

    def update(self, parameters: Tensors, memory: Tensors, gradients: Tensors, factors: Sequence[tf.Tensor]) -> Tensors:
        """Return Wᵀ and b after a step."""
        weights, bias = parameters
        changed = weights - on_grid(on_grid(gradients[0]) * factors[WEIGHTS])
        for column in self._shrinks:
            changed -= on_grid(weights * factors[column])
        return changed, bias - on_grid(on_grid(gradients[1]) * factors[BIAS]), *memory

    def end(self, memory: Tensors) -> None:
        """Do nothing."""


class Momentum:
    """U ← momentum · U − rate · gradient, W ← W + U; Nesterov's W ← W + momentum · U − rate · gradient.

    U is in units of 2^-40. It cannot leave the range of exact products while W stays in its range, since each step adds
    U · 2^-16 to W.
    """

    def __init__(self, settings: TrainSettings, parameters: Sequence[tf.Variable]) -> None:
        self.variables: Sequence[tf.Variable] = [tf.Variable(tf.zeros_like(variable)) for variable in parameters]
        self._shrinks = _shrinks(settings)
        self._friction = rounded(1 - decimal(settings.optimizer_parameters()["momentum"]))
        self._is_nesterov = settings.optimizer == "nesterov"

    def begin(self, parameters: Tensors) -> Tensors:  # noqa: ARG002
        """Return the velocities."""
        return tuple(variable.read_value() for variable in self.variables)

    def update(self, parameters: Tensors, memory: Tensors, gradients: Tensors, factors: Sequence[tf.Tensor]) -> Tensors:
        """Return Wᵀ, b and their velocities after a step."""
        changed, velocities = [], []
        for value, velocity, gradient, column in zip(parameters, memory, gradients, (WEIGHTS, BIAS), strict=True):
            push = on_grid(on_grid(gradient) * (factors[column] * FINE))
            start = value
            if column == WEIGHTS:
                if L2 in self._shrinks:
                    push += on_grid(value * (factors[L2] * FINE))
                if DECAY in self._shrinks:
                    start -= on_grid(value * factors[DECAY])
            faster = velocity - fine_product(velocity, self._friction) - push
            move = faster - fine_product(faster, self._friction) - push if self._is_nesterov else faster
            velocities.append(faster)
            changed.append(start + on_grid(move * (1 / FINE)))
        return *changed, *velocities

    def end(self, memory: Tensors) -> None:
        """Assign the velocities."""
        for variable, value in zip(self.variables, memory, strict=True):
            variable.assign(value)


class KerasRule:
    """Any Keras optimizer, in float64; it reads and changes its own variables in each step."""

    def __init__(self, settings: TrainSettings, parameters: Sequence[tf.Variable], step: int) -> None:
        self._own = [tf.Variable(tf.zeros_like(variable)) for variable in parameters]
        self._scales = (UNIT / step, UNIT)
        self._l2 = settings.l2 or 0.0
        self._optimizer = optimizer = _keras_optimizer(settings)
        # A bias is not decayed: it does not make the model more complex (Bishop, PRML, 5.5).
        optimizer.exclude_from_weight_decay(var_list=[self._own[1]])
        optimizer.build(self._own)
        self.variables: Sequence[tf.Variable] = [variable.value for variable in optimizer.variables]

    def begin(self, parameters: Tensors) -> Tensors:
        """Assign Wᵀ and b to the optimizer's variables."""
        self._assign(parameters)
        return ()

    def update(self, parameters: Tensors, memory: Tensors, gradients: Tensors, factors: Sequence[tf.Tensor]) -> Tensors:
        """Apply the optimizer, and put Wᵀ and b back on the grid."""
        slopes = [gradient * scale for gradient, scale in zip(gradients, self._scales, strict=True)]
        if self._l2:
            slopes[0] += parameters[0] * (2.0 * self._l2 * UNIT)
        self._optimizer.learning_rate.assign(tf.cast(factors[BIAS], tf.float32))
        self._optimizer.apply(slopes, self._own)
        changed = tuple(on_grid(variable.read_value() * (1 / UNIT)) for variable in self._own)
        self._assign(changed)
        return *changed, *memory

    def end(self, memory: Tensors) -> None:
        """Do nothing: the variables are already up to date."""

    def _assign(self, parameters: Tensors) -> None:
        for variable, value in zip(self._own, parameters, strict=True):
            variable.assign(value * UNIT)


def make_rule(settings: TrainSettings, parameters: Sequence[tf.Variable], step: int, device: Device) -> Rule:
    """Return the rule of the configured optimizer, for Wᵀ and b, and inputs x = (q − zero) / step."""
    with tf.device(device.name):
        if settings.optimizer == "sgd":
            return GradientDescent(settings)
        if settings.is_exact:
            return Momentum(settings, parameters)
        return KerasRule(settings, parameters, step)


def _shrinks(settings: TrainSettings) -> tuple[int, ...]:
    """Return the columns of the factors whose products with W are subtracted from W."""
    wanted = {L2: settings.l2, DECAY: settings.optimizer_parameters()["weight_decay"]}
    return tuple(column for column, value in wanted.items() if value)


def _keras_optimizer(settings: TrainSettings) -> Any:
    import keras

    classes = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "adamax": keras.optimizers.Adamax,
        "nadam": keras.optimizers.Nadam,
        "lion": keras.optimizers.Lion,
        "rmsprop": keras.optimizers.RMSprop,
        "adagrad": keras.optimizers.Adagrad,
    }
    options: dict[str, Any] = settings.optimizer_parameters()
    if not options["weight_decay"] and settings.optimizer != "adamw":
        del options["weight_decay"]  # Keras would multiply by zero in each step
    return classes[settings.optimizer](learning_rate=settings.rate, **options)
