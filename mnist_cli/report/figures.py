"""The numbers and positions in the report's charts: calibration, scales, ticks and lines, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats
from mnist_cli.formats.scoring import wilson_interval

BINS = 15  # as in Guo et al.
_STEPS = (1, 2, 2.5, 5, 10)

T = TypeVar("T")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bin:
    """The examples whose predicted class got a probability in (low, high].

    Attributes:
        low, high: the ends of the bin.
        count: number of examples; at least 1.
        confidence: mean probability of the predicted class.
        accuracy: share of the examples that are predicted correctly.
        interval: the 95 % interval of that share (Wilson).
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


def _zeros() -> npt.NDArray[np.float64]:
    return np.zeros(BINS)


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """The model's confidence compared with its accuracy; examples are added block by block.

    M bins of equal width, ((m−1)/M, m/M], over the probability of the predicted class: C. Guo, G. Pleiss, Y. Sun and
    K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017; the error is that of M. P. Naeini,
    G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Attributes:
        counts, sums, hits: float64 [BINS]: examples, the sum of their probabilities, and correct predictions.
    """

    counts: npt.NDArray[np.float64] = field(default_factory=_zeros)
    sums: npt.NDArray[np.float64] = field(default_factory=_zeros)
    hits: npt.NDArray[np.float64] = field(default_factory=_zeros)

    def add(self, probabilities: Floats, labels: npt.NDArray[np.uint8]) -> None:
        """Count more examples.

        Args:
            probabilities: float64 [n, K], rows sum to 1.
            labels: uint8 [n], below K.
        """
        confidence = probabilities.max(axis=1).astype(np.float64)
        right = probabilities.argmax(axis=1) == labels
        position = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
        for total, weights in ((self.counts, None), (self.sums, confidence), (self.hits, right)):
            total += np.bincount(position, weights, BINS)

    @property
    def bins(self) -> list[Bin]:
        """The bins that are not empty, from low to high."""
        return [
            Bin(
                low=index / BINS,
                high=(index + 1) / BINS,
                count=int(self.counts[index]),
                confidence=float(self.sums[index] / self.counts[index]),
                accuracy=float(self.hits[index] / self.counts[index]),
                interval=wilson_interval(int(self.hits[index]), int(self.counts[index])),
            )
            for index in np.flatnonzero(self.counts)
        ]

    @property
    def error(self) -> float:
        """The expected calibration error, Σ count/n · |accuracy − confidence|, over all bins."""
        return float(np.abs(self.hits - self.sums).sum() / self.counts.sum())


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of numbers from [low, high] to [start, end], such as the pixels of an axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a number, to a hundredth."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in _STEPS if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def line(points: Points, across: Scale, up: Scale) -> str:
    """Return the `points` attribute of an SVG polyline."""
    return " ".join(f"{across(x):g},{up(y):g}" for x, y in points)


def thinned(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` of the items, evenly spread, including the first and the last."""
    if len(items) <= limit:
        return list(items)
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]
