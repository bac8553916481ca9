"""What a step does with the gradients: the part of the training loop that differs from optimizer to optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from mnist_cli.learning.devices import Device
from mnist_cli.learning.settings import TrainSettings

Tensors = tuple[tf.Tensor, ...]


class Rule(Protocol):
    """How W and b change; called while the loop is traced.

    Attributes:
        variables: what a rule remembers from step to step, beside W and b.
        averages: variables with the moving averages of W and b, or none.
    """

    variables: Sequence[tf.Variable]
    averages: Sequence[tf.Variable]

    def begin(self) -> Tensors:
        """Return the values that travel through the loop."""

    def parameters(self, values: Tensors) -> Tensors:
        """Return W and b at the beginning of a step."""

    def update(self, values: Tensors, gradients: Tensors) -> Tensors:
        """Do a step and return the values after it."""

    def end(self, values: Tensors) -> None:
        """Bring the values into the variables after the last step."""


class GradientDescent:
    """W ← W − rate · ∂loss/∂W, and b alike; during a call of the loop they travel as values.

    Reading and assigning variables in every step takes as long as the arithmetic.
    """

    def __init__(self, parameters: Sequence[tf.Variable], learning_rate: float) -> None:
        self.variables: Sequence[tf.Variable] = ()
        self.averages: Sequence[tf.Variable] = ()
        self._parameters = parameters
        self._learning_rate = learning_rate

    def begin(self) -> Tensors:
        """Return W and b."""
        return tuple(variable.read_value() for variable in self._parameters)

    def parameters(self, values: Tensors) -> Tensors:
        """Return them again."""
        return values

    def update(self, values: Tensors, gradients: Tensors) -> Tensors:
        """Return W and b after a step."""
        pairs = zip(values, gradients, strict=True)
        return tuple(value - self._learning_rate * gradient for value, gradient in pairs)

    def end(self, values: Tensors) -> None:
        """Assign them."""
        for variable, value in zip(self._parameters, values, strict=True):
            variable.assign(value)


class KerasRule:
    """Any optimizer of Keras; it reads and changes variables in each step."""

    def __init__(self, parameters: Sequence[tf.Variable], optimizer: Any) -> None:
        self._parameters = list(parameters)
        self._optimizer = optimizer
        # A bias is not decayed: it does not make the model more complex (Bishop, PRML, 5.5).
        optimizer.exclude_from_weight_decay(var_list=[self._parameters[1]])
        optimizer.build(self._parameters)
        self.variables: Sequence[tf.Variable] = [variable.value for variable in optimizer.variables]
        averages = optimizer._model_variables_moving_average if optimizer.use_ema else []
        self.averages: Sequence[tf.Variable] = [variable.value for variable in averages]

    def begin(self) -> Tensors:
        """Return nothing."""
        return ()

    def parameters(self, values: Tensors) -> Tensors:  # noqa: ARG002  # they are in the variables
        """Read W and b."""
        return tuple(variable.read_value() for variable in self._parameters)

    def update(self, values: Tensors, gradients: Tensors) -> Tensors:
        """Apply the optimizer."""
        self._optimizer.apply(list(gradients), self._parameters)
        return values

    def end(self, values: Tensors) -> None:
        """Do nothing: the variables are as they should be."""


def make_rule(settings: TrainSettings, parameters: Sequence[tf.Variable], total_steps: int, device: Device) -> Rule:
    """Return the rule that the settings ask for, for W and b."""
    decay = settings.optimizer_parameters()["weight_decay"]
    if settings.optimizer == "sgd" and settings.schedule == "constant" and not decay and settings.ema is None:
        return GradientDescent(parameters, settings.rate)
    with tf.device(device.name):
        return KerasRule(parameters, _keras_optimizer(settings, total_steps))


def _keras_optimizer(settings: TrainSettings, total_steps: int) -> Any:
    import keras

    classes = {
        "sgd": keras.optimizers.SGD,
        "momentum": keras.optimizers.SGD,
        "nesterov": keras.optimizers.SGD,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "adamax": keras.optimizers.Adamax,
        "nadam": keras.optimizers.Nadam,
        "lion": keras.optimizers.Lion,
        "rmsprop": keras.optimizers.RMSprop,
        "adagrad": keras.optimizers.Adagrad,
    }
    optimizer = settings.optimizer
    options: dict[str, Any] = settings.optimizer_parameters()
    if optimizer == "nesterov":
        options["nesterov"] = True
    if not options["weight_decay"] and optimizer != "adamw":
        del options["weight_decay"]  # Keras would multiply by zero in each step
    if settings.ema is not None:
        options |= {"use_ema": True, "ema_momentum": settings.ema}
    return classes[optimizer](learning_rate=_keras_rate(settings, total_steps), **options)


def _keras_rate(settings: TrainSettings, total_steps: int) -> Any:
    from keras.optimizers import schedules

    rate, name = settings.rate, settings.schedule
    options: dict[str, Any] = settings.schedule_parameters(total_steps)
    if name == "cosine":
        warm_up = options["warmup_steps"]
        start = {"initial_learning_rate": 0.0, "warmup_target": rate} if warm_up else {"initial_learning_rate": rate}
        return schedules.CosineDecay(
            decay_steps=options["decay_steps"], alpha=options["end_fraction"], warmup_steps=warm_up, **start
        )
    if name == "polynomial":
        options["end_learning_rate"] = rate * options.pop("end_fraction")
        return schedules.PolynomialDecay(rate, **options)
    classes = {"exponential": schedules.ExponentialDecay, "inverse_time": schedules.InverseTimeDecay}
    return classes[name](rate, **options) if name in classes else rate
