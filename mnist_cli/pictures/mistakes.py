"""Find the images that a model gets wrong, those with the least probability for their label first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import Lowest, answers
from mnist_cli.text import plural


@dataclass(frozen=True, slots=True)
class Mistake:
    """One image that the model gets wrong.

    Attributes:
        index: its position among the images.
        label: the true one.
        prediction: the most probable label.
        probability: of the label; the lowest come first.
    """

    index: int
    label: int
    prediction: int
    probability: float


def worst_mistakes(
    model: Model, inputs: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], count: int
) -> tuple[list[Mistake], int]:
    """Return the mistakes with the least probability for the label, and the total number of mistakes.

    These cost the most: each adds −ln of that probability to the sum of the cross-entropy.

    Args:
        model: D inputs, K classes.
        inputs: uint8 [n, D].
        labels: uint8 [n], below K.
        count: the most mistakes to return; of equal ones the first.
    """
    wrong, worst = 0, Lowest(count, len(model.bias))
    for start, probabilities, truth in answers(model, inputs, labels):
        rows = np.flatnonzero(probabilities.argmax(axis=1) != truth)
        wrong += len(rows)
        worst.add(probabilities[rows, truth[rows]], start + rows, probabilities[rows])
    mistakes = [
        Mistake(index, int(labels[index]), int(shares.argmax()), float(shares[labels[index]]))
        for index, shares in zip(worst.positions.tolist(), worst.probabilities, strict=True)
    ]
    return mistakes, wrong


def mistakes_title(split: str, shown: int, wrong: int, examples: int) -> str:
    """Describe the mistakes shown, such as `test: the 24 worst of 843 mistakes among 10,000 images`."""
    if not wrong:
        return f"{split}: no mistakes among {plural(examples, 'image')}"
    counted = f"the {shown} worst of {plural(wrong, 'mistake')} among {plural(examples, 'image')}"
    return f"{split}: {counted} (true → predicted, probability of the true class)"
