"""The figures of the report that are not in metrics.json: calibration and remarkable examples, as pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats
from mnist_cli.formats.scoring import Lowest, wilson_interval

BINS = 15  # as in Guo et al.

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Bin:
    """The examples whose predicted class got a probability in (low, high].

    Attributes:
        low, high: the ends.
        count: how many there are; at least 1.
        confidence: mean probability of the predicted class.
        accuracy: share of them that is predicted right.
        interval: the 95 % interval of that share (Wilson).
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether the probabilities are what they say.

    Attributes:
        bins: those of the `BINS` bins of equal width that are not empty, from low to high.
        error: the expected calibration error, Σ count/n · |accuracy − confidence|, over all bins.
    """

    bins: tuple[Bin, ...]
    error: float


class Survey:
    """What the page says about all examples, gathered block by block.

    The calibration has M bins of equal width, ((m−1)/M, m/M], over the probability of the predicted class: C. Guo,
    G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017; the error is that of
    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015.

    Args:
        mistakes: how many of the wrong predictions that cost most to find: those with the lowest p(true label).
        uncertain: how many of the examples whose highest probability is lowest to find.
    """

    def __init__(self, mistakes: int, uncertain: int) -> None:
        self._count = 0
        self._mistakes, self._uncertain = Lowest(mistakes), Lowest(uncertain)
        # Of each bin: examples, sum of the confidence, right predictions.
        self._sums = np.zeros((3, BINS))

    def add(self, probabilities: Floats, labels: Bytes) -> None:
        """Take the next examples: float32 [m, K], whose rows sum to 1, and uint8 [m], below K."""
        positions = np.arange(self._count, self._count + len(labels))
        self._count += len(labels)
        confidence, true = probabilities.max(axis=1), probabilities[np.arange(len(labels)), labels.astype(np.intp)]
        right = probabilities.argmax(axis=1) == labels
        self._mistakes.add(true[~right], positions[~right])
        self._uncertain.add(confidence, positions)
        place = np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.intp) - 1, 0, BINS - 1)
        for row, weights in enumerate((None, confidence, right)):
            self._sums[row] += np.bincount(place, weights, BINS)

    @property
    def mistakes(self) -> Positions:
        """Where the worst mistakes are, the worst first."""
        return self._mistakes.positions

    @property
    def uncertain(self) -> Positions:
        """Where the least certain predictions are, the least certain first."""
        return self._uncertain.positions

    @property
    def calibration(self) -> Calibration:
        """How sure the model is, compared with how often it is right; of one example at least."""
        counts, sums, hits = self._sums
        bins = tuple(
            Bin(
                low=index / BINS,
                high=(index + 1) / BINS,
                count=int(counts[index]),
                confidence=float(sums[index] / counts[index]),
                accuracy=float(hits[index] / counts[index]),
                interval=wilson_interval(int(hits[index]), int(counts[index])),
            )
            for index in np.flatnonzero(counts)
        )
        return Calibration(bins, float(np.abs(hits - sums).sum() / self._count))


def drawn_by_lot(examples: int, limit: int) -> Positions:
    """Return positions of examples at random, each at most once and in order; the same arguments give the same ones."""
    chosen = np.random.default_rng(examples).choice(examples, min(limit, examples), replace=False)
    return np.sort(chosen).astype(np.intp)


def confused_pairs(confusion: npt.NDArray[np.int64], limit: int) -> list[tuple[int, int, int]]:
    """Return (true label, predicted label, examples) of the most frequent confusions.

    Args:
        confusion: int64 [K, K], examples by [true label][predicted label].
        limit: how many at most.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order, wrong.shape)
    pairs = zip(rows.tolist(), columns.tolist(), wrong[rows, columns].tolist(), strict=True)
    return [pair for pair in pairs if pair[2]]
