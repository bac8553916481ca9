"""Images as lines of text: half blocks where there are colours, characters where there are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SHADES = " .:-=+*#%@"  # ten steps from background to ink
# Two characters a pixel, from nothing to much.
_FOR = (" ·", " +", "++")
_AGAINST = (" ·", " -", "--")
_RESET = "\x1b[0m"


def half_blocks(colours: npt.NDArray[np.uint8]) -> list[str]:
    """Return an image in 24-bit colours: two rows of pixels make one line of half blocks, which are about square.

    Args:
        colours: uint8 [height, width, 3], or [height, width] for grey.
    """
    if colours.ndim == 2:
        colours = np.repeat(colours[..., np.newaxis], 3, axis=-1)
    if len(colours) % 2:
        colours = np.concatenate([colours, np.zeros_like(colours[:1])])
    pairs = zip(colours[::2].tolist(), colours[1::2].tolist(), strict=True)
    return [
        "".join(
            f"\x1b[38;2;{';'.join(map(str, upper))};48;2;{';'.join(map(str, lower))}m▀"
            for upper, lower in zip(*pair, strict=True)
        )
        + _RESET
        for pair in pairs
    ]


def shades(image: npt.NDArray[np.uint8]) -> list[str]:
    """Return an image as characters, two for each pixel; uint8 [height, width], 0 = background = space."""
    return ["".join(_SHADES[value * len(_SHADES) // 256] * 2 for value in row) for row in image.tolist()]


def signs(values: npt.NDArray[np.floating], limit: float, shown: npt.NDArray[np.bool_] | None = None) -> list[str]:
    """Return signed numbers as characters, two for each: `++` much, ` +` some, ` ·` little, ` -`, `--` for negative.

    Args:
        values: floats [height, width].
        limit: the magnitude that counts as all; from a third of it on it is some, from two thirds much.
        shown: bool [height, width]: where there is anything to show; elsewhere are spaces.
    """
    steps = np.minimum(np.abs(values) / (limit or 1) * 3, 2).astype(int)
    visible = np.ones(values.shape, np.bool_) if shown is None else shown
    return [
        "".join(
            ((_AGAINST if value < 0 else _FOR)[step] if seen else "  ") for value, step, seen in zip(*row, strict=True)
        )
        for row in zip(values.tolist(), steps.tolist(), visible.tolist(), strict=True)
    ]


def side_by_side(drawings: Sequence[tuple[str, Sequence[str]]], cells: int, columns: int) -> list[str]:
    """Return titled drawings beside each other, as many in a row as there is room for.

    Args:
        drawings: title and lines of each, all with as many lines.
        cells: width of a drawing in characters (colours make its lines longer than that).
        columns: width of the terminal.
    """
    many = max(1, (columns + 2) // (cells + 2))
    lines: list[str] = []
    for start in range(0, len(drawings), many):
        row = drawings[start : start + many]
        lines.append("  ".join(title[:cells].ljust(cells) for title, _ in row).rstrip())
        lines += ["  ".join(parts) for parts in zip(*(drawing for _, drawing in row), strict=True)]
        lines.append("")
    return lines
