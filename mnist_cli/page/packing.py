"""Images in four levels of grey, two bits per pixel and deflated, so that thousands of them fit into a page."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_STEP = 85  # between two levels of grey


def in_four_greys(inputs: Bytes) -> Bytes:
    """Return uint8 of any shape with each pixel rounded to the nearest of 0, 85, 170 and 255, halves up."""
    return ((inputs.astype(np.uint16) * 6 + 255) // 510 * _STEP).astype(np.uint8)


def packed(head: bytes, inputs: Bytes) -> bytes:
    """Return `head` followed by images in four greys, deflated (RFC 1950).

    Four pixels make a byte, the first one in its lowest two bits; `greysOf` in templates/model.js unpacks them.
    """
    levels = inputs.ravel() // _STEP
    groups = np.pad(levels, (0, -levels.size % 4)).reshape(-1, 4)
    pixels = (groups << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1, dtype=np.uint8)
    return zlib.compress(head + pixels.tobytes(), 9)
