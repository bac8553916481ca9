"""Single images for the page, always a bounded number: the gallery's, and those that the drawing pad can load."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats, Model
from mnist_cli.formats.store import Split
from mnist_cli.report import figures
from mnist_cli.report.pictures import ink_image

_MISTAKES, _UNCERTAIN, _BY_LOT = 24, 12, 40
_IMAGE_BYTES = 400_000  # of all images together, before they become text; keeps the page below 2 MB
_WEIGHT_BYTES = 900_000  # of W and b; a model with more has no pad
_BARS = 26  # classes at most for which every probability gets a bar; of more, the highest ten
_CAPTION = 3  # probabilities that are written out


class Examples:
    """Remarkable and random images of one split, with what the model makes of them.

    Attributes:
        calibration: of all examples of the split.
        mistakes: the worst, each as the template draws it.
        uncertain: those where the highest probability is lowest.
        images: all of them and some by lot, as the pad loads them.
    """

    def __init__(self, split: Split, model: Model, shape: tuple[int, int], names: list[str]) -> None:
        self._split = split
        self._model = model
        self.names = names
        self.shape = shape
        self.images: list[dict[str, Any]] = []
        # A gallery's image is on the page twice, as a picture and as bytes for the pad.
        share = min(1.0, _IMAGE_BYTES / ((2 * _MISTAKES + 2 * _UNCERTAIN + _BY_LOT) * split.inputs.shape[1]))
        limits = [int(share * wanted) for wanted in (_MISTAKES, _UNCERTAIN, _BY_LOT)]
        survey = figures.Survey(*limits[:2])
        for _, inputs, labels in split.blocks():
            survey.add(model.probabilities(inputs), labels)
        self.calibration = survey.calibration
        self.mistakes, self.uncertain = self._cards(survey.mistakes), self._cards(survey.uncertain)
        for position in figures.drawn_by_lot(len(split), limits[2]):
            self._add(int(position), lot=True)

    def _add(self, position: int, *, lot: bool) -> int:
        """Take an image for the pad; return where it is among them."""
        pixels = base64.b64encode(self._split.inputs[position].tobytes()).decode()
        name = f"{self._split.name} image {position:,}"
        label = int(self._split.labels[position])
        self.images.append({"name": name, "index": position, "label": label, "pixels": pixels, "lot": lot})
        return len(self.images) - 1

    def _cards(self, positions: npt.NDArray[np.intp]) -> list[dict[str, Any]]:
        probabilities = self._model.probabilities(self._split.inputs[positions])
        return [self._card(*card) for card in zip(positions.tolist(), probabilities, strict=True)]

    def _card(self, position: int, shares: Floats) -> dict[str, Any]:
        label, predicted = int(self._split.labels[position]), int(shares.argmax())
        order = np.argsort(-shares, kind="stable")
        shown = range(len(shares)) if len(shares) <= _BARS else sorted({*order[:10].tolist(), label})
        listed = list(dict.fromkeys([*order[: _CAPTION - 1].tolist(), label, *order[:_CAPTION].tolist()]))[:_CAPTION]
        return {
            "load": self._add(position, lot=False),
            "position": position,
            "source": ink_image(self._split.inputs[position].reshape(self.shape)),
            "label": label,
            "predicted": predicted,
            "listed": [(self.names[k], float(shares[k])) for k in sorted(listed, key=lambda k: -shares[k])],
            "bars": [(k, float(shares[k])) for k in shown],
        }


def pad_data(model: Model, examples: Examples) -> dict[str, Any] | None:
    """Return what the drawing pad computes with; None where W is too large for a page.

    Returns:
        W and b as base64 of little-endian float32, images as base64 of uint8.
    """
    if model.weights.nbytes + model.bias.nbytes > _WEIGHT_BYTES:
        return None
    weights, bias = (
        base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode() for array in (model.weights, model.bias)
    )
    by_lot = [index for index, image in enumerate(examples.images) if image["lot"]]
    return {
        "shape": list(examples.shape),
        "classes": examples.names,
        "weights": weights,
        "bias": bias,
        "images": examples.images,
        "first": by_lot[0] if by_lot else None,
    }
