"""The optimizers and schedules by name, with the parameters of each and their defaults.

The settings, the stage's key and the training look up here which parameter belongs to which optimizer or schedule.
Three optimizers are computed in whole numbers (rules.py); the others are Keras's.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

from mnist_cli.machine import installed_version

# Keras's defaults, except the learning rates, which suit 1000 steps of softmax regression on 100 images each, and
# momentum, which is 0 in Keras.
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
# These give the same bits on every machine.
EXACT_OPTIMIZERS = ("sgd", "momentum", "nesterov")
# decay_steps None: the steps of the run, without those of the warm-up.
SCHEDULES: Mapping[str, Mapping[str, float | None]] = {
    "constant": {},
    "cosine": {"decay_steps": None, "end_fraction": 0.0, "warmup_steps": 0},
    "exponential": {"decay_steps": None, "decay_rate": 0.1},
    "inverse_time": {"decay_steps": None, "decay_rate": 1.0},
    "polynomial": {"decay_steps": None, "end_fraction": 0.0, "power": 1.0},
}


def keras_runtime(device: str | None) -> dict[str, str | None]:
    """Return what can move the bits of a Keras optimizer on a kind of device; None: unknown, or not installed.

    Such an optimizer uses TensorFlow's elementwise arithmetic, with powers by the C library.
    """
    versions = {package: installed_version(package) for package in ("tensorflow", "keras")}
    return {"device": device, **versions, "machine": platform.machine()}
