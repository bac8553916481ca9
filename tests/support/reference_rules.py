"""The optimizers and schedules once more, from their papers' formulas as Keras states them: NumPy in float64.

An update is called with the parameter, its gradient, its own memory (a dict), the step from 1 on and the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.support.reference import Array

Update = Callable[[Array, Array, dict[str, Any], int, float], Array]
EPSILON = 1e-7


def sgd(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    return value - rate * gradient


def momentum(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    memory["m"] = 0.9 * memory.get("m", 0.0) - rate * gradient
    result: Array = value + memory["m"]
    return result


def nesterov(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    memory["m"] = 0.9 * memory.get("m", 0.0) - rate * gradient
    result: Array = value + 0.9 * memory["m"] - rate * gradient
    return result


def moments(gradient: Array, memory: dict[str, Any]) -> tuple[Array, Array]:
    memory["m"] = 0.9 * memory.get("m", 0.0) + 0.1 * gradient
    memory["v"] = 0.999 * memory.get("v", 0.0) + 0.001 * gradient**2
    return memory["m"], memory["v"]


def adam(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    m, v = moments(gradient, memory)
    alpha = rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    return value - alpha * m / (np.sqrt(v) + EPSILON)


def adamw(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    decayed = value * (1 - 0.004 * rate) if value.ndim == 2 else value
    return adam(decayed, gradient, memory, step, rate)


def adamax(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    m, _ = moments(gradient, memory)
    memory["u"] = np.maximum(0.999 * memory.get("u", 0.0), np.abs(gradient))
    result: Array = value - rate / (1 - 0.9**step) * m / (memory["u"] + EPSILON)
    return result


def nadam(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    m, v = moments(gradient, memory)
    now, after = (0.9 * (1 - 0.5 * 0.96**when) for when in (step, step + 1))
    memory["product"] = memory.get("product", 1.0) * now
    m_hat = after * m / (1 - memory["product"] * after) + (1 - now) * gradient / (1 - memory["product"])
    result: Array = value - rate * m_hat / (np.sqrt(v / (1 - 0.999**step)) + EPSILON)
    return result


def lion(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    old = memory.get("m", np.zeros_like(gradient))
    memory["m"] = 0.99 * old + 0.01 * gradient
    result: Array = value - rate * np.sign(0.9 * old + 0.1 * gradient)
    return result


def rmsprop(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    memory["v"] = 0.9 * memory.get("v", 0.0) + 0.1 * gradient**2
    result: Array = value - rate * gradient / np.sqrt(memory["v"] + EPSILON)
    return result


def adagrad(value: Array, gradient: Array, memory: dict[str, Any], step: int, rate: float) -> Array:
    memory["sum"] = memory.get("sum", 0.1) + gradient**2
    result: Array = value - rate * gradient / np.sqrt(memory["sum"] + EPSILON)
    return result


UPDATES: dict[str, Update] = {
    update.__name__: update for update in (sgd, momentum, nesterov, adam, adamw, adamax, nadam, lion, rmsprop, adagrad)
}


def cosine(done: int, total: int, warm_up: int = 0, end: float = 0.0) -> float:
    if done < warm_up:
        return done / warm_up
    share = min(1.0, (done - warm_up) / total)
    return (1 - end) * 0.5 * (1 + math.cos(math.pi * share)) + end


# The share of the learning rate that is left after so many steps of a total.
SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda done, total: 1.0,
    "cosine": cosine,
    "exponential": lambda done, total: float(0.1 ** (done / total)),
    "inverse_time": lambda done, total: 1 / (1 + done / total),
    "polynomial": lambda done, total: 1 - min(done, total) / total,
}
