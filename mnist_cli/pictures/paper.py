"""Remove what a photograph shows besides the digit: the table under the paper, and the lines printed on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_cli.pictures.luminance import reduced
from mnist_cli.pictures.pieces import labelled

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_COARSE = 128  # pixels a side of the copy in which the paper is found
_CONTRAST = 0.15  # least difference between paper and table, where black and white differ by 1
_SMALLEST, _LARGEST = 0.1, 0.95  # share of the picture that a sheet of paper covers
_MARKS = (0.002, 0.2)  # share of the sheet that its ink covers: a white ring, or a B, is not a sheet
# Share of the smallest box around it that a sheet fills, even askew or in perspective; an ellipse fills 0.79.
_RECTANGULAR = 0.82
_SAME, _FLAT = 0.05, 0.01  # difference of two equal levels; unevenness below which it is a drawing and no photograph
_LINES = 3  # least number of parallel lines on ruled paper; fewer may be strokes
_LINE = 0.6  # share of the picture's width over which a line is visible
_LINE_END = 0.05  # share of the width at both ends in which a line is visible too, as it leaves the picture
_SLOPES = np.linspace(-0.04, 0.04, 17)  # rows per column: the paper may lie askew by up to 2 degrees
_SMALLEST_RULED = 100  # pixels a side; in smaller pictures strokes are as thin as lines


def sheet(grey: Floats) -> Floats:
    """Return the part of a photograph that shows a light sheet of paper with ink on it; without one, all of it.

    Args:
        grey: float32 [height, width], 0 = black, 1 = white.

    Returns:
        float32 [rows, columns]; where the box around the sheet shows the table, it is filled with paper.
    """
    factor = -(-max(grey.shape) // _COARSE)
    coarse = reduced(grey, factor)
    light = coarse > _threshold(coarse)
    if light.all() or not light.any() or coarse[light].mean() - coarse[~light].mean() < _CONTRAST:
        return grey
    labels, _ = labelled(light)
    paper = labels == 1 + np.bincount(labels[light])[1:].argmax()
    outside, _ = labelled(np.pad(~paper, 1, constant_values=True))
    whole = (outside != outside[0, 0])[1:-1, 1:-1]
    marks = whole & ~paper
    if not (
        _SMALLEST < whole.mean() < _LARGEST
        and _MARKS[0] < marks.sum() / whole.sum() < _MARKS[1]
        and whole.sum() / _narrowest_box(whole) > _RECTANGULAR
    ):
        return grey
    table = coarse[~whole]
    level = float(np.median(table))
    if abs(float(np.median(coarse[marks])) - level) < _SAME and np.median(abs(table - level)) < _FLAT:
        return grey  # the background shows through the holes of something drawn in white
    inner = _eroded(_eroded(whole))  # the edge of the paper is a mixture
    if not (inner & marks).any():
        return grey
    full = np.repeat(np.repeat(inner, factor, axis=0), factor, axis=1)[: grey.shape[0], : grey.shape[1]]
    rows, columns = (np.flatnonzero(full.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(full, grey, _plane(coarse, paper & inner, factor, grey.shape))[box]


def without_ruling(ink: Floats) -> Floats:
    """Return the ink without the lines of ruled or squared paper; strokes that cross them stay whole.

    Args:
        ink: float32 [height, width] in [0, 1], 0 = paper.
    """
    if min(ink.shape) < _SMALLEST_RULED:
        return ink
    level = _without_rows(ink)
    return np.ascontiguousarray(_without_rows(level.T).T)


def _without_rows(ink: Floats) -> Floats:
    """Return the ink without thin lines that cross the picture from left to right."""
    height, width = ink.shape
    thickest = max(2, max(ink.shape) // 100)
    thin = _thin(ink > 0, thickest)
    rows, columns = np.nonzero(thin)
    if len(rows) < _LINES * _LINE * width:
        return ink
    end = max(1, round(_LINE_END * width))
    margin = round(abs(_SLOPES).max() * width / 2) + 1
    shifts = [np.rint(slope * (np.arange(width) - width / 2)).astype(np.intp) + margin for slope in _SLOPES]
    size = height + 2 * margin + 1
    profiles = [np.bincount(rows + shift[columns], minlength=size) for shift in shifts]
    straightest = int(np.argmax([profile @ profile for profile in profiles]))
    shift, profile = shifts[straightest], profiles[straightest]
    levels = rows + shift[columns]
    seen = _near(profile) >= _LINE * width
    for at_end in (columns < end, columns >= width - end):
        seen &= _near(np.bincount(levels[at_end], minlength=size)) >= end / 2
    if np.count_nonzero(np.diff(np.pad(seen, 1).astype(np.int8)) == 1) < _LINES:
        return ink
    # The paper is ruled, so lines that leave the picture at a corner count too.
    inside = np.cumsum(np.bincount(shift, minlength=size) - np.bincount(shift + height, minlength=size))
    lines = _near(profile) >= np.maximum(1, _LINE * inside)
    of_lines = np.convolve(lines, np.ones(2 * thickest + 1), "same")[levels] > 0
    cleaned = ink.copy()
    cleaned[rows[of_lines], columns[of_lines]] = 0
    return cleaned


def _near(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the counts summed over three rows, as a line may not be quite straight."""
    return np.convolve(counts, np.ones(3, np.intp), "same")


def _thin(mask: Mask, thickest: int) -> Mask:
    """Return the pixels in vertical runs of at most `thickest` pixels."""
    window = thickest + 1
    if len(mask) < window:
        return mask
    sums = np.pad(np.cumsum(mask, axis=0, dtype=np.int32), ((1, 0), (0, 0)))
    full = sums[window:] - sums[:-window] == window  # from here on, all of the window is ink
    counts = np.cumsum(np.pad(full, ((window, thickest), (0, 0))), axis=0, dtype=np.int32)
    thick = counts[window:] - counts[:-window] > 0
    thin: Mask = mask & ~thick[: len(mask)]
    return thin


def _threshold(grey: Floats) -> float:
    """Return the grey level that divides light from dark with the least variance within both (Otsu, 1979)."""
    counts, edges = np.histogram(grey, 64, (0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(edges[1:][np.nan_to_num(between).argmax()])


def _narrowest_box(mask: Mask) -> float:
    """Return the area of the smallest box around the pixels, in any orientation."""
    rows, columns = np.nonzero(mask ^ _eroded(mask))
    angles = np.deg2rad(np.arange(0, 90, 3))[:, np.newaxis]
    across, along = (
        np.ptp(columns * np.cos(turn) + rows * np.sin(turn), axis=1) + 1 for turn in (angles, angles + np.pi / 2)
    )
    return float((across * along).min())


def _eroded(mask: Mask) -> Mask:
    """Return the pixels all of whose neighbours belong to the mask; pixels outside the picture do not count."""
    padded = np.pad(mask, 1, mode="edge")
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    result: Mask = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return result


def _plane(coarse: Floats, paper: Mask, factor: int, shape: tuple[int, ...]) -> Floats:
    """Return the grey levels of the evenly lit paper, as a plane, for a picture of the shape."""
    rows, columns = np.nonzero(paper)
    places = np.column_stack([np.ones(len(rows)), (rows + 0.5) * factor, (columns + 0.5) * factor])
    level, down, across = np.linalg.lstsq(places, coarse[paper], rcond=None)[0]
    plane = level + down * np.arange(shape[0])[:, np.newaxis] + across * np.arange(shape[1])
    levels: Floats = np.clip(plane, 0, 1).astype(np.float32)
    return levels
