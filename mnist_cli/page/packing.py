"""Images with four levels of grey, two bits a pixel and deflated: what lets thousands of them into a page."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_STEP = 85  # from a level of grey to the next one


def in_four_greys(inputs: Bytes) -> Bytes:
    """Return uint8 of any shape with each pixel at the nearest of 0, 85, 170 and 255; halves go up."""
    return ((inputs.astype(np.uint16) * 6 + 255) // 510 * _STEP).astype(np.uint8)


def packed(head: bytes, inputs: Bytes) -> bytes:
    """Return bytes, and images in four greys behind them, deflated (RFC 1950).

    Four pixels make a byte, the first one in its lowest two bits; `greysOf` in templates/model.js reads them.
    """
    levels = inputs.ravel() // _STEP
    groups = np.pad(levels, (0, -levels.size % 4)).reshape(-1, 4)
    pixels = (groups << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1, dtype=np.uint8)
    return zlib.compress(head + pixels.tobytes(), 9)
