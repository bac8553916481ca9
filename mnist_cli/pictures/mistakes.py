"""The images that a model gets wrong, the surest mistakes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import Lowest
from mnist_cli.text import plural


@dataclass(frozen=True, slots=True)
class Mistake:
    """One image that the model gets wrong.

    Attributes:
        index: its place among the images.
        label: the true one.
        prediction: the most probable one.
        probability: that of the prediction.
    """

    index: int
    label: int
    prediction: int
    probability: float


def worst_mistakes(
    model: Model, blocks: Iterable[tuple[int, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]], count: int
) -> tuple[list[Mistake], int]:
    """Return the mistakes of which the model is surest, and how many there are in all.

    Args:
        model: D inputs, K classes.
        blocks: the examples, as `Split.blocks` gives them: position of the first, uint8 [m, D], and uint8 [m] below K.
        count: how many to return at most; of equally sure ones the first.
    """
    lowest = Lowest(count)
    # position → label and prediction, of all that were ever among the lowest
    answers: dict[int, tuple[int, int]] = {}
    total = 0
    for start, inputs, labels in blocks:
        probabilities = model.probabilities(inputs)
        predictions = probabilities.argmax(axis=1)
        wrong = np.flatnonzero(predictions != labels)
        total += len(wrong)
        lowest.add(-probabilities[wrong, predictions[wrong]], start + wrong)
        found = [row for row in (lowest.positions - start).tolist() if row >= 0]
        answers |= {start + row: (int(labels[row]), int(predictions[row])) for row in found}
    positions, values = lowest.positions.tolist(), lowest.values.tolist()
    return [Mistake(row, *answers[row], -value) for row, value in zip(positions, values, strict=True)], total


def mistakes_title(split: str, shown: int, wrong: int, examples: int) -> str:
    """Return what the mistakes shown are, such as `test: the 24 surest of 843 mistakes among 10,000 images`."""
    if not wrong:
        return f"{split}: no mistake among {plural(examples, 'image')}"
    counted = f"the {shown} surest of {plural(wrong, 'mistake')} among {plural(examples, 'image')}"
    return f"{split}: {counted} (true → predicted)"
