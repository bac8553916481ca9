"""The colours of weights and evidence: red against, blue for, white neither, as in TensorFlow's tutorial."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.uint8]

# The ends and the middle of ColorBrewer's diverging scale RdBu, which people with any colour vision tell apart.
RED, WHITE, BLUE = (178, 24, 43), (247, 247, 247), (33, 102, 172)
# The same hues, lighter, for a dark terminal.
_BRIGHT_RED, _BRIGHT_BLUE = (255, 64, 72), (72, 144, 255)


def diverging(values: npt.NDArray[np.floating], limit: float) -> Colours:
    """Return a colour for each value: red at −limit, white at 0, blue at limit.

    Args:
        values: floats [...].
        limit: the largest magnitude of the scale; 0 gives white.

    Returns:
        uint8 [..., 3]: red, green, blue.
    """
    return _mixed(np.asarray(WHITE), RED, BLUE, values, limit)


def over_drawing(values: npt.NDArray[np.floating], ink: npt.NDArray[np.uint8]) -> Colours:
    """Return a drawing in dim grey, with values on it: the redder the more negative, the bluer the more positive.

    Args:
        values: floats [height, width]; the largest magnitude gets the full colour.
        ink: uint8 [height, width], 0 = background.

    Returns:
        uint8 [height, width, 3]: red, green, blue.
    """
    drawing = np.repeat(ink[..., np.newaxis] * 0.3, 3, axis=-1)
    return _mixed(drawing, _BRIGHT_RED, _BRIGHT_BLUE, values, float(np.abs(values).max()))


def _mixed(
    middle: npt.NDArray[np.number],
    negative: tuple[int, int, int],
    positive: tuple[int, int, int],
    values: npt.NDArray[np.floating],
    limit: float,
) -> Colours:
    share = np.clip(np.abs(values) / (limit or 1), 0, 1)[..., np.newaxis]
    ends = np.where((values < 0)[..., np.newaxis], negative, positive)
    result: Colours = np.rint(middle * (1 - share) + ends * share).astype(np.uint8)
    return result
