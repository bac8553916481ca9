"""The images that a model gets wrong, the surest mistakes first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Model
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
    model: Model, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], count: int
) -> tuple[list[Mistake], int]:
    """Return the mistakes of which the model is surest, and how many there are in all.

    Args:
        model: D inputs, K classes.
        pixels: uint8 [n, D].
        labels: uint8 [n], below K.
        count: how many to return at most; of equally sure ones the first.
    """
    probabilities = model.probabilities(pixels)
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    sureness = probabilities[wrong, predictions[wrong]]
    surest = wrong[np.argsort(-sureness, kind="stable")[:count]]
    mistakes = [
        Mistake(int(row), int(labels[row]), int(predictions[row]), float(probabilities[row, predictions[row]]))
        for row in surest
    ]
    return mistakes, len(wrong)


def mistakes_title(split: str, shown: int, wrong: int, examples: int) -> str:
    """Return what the mistakes shown are, such as `test: the 24 surest of 843 mistakes among 10,000 images`."""
    if not wrong:
        return f"{split}: no mistake among {plural(examples, 'image')}"
    counted = f"the {shown} surest of {plural(wrong, 'mistake')} among {plural(examples, 'image')}"
    return f"{split}: {counted} (true → predicted)"
