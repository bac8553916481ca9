"""The colours of weights and evidence: red against, blue for, white neither, as in TensorFlow's tutorial."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.uint8]

# Red and blue stand out from white and from near black, and people with any colour vision tell them apart.
# report.css has the same two.
AGAINST, NEITHER, FOR = (0xD8, 0x3A, 0x3C), (0xF7, 0xF7, 0xF7), (0x2E, 0x72, 0xE0)
_DIM = 0.3  # share of full brightness that ink keeps under its evidence


def diverging(values: npt.NDArray[np.floating], limit: float) -> Colours:
    """Return a colour for each value: red at −limit, white at 0, blue at limit.

    Args:
        values: floats [...].
        limit: the largest magnitude of the scale; 0 gives white.

    Returns:
        uint8 [..., 3]: red, green, blue.
    """
    return _mixed(np.asarray(NEITHER), values, limit)


def over_drawing(values: npt.NDArray[np.floating], ink: npt.NDArray[np.uint8]) -> Colours:
    """Return a drawing in dim grey, with values on it: the redder the more negative, the bluer the more positive.

    Args:
        values: floats [height, width]; the largest magnitude gets the full colour.
        ink: uint8 [height, width], 0 = background.

    Returns:
        uint8 [height, width, 3]: red, green, blue.
    """
    return _mixed(np.repeat(ink[..., np.newaxis] * _DIM, 3, axis=-1), values, float(np.abs(values).max()))


def _mixed(middle: npt.NDArray[np.number], values: npt.NDArray[np.floating], limit: float) -> Colours:
    share = np.clip(np.abs(values) / (limit or 1), 0, 1)[..., np.newaxis]
    ends = np.where((values < 0)[..., np.newaxis], AGAINST, FOR)
    result: Colours = np.rint(middle * (1 - share) + ends * share).astype(np.uint8)
    return result
