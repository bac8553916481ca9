"""How good a model's answers are: confusion matrix, cross-entropy and how sure the accuracy is, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats, linear_blocks

# The 97.5 % point of the standard normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Score:
    """What a model gets right and wrong on some examples.

    Attributes:
        confusion: int64 [K, K], examples by [true label][predicted label].
        cross_entropy: mean over the examples of −ln p(true label), in nats.
    """

    confusion: npt.NDArray[np.int64]
    cross_entropy: float

    @property
    def examples(self) -> int:
        """How many examples were counted."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """How many of them were predicted right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the examples that were predicted right."""
        return self.correct / self.examples


def score(
    weights: Floats,
    bias: Floats,
    images: npt.NDArray[np.uint8] | Floats,
    labels: npt.NDArray[np.uint8],
    *,
    one_thread: bool = False,
    report: Callable[[int], object] = lambda _done: None,
) -> Score:
    """Measure the softmax regression with these parameters.

    Args:
        weights: float32 [D, K].
        bias: float32 [K].
        images: uint8 [n, D], or float32 [n, D] in [0, 1]; n > 0.
        labels: uint8 [n], below K.
        one_thread: leave the other processors to others; the last bits of the cross-entropy may differ.
        report: is called with the number of images that are done.
    """
    classes = len(bias)
    confusion = np.zeros(classes * classes, np.int64)
    total = 0.0
    for start, logits in linear_blocks(weights, bias, images, one_thread=one_thread):
        truth = labels[start : start + len(logits)].astype(np.intp)
        predicted = logits.argmax(axis=1)
        confusion += np.bincount(truth * classes + predicted, minlength=classes * classes)
        total += float(cross_entropies(logits, truth).sum())
        report(start + len(logits))
    return Score(confusion.reshape(classes, classes), total / len(labels))


def cross_entropies(logits: Floats, labels: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return −ln softmax(logits)[label] of each row, computed in float64 from the logits.

    Args:
        logits: float32 [n, K].
        labels: [n].

    Returns:
        float64 [n], in nats; finite for finite logits.
    """
    # ln Σ exp(z) = max + ln Σ exp(z − max): no term overflows, and one of them is 1.
    wide = logits.astype(np.float64)
    highest = wide.max(axis=1)
    log_sum = highest + np.log(np.exp(wide - highest[:, np.newaxis]).sum(axis=1))
    result: npt.NDArray[np.float64] = log_sum - wide[np.arange(len(wide)), labels]
    return result


class Lowest:
    """Keeps the lowest of many numbers that come block by block.

    Args:
        limit: how many to keep.

    Attributes:
        values: float32 [m], m ≤ limit, ascending; of equal ones the first that came is first.
        positions: intp [m], where they stand.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.values: Floats = np.empty(0, np.float32)
        self.positions: npt.NDArray[np.intp] = np.empty(0, np.intp)

    def add(self, values: Floats, positions: npt.NDArray[np.intp]) -> None:
        """Take a block: float32 [m], and intp [m], above all positions before."""
        values, positions = np.concatenate([self.values, values]), np.concatenate([self.positions, positions])
        lowest = np.argsort(values, kind="stable")[: self._limit]
        self.values, self.positions = values[lowest], positions[lowest]


def wilson_interval(correct: int, examples: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), from E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209–212. Unlike p ± z·σ it
    stays within [0, 1] and keeps its width at p = 0 and p = 1.

    Args:
        correct: successes, 0 to `examples`.
        examples: trials, at least 1.
    """
    proportion = correct / examples
    z_squared = _Z95 * _Z95
    spread = _Z95 * sqrt(proportion * (1 - proportion) / examples + z_squared / (4 * examples * examples))
    center = proportion + z_squared / (2 * examples)
    scale = 1 + z_squared / examples
    # Rounding may leave the ends a hair outside, or not quite at 0 and 1.
    low = 0.0 if correct == 0 else (center - spread) / scale
    high = 1.0 if correct == examples else (center + spread) / scale
    return low, high
