"""Softmax regression and its metrics once more, from the formulas: NumPy in float64, nothing of the code under test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.support import exact

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def probabilities(pixels: Bytes, weights: Array, bias: Array) -> Array:
    """Return softmax(xW + b) for pixels [n, D]."""
    exponentials = np.exp(pixels / 255.0 @ weights + bias)
    result: Array = exponentials / exponentials.sum(axis=1)[:, None]
    return result


def train(
    pixels: Bytes,
    labels: Bytes,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    classes: int = 10,
    l2: float = 0.0,
    update: Callable[[int, tuple[Array, Array], tuple[Array, Array]], tuple[Array, Array]] | None = None,
) -> tuple[Array, Array, list[float]]:
    """Return W, b and the loss of each step; `update` gives W and b after a step, counted from 1."""
    weights, bias = np.zeros((pixels.shape[1], classes)), np.zeros(classes)
    losses = []
    for step, rows in enumerate(exact.batches(seed, len(labels), batch, steps), 1):
        inputs, targets = pixels[rows] / 255.0, np.eye(classes)[labels[rows]]
        answers = probabilities(pixels[rows], weights, bias)
        losses.append(float(-np.log((answers * targets).sum(axis=1)).mean()))
        errors = (answers - targets) / batch
        gradients = inputs.T @ errors + 2 * l2 * weights, errors.sum(axis=0)
        if update is not None:
            weights, bias = update(step, (weights, bias), gradients)
            continue
        weights = weights - rate * gradients[0]
        bias = bias - rate * gradients[1]
    return weights, bias, losses


def mean_cross_entropy(pixels: Bytes, labels: Bytes, weights: Array, bias: Array) -> float:
    """Return the mean of −ln p(label)."""
    answers = probabilities(pixels, weights, bias)
    return float(-np.log(answers[np.arange(len(labels)), labels]).mean())


def correct_count(pixels: Bytes, labels: Bytes, weights: Array, bias: Array) -> int:
    """Return how many labels have the highest probability."""
    return int((probabilities(pixels, weights, bias).argmax(axis=1) == labels).sum())
