"""The figures of the report that are not in metrics.json: calibration and remarkable examples, as pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats
from mnist_cli.formats.scoring import wilson_interval

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


def calibration(probabilities: Floats, labels: Bytes) -> Calibration:
    """Compare how sure the model is with how often it is right.

    M bins of equal width, ((m−1)/M, m/M], over the probability of the predicted class: C. Guo, G. Pleiss, Y. Sun and
    K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017; the error is that of M. P. Naeini,
    G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Args:
        probabilities: float32 [n, K], rows sum to 1; n > 0.
        labels: uint8 [n], below K.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    position = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    counts = np.bincount(position, minlength=BINS)
    sums = np.bincount(position, confidence, BINS)
    hits = np.bincount(position, right, BINS)
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
    return Calibration(bins, float(np.abs(hits - sums).sum() / len(labels)))


def worst_mistakes(probabilities: Floats, labels: Bytes, limit: int) -> Positions:
    """Return the positions of the wrong predictions that cost most: those with the lowest p(true label) first.

    Args:
        probabilities: float32 [n, K].
        labels: uint8 [n].
        limit: how many at most.
    """
    true = probabilities[np.arange(len(labels)), labels.astype(np.intp)]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(true[wrong], kind="stable")][:limit]


def least_certain(probabilities: Floats, limit: int) -> Positions:
    """Return the positions of the examples whose highest probability is lowest, that one first.

    Args:
        probabilities: float32 [n, K].
        limit: how many at most.
    """
    return np.argsort(probabilities.max(axis=1), kind="stable")[:limit]


def drawn_by_lot(examples: int, limit: int) -> Positions:
    """Return positions of examples at random, each at most once and in order; the same arguments give the same ones."""
    chosen = np.random.default_rng(examples).permutation(examples)[:limit]
    return np.sort(chosen)


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
