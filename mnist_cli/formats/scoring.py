"""Score a model's answers: confusion matrix, cross-entropy, the interval of the accuracy, extreme examples.

It needs only NumPy, and works block by block, so memory does not grow with the examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats, Model, score_blocks
from mnist_cli.formats.store import STEP, ZERO
from mnist_cli.maps.softmax import LOSS_UNIT, losses

# Examples per block.
_BLOCK = 1000
# The 97.5 % point of the standard normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Score:
    """The results of a model on some examples.

    Attributes:
        confusion: int64 [K, K], examples by [true label][predicted label].
        cross_entropy: mean over the examples of −ln p(true label), in nats.
    """

    confusion: npt.NDArray[np.int64]
    cross_entropy: float

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """Number of examples that were predicted right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the examples that were predicted right."""
        return self.correct / self.examples


def score(
    weights: Floats,
    bias: Floats,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    zero: int = ZERO,
    step: int = STEP,
    *,
    report: Callable[[int], object] = lambda _done: None,
) -> Score:
    """Score the softmax regression with these parameters, in whole numbers, so equal everywhere.

    Args:
        weights: W, float64 [D, K].
        bias: b, float64 [K].
        images: rows, uint8 [n, D]; n > 0.
        labels: uint8 [n], below K.
        zero, step: of x = (q − zero) / step.
        report: called with the number of images done.
    """
    classes = len(bias)
    confusion = np.zeros(classes * classes, np.int64)
    total = 0
    for start, scores in score_blocks(weights, bias, images, zero, step):
        truth = labels[start : start + len(scores)].astype(np.intp)
        predicted = scores.argmax(axis=1)
        confusion += np.bincount(truth * classes + predicted, minlength=classes * classes)
        total += int(losses(scores, truth, step).sum())
        report(start + len(scores))
    return Score(confusion.reshape(classes, classes), total / len(images) * LOSS_UNIT)


def answers(
    model: Model, inputs: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, Floats, npt.NDArray[np.uint8]]]:
    """Yield a model's answers to examples, block by block.

    Args:
        model: K classes.
        inputs: images of P pixels, uint8 [n, P].
        labels: uint8 [n].

    Yields:
        The position of a block's first example, the probabilities, float64 [examples of the block, K], and the labels.
    """
    for start in range(0, len(inputs), _BLOCK):
        block = inputs[start : start + _BLOCK]
        yield start, model.probabilities(block), labels[start : start + len(block)]


class Lowest:
    """The examples with the lowest values; of equal ones the earlier.

    Attributes:
        positions: intp [k], their positions among all examples, the lowest value first.
        probabilities: float64 [k, K], the model's answer to each.
    """

    def __init__(self, limit: int, classes: int) -> None:
        """Start without examples.

        Args:
            limit: the most examples to keep.
            classes: K.
        """
        self._limit = limit
        self._values = np.empty(0)
        self.positions = np.empty(0, np.intp)
        self.probabilities: Floats = np.empty((0, classes), np.float64)

    def add(self, values: npt.NDArray[np.floating], positions: npt.NDArray[np.intp], probabilities: Floats) -> None:
        """Consider more examples, which follow all previous ones.

        Args:
            values: floats [m].
            positions: intp [m], ascending.
            probabilities: float64 [m, K].
        """
        candidates = np.concatenate([self._values, values])
        kept = np.argsort(candidates, kind="stable")[: self._limit]
        self._values = candidates[kept]
        self.positions = np.concatenate([self.positions, positions])[kept]
        self.probabilities = np.concatenate([self.probabilities, probabilities])[kept]


def confused_pairs(confusion: npt.NDArray[np.int64], limit: int) -> list[tuple[int, int, int]]:
    """Return (true label, predicted label, examples) of the most frequent confusions.

    Args:
        confusion: int64 [K, K], examples by [true label][predicted label].
        limit: the most confusions to return.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order, wrong.shape)
    pairs = zip(rows.tolist(), columns.tolist(), wrong[rows, columns].tolist(), strict=True)
    return [pair for pair in pairs if pair[2]]


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
    # Rounding may move the ends slightly outside, or off 0 and 1.
    low = 0.0 if correct == 0 else (center - spread) / scale
    high = 1.0 if correct == examples else (center + spread) / scale
    return low, high
