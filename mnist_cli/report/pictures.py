"""Images as PNG in data: addresses. They hold one colour or two and a transparency, so any background suits them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Floats

# As in TensorFlow's tutorial: red speaks against a class, blue for it. Both stand out from white and from near black.
AGAINST = (0xD8, 0x3A, 0x3C)
FOR = (0x2E, 0x72, 0xE0)
_LEVELS = 127  # of each colour; with nothing between them they fit into a palette of 255


def weight_image(weights: Floats, limit: float) -> str:
    """Return weights as a picture: red below 0, blue above, the stronger the farther from 0.

    Args:
        weights: float32 [height, width].
        limit: the magnitude that gets the full colour; those beyond it get no more.
    """
    scaled = np.clip(weights / limit, -1, 1) if limit else np.zeros_like(weights)
    indices = np.rint(scaled * _LEVELS).astype(np.intp) + _LEVELS
    strengths = [abs(level) for level in range(-_LEVELS, _LEVELS + 1)]
    colours = [AGAINST] * _LEVELS + [FOR] * (_LEVELS + 1)
    return _png(indices.astype(np.uint8), colours, (round(255 * strength / _LEVELS) for strength in strengths))


def ink_image(pixels: npt.NDArray[np.uint8]) -> str:
    """Return uint8 [height, width], 0 = background, as black ink on nothing."""
    return _png(pixels, [(0, 0, 0)] * 256, range(256))


def _png(indices: npt.NDArray[np.uint8], colours: list[tuple[int, int, int]], opacity: Iterable[int]) -> str:
    from PIL import Image

    image = Image.fromarray(indices, "L")
    image.putpalette(bytes(value for colour in colours for value in colour))
    content = io.BytesIO()
    image.save(content, "PNG", transparency=bytes(opacity), optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
