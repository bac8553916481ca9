"""The optimizers and schedules by name, which parameters each has, and their defaults.

The settings, the stage's key and the training itself ask here which parameter belongs to what. Three optimizers are
computed here, in whole numbers; the others are Keras's.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

from mnist_cli.machine import installed_version

# Keras's defaults but for the learning rates, which suit 1000 steps of softmax regression on 100 images each, and
# momentum, which Keras leaves at 0.
OPTIMIZERS: Mapping[str, Mapping[str, float]] = {
    "sgd": {"learning_rate": 0.5, "weight_decay": 0.0},
    "momentum": {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.9},
    "nesterov": {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.9},
    "adam": {"learning_rate": 0.005, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.005, "weight_decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamax": {"learning_rate": 0.01, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"learning_rate": 0.005, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "lion": {"learning_rate": 0.001, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.99},
    "rmsprop": {"learning_rate": 0.002, "weight_decay": 0.0, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    "adagrad": {"learning_rate": 0.05, "weight_decay": 0.0, "epsilon": 1e-7},
}
# The same bits on every machine.
EXACT_OPTIMIZERS = ("sgd", "momentum", "nesterov")
# None: the steps of the run, without those of the warm-up.
SCHEDULES: Mapping[str, Mapping[str, float | None]] = {
    "constant": {},
    "cosine": {"decay_steps": None, "end_fraction": 0.0, "warmup_steps": 0},
    "exponential": {"decay_steps": None, "decay_rate": 0.1},
    "inverse_time": {"decay_steps": None, "decay_rate": 1.0},
    "polynomial": {"decay_steps": None, "end_fraction": 0.0, "power": 1.0},
}


def keras_runtime(device: str | None) -> dict[str, str | None]:
    """Return what can move the bits of an optimizer of Keras, on a kind of device; None: not known, or not installed.

    Its arithmetic is TensorFlow's, elementwise, with powers by the C library.
    """
    versions = {package: installed_version(package) for package in ("tensorflow", "keras")}
    return {"device": device, **versions, "machine": platform.machine()}
