"""How sure a model is, compared with how often it is right."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats
from mnist_cli.formats.scoring import wilson_interval

BINS = 15  # as in Guo et al.


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
