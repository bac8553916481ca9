"""The calibration against a slow loop over the examples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cli.formats.calibration import Calibration


def calibration(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.uint8]) -> Calibration:
    """Count in two blocks, the first of a third of the examples."""
    found = Calibration()
    third = len(labels) // 3
    for part in (slice(0, third), slice(third, None)):
        if len(labels[part]):
            found.add(probabilities[part], labels[part])
    return found


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_calibration_error_is_that_of_a_slow_loop(examples: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.4), examples)
    labels = random.integers(0, classes, examples).astype(np.uint8)
    found = calibration(probabilities, labels)
    error, counted = 0.0, []
    for m in range(15):
        confidences, hits = [], []
        for row, label in zip(probabilities, labels, strict=True):
            best = max(range(classes), key=lambda k: row[k])
            confidence = float(row[best])
            if m / 15 < confidence <= (m + 1) / 15:
                confidences.append(confidence)
                hits.append(best == label)
        if hits:
            gap = abs(sum(hits) / len(hits) - sum(confidences) / len(confidences))
            error += len(hits) / examples * gap
            counted.append((len(hits), sum(hits) / len(hits)))
    assert found.error == pytest.approx(error, abs=1e-9)
    assert [entry.count for entry in found.bins] == [count for count, _ in counted]
    assert [entry.accuracy for entry in found.bins] == pytest.approx([accuracy for _, accuracy in counted])


def test_a_model_that_is_always_sure_and_right_is_calibrated() -> None:
    found = calibration(np.eye(3), np.arange(3, dtype=np.uint8))
    assert found.error == 0
    assert [(entry.low, entry.high, entry.count) for entry in found.bins] == [(14 / 15, 1.0, 3)]
