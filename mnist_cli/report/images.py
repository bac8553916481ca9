"""Images on the page: as PNG in data: addresses, as cards of a gallery, and as bytes for the drawing pad.

A picture has one or two colours and transparency, so it suits any background. The number and size of the images on the
page are bounded, however many and however large the data set's images are.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats, Model
from mnist_cli.formats.scoring import Lowest
from mnist_cli.formats.store import Split
from mnist_cli.maps.layout import Layout
from mnist_cli.maps.portable import portable_document, portable_size
from mnist_cli.maps.softmax import UNIT
from mnist_cli.page.packing import in_four_greys, packed
from mnist_cli.pictures.colours import AGAINST, FOR
from mnist_cli.pictures.luminance import shrunk
from mnist_cli.text import file_size

MISTAKES, UNCERTAIN = 24, 12
_BY_LOT = 40
_LEVELS = 32  # of each colour: the eye distinguishes no more, and every picture holds the palette
_BETWEEN, _BETWEEN_OPACITY = (0x80, 0x80, 0x80), 70  # between two grids of a feature map: grey on light and on dark
# Limits that keep the page below 2 MB; bytes are those before base64.
_SIDE = 64  # pixels; side of a picture in the gallery, the mean of height and width
_WEIGHT_PIXELS = 300_000  # of all pictures of weights together
_PAD_IMAGES = 200_000  # bytes of the images that the pad can load
_PAD_WEIGHTS = 900_000  # bytes of W, b and the feature map; a larger model gets no pad
_CELL_IMAGES, _CELL_PIXELS = 12, 1_000_000  # images behind one cell of the matrix, and pixels behind all cells
_PAD_SIDE = 2048  # pixels; longer images get no pad
_BARS = 26  # up to so many classes, every probability gets a bar; with more, only the highest ten
_CAPTION = 3  # probabilities written as numbers


def weight_image(weights: Floats, limit: float) -> str:
    """Return weights as a picture: red below 0, blue above, the stronger the farther from 0.

    Args:
        weights: float64 [height, width]; NaN between two grids of a feature map.
        limit: the magnitude that gets the full colour, as do larger ones.
    """
    scaled = np.clip(weights / limit, -1, 1) if limit else weights * 0
    gap = 2 * _LEVELS + 1
    indices = np.where(np.isnan(scaled), gap, np.rint(np.nan_to_num(scaled) * _LEVELS) + _LEVELS)
    opacity = [round(255 * abs(level) / _LEVELS) for level in range(-_LEVELS, _LEVELS + 1)]
    colours = [AGAINST] * _LEVELS + [FOR] * (_LEVELS + 1) + [_BETWEEN] * bool((indices == gap).any())
    return _png(indices.astype(np.uint8), colours, [*opacity, _BETWEEN_OPACITY][: len(colours)])


def ink_image(pixels: npt.NDArray[np.uint8]) -> str:
    """Return uint8 [height, width], 0 = background, as black ink on a transparent background."""
    return _png(pixels, [(0, 0, 0)] * 256, range(256))


def share_image(shares: npt.NDArray[np.floating]) -> str:
    """Return a confusion matrix as a picture: correct predictions blue, wrong ones redder the more there are.

    Args:
        shares: floats [K, K] in [0, 1], shares of each true label (row).
    """
    wrong = shares * (1 - np.eye(len(shares)))
    signed = np.where(np.eye(len(shares), dtype=np.bool_), shares, -np.sqrt(wrong / (wrong.max() or 1)))
    return weight_image(signed.astype(np.float64), 1.0)


def weight_images(model: Model) -> list[dict[str, Any]]:
    """Return the weights of each class for the template; many or large pictures are shrunk until all fit."""
    limit = float(np.abs(model.weights).max())
    images = []
    for label, bias in enumerate(model.bias.tolist()):
        column = model.weights[:, label]
        picture = small = model.layout.picture(column)
        scale = (_WEIGHT_PIXELS / len(model.bias) / picture.size) ** 0.5
        if scale < 1:
            small = shrunk(np.nan_to_num(picture), *(max(1, int(side * scale)) for side in picture.shape))
        images.append(
            {
                "source": weight_image(small, limit),
                "shape": small.shape,
                "full": picture.shape,
                "bias": bias,
                "lowest": (float(column.min()), _place(model.layout, int(column.argmin()))),
                "highest": (float(column.max()), _place(model.layout, int(column.argmax()))),
            }
        )
    return images


def _place(layout: Layout, number: int) -> str:
    """Return the position of one of D numbers, in words."""
    part = next(part for part in layout.parts if number < part.numbers.stop)
    rest, column = divmod(number - part.start, part.width)
    grid, row = divmod(rest, part.height)
    if not part.is_local:
        return f"at exemplar {column}"
    return f"at row {row}, column {column}" + (f" of grid {grid + 1}, {part.name}" if len(layout.parts) > 1 else "")


class Examples:
    """Remarkable and random images of one split, with the model's predictions.

    Attributes:
        mistakes: the worst mistakes, for the template.
        uncertain: the images whose highest probability is lowest, for the template.
        images: some of both and some random ones, for the pad to load.
    """

    def __init__(
        self, split: Split, shape: tuple[int, int], names: Sequence[str], mistakes: Lowest, uncertain: Lowest
    ) -> None:
        self._split = split
        self._shape = shape
        self._names = names
        self.images: list[dict[str, Any]] = []
        all_of_them = len(mistakes.positions) + len(uncertain.positions) + _BY_LOT
        # Cards are shown even if the pad has no room for their image.
        room = min(all_of_them, _PAD_IMAGES // split.inputs.shape[1])
        self._loadable = room * (all_of_them - _BY_LOT) // all_of_them
        self.mistakes = self._cards(mistakes)
        self.uncertain = self._cards(uncertain)
        for position in drawn_by_lot(len(split), room - len(self.images)):
            self._add(int(position), lot=True)

    def _add(self, position: int, *, lot: bool) -> int:
        """Add an image for the pad; return its index."""
        pixels = base64.b64encode(self._split.inputs[position].tobytes()).decode()
        name = f"{self._split.name} image {position:,}"
        label = int(self._split.labels[position])
        self.images.append({"name": name, "index": position, "label": label, "pixels": pixels, "lot": lot})
        return len(self.images) - 1

    def _cards(self, chosen: Lowest) -> list[dict[str, Any]]:
        return [self._card(*one) for one in zip(chosen.positions.tolist(), chosen.probabilities, strict=True)]

    def _card(self, position: int, shares: Floats) -> dict[str, Any]:
        label, predicted = int(self._split.labels[position]), int(shares.argmax())
        order = np.argsort(-shares, kind="stable")
        shown = range(len(shares)) if len(shares) <= _BARS else sorted({*order[:10].tolist(), label})
        listed = list(dict.fromkeys([*order[: _CAPTION - 1].tolist(), label, *order[:_CAPTION].tolist()]))[:_CAPTION]
        image = self._split.inputs[position].reshape(self._shape)
        scale = min(1.0, _SIDE / image.size**0.5)
        small = shrunk(image, *(max(1, round(side * scale)) for side in self._shape))
        return {
            "load": self._add(position, lot=False) if len(self.images) < self._loadable else None,
            "position": position,
            "source": ink_image(small),
            "label": label,
            "predicted": predicted,
            "listed": [(self._names[k], float(shares[k])) for k in sorted(listed, key=lambda k: -shares[k])],
            "bars": [(k, float(shares[k])) for k in shown],
        }


def drawn_by_lot(examples: int, limit: int) -> npt.NDArray[np.intp]:
    """Return random positions of examples, in order and without repetition; equal arguments give equal positions."""
    chosen = np.random.default_rng(examples).choice(examples, min(limit, examples), replace=False, shuffle=False)
    return np.sort(chosen)


class Cells:
    """Images behind the cells of the confusion matrix, as many for each cell as fit.

    Attributes:
        rows: [true label, predicted label, position] of each image.
    """

    def __init__(self, split: Split, classes: int) -> None:
        self._split = split
        room = _CELL_PIXELS // split.inputs.shape[1]
        self._limit = min(_CELL_IMAGES, room // classes**2) if classes <= _BARS else 0
        self._counts = np.zeros((classes, classes), np.intp)
        self.rows: list[list[int]] = []

    def add(
        self, positions: npt.NDArray[np.intp], labels: npt.NDArray[np.uint8], predicted: npt.NDArray[np.intp]
    ) -> None:
        """Add images: their positions, their labels, and the predicted labels, each [m]."""
        if not self._limit:
            return
        for row in zip(labels.tolist(), predicted.tolist(), positions.tolist(), strict=True):
            if self._counts[row[:2]] < self._limit:
                self._counts[row[:2]] += 1
                self.rows.append(list(row))

    def data(self) -> dict[str, Any]:
        """Return the rows, and their images in four greys, as base64."""
        images = in_four_greys(self._split.inputs[[position for _, _, position in self.rows]])
        return {"rows": self.rows, "images": base64.b64encode(packed(b"", images)).decode()}


def why_no_pad(model: Model) -> str | None:
    """Return why a model is too large for a drawing pad on its page, or None if it is not."""
    size = 4 * (model.weights.size + model.bias.size)
    size += portable_size(model.feature_map) if model.feature_map else 0
    if size <= _PAD_WEIGHTS and max(model.shape) <= _PAD_SIDE:
        return None
    what = [f"{model.shape[0]:,} × {model.shape[1]:,} pixels", f"{len(model.bias)} classes"]
    if model.feature_map:
        what.append(f"{len(model.weights):,} features")
    if model.feature_map and model.feature_map.exemplars:
        what.append(f"the weights of {model.feature_map.exemplars.exemplars.shape[1]:,} exemplars")
    return f"the model ({', '.join(what)}) takes {file_size(size)}, too much for a page"


def pad_data(model: Model, names: Sequence[str], examples: Examples, cells: Cells) -> dict[str, Any] | None:
    """Return what the drawing pad computes with; None if `why_no_pad` gives a reason.

    Returns:
        W and b in units of 2^-24 as base64 of little-endian int32, images as base64 of uint8, the feature map as
        `portable_document` makes it.
    """
    if why_no_pad(model):
        return None
    integers = [np.rint(array / UNIT) for array in (model.weights, model.bias)]
    weights, bias = (base64.b64encode(array.astype("<i4").tobytes()).decode() for array in integers)
    by_lot = [index for index, image in enumerate(examples.images) if image["lot"]]
    return {
        "shape": list(model.shape),
        "classes": list(names),
        "weights": weights,
        "bias": bias,
        "zero": model.zero,
        "step": model.input_step,
        "map": model.feature_map and portable_document(model.feature_map),
        "grid": {
            "shape": model.layout.cells_shape,
            "parts": [
                {
                    "name": part.name,
                    "maps": part.maps,
                    "height": part.height,
                    "width": part.width,
                    "local": part.is_local,
                }
                for part in model.layout.parts
            ],
        },
        "images": examples.images,
        "first": by_lot[0] if by_lot else None,
        "cells": cells.data(),
    }


def _png(indices: npt.NDArray[np.uint8], colours: list[tuple[int, int, int]], opacity: Iterable[int]) -> str:
    from PIL import Image

    image = Image.fromarray(indices, "L")
    image.putpalette(bytes(value for colour in colours for value in colour))
    content = io.BytesIO()
    image.save(content, "PNG", transparency=bytes(opacity), optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
