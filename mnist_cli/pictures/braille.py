"""Curves in the terminal: braille characters, each of which holds two columns of four dots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Which bit of a braille character stands for the dot at [row][column]; U+2800 is the empty one.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800

Points = Sequence[tuple[float, float]]


def curve(points: Points, columns: int, rows: int, across: tuple[float, float], up: tuple[float, float]) -> list[str]:
    """Return a line through points, drawn with dots.

    Args:
        points: x and y of each, x ascending; with a single one the line is a dot.
        columns, rows: how many characters wide and high.
        across, up: the numbers at the left and the right end, and at the bottom and the top.

    Returns:
        `rows` lines of `columns` characters.
    """
    width, height = 2 * columns, 4 * rows
    xs, ys = np.array(points, float).T
    places = np.arange(width)
    at = across[0] + places / (width - 1) * (across[1] - across[0])
    heights = np.interp(at, xs, ys)
    span = (up[1] - up[0]) or 1.0
    levels = np.clip(np.rint((heights - up[0]) / span * (height - 1)), 0, height - 1).astype(int)
    # A dot spreads to the next one where the line is steep, so that no gap is left.
    dots = np.zeros((height, width), bool)
    for place, level in enumerate(levels.tolist()):
        if xs[0] <= at[place] <= xs[-1] or len(points) == 1:
            before = int(levels[max(0, place - 1)])
            low, high = sorted((level, before + (level > before) - (level < before)))
            dots[height - 1 - high : height - low, place] = True
    cells = dots.reshape(rows, 4, columns, 2)
    return [
        "".join(
            chr(_EMPTY + sum(_BITS[y][x] for y in range(4) for x in range(2) if cells[row, y, column, x]))
            for column in range(columns)
        )
        for row in range(rows)
    ]
