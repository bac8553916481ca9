"""Find the connected pieces of a picture: how many digits it shows, and whether it shows one digit at all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from mnist_cli.pictures.luminance import reduced

Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]
Doubt = Literal["several-pieces", "ink-all-over", "cut-by-the-edge"]

_COARSE = 256  # pixels a side of the copy in which pieces are separated
_FAINT = 0.1  # as in normalize: fainter ink does not count
_SPECK = 1 / 8  # share of the largest piece's side; smaller pieces are dust
_TALL = 0.4  # share of the tallest piece's height; lower pieces are parts of the digit beside them
_TOGETHER = 0.5  # share of the narrower piece above or below the other that makes both one digit
_CROWD = 20  # more pieces are not a row of digits
_COVERED = 0.5  # share of the picture; more ink is not a drawing


@dataclass(frozen=True, slots=True)
class _Box:
    """The box around pieces that belong together, in coarse pixels; the ends are exclusive."""

    top: int
    bottom: int
    left: int
    right: int
    labels: frozenset[int]

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def joined(self, other: _Box) -> _Box:
        ends = max(self.bottom, other.bottom), max(self.right, other.right)
        return _Box(min(self.top, other.top), ends[0], min(self.left, other.left), ends[1], self.labels | other.labels)


def doubts(ink: Floats) -> list[Doubt]:
    """Return why a picture may not show one whole digit; empty if it seems to.

    Args:
        ink: float32 [height, width] in [0, 1], 0 = paper.
    """
    _, labels, boxes = _boxes(ink)
    found: list[Doubt] = []
    tall = _tall(boxes)
    lines = _merged([_Box(box.left, box.right, box.top, box.bottom, box.labels) for box in tall])
    if len(boxes) > _CROWD or (len(lines) > 1 and len(tall) > 3) or np.count_nonzero(labels) > _COVERED * labels.size:
        found.append("ink-all-over")
    elif len(_groups(boxes)) > 1:
        found.append("several-pieces")
    # A picture that was cropped to its digit shows ink at all four sides.
    least = max(1, max(ink.shape) // 100)
    sides = [np.count_nonzero(side > _FAINT) >= least for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])]
    if any(sides) and not all(sides):
        found.append("cut-by-the-edge")
    return found


def row_of_digits(ink: Floats) -> list[Floats]:
    """Return the ink of each digit in a row of digits, from left to right, without that of the others.

    Args:
        ink: float32 [height, width] in [0, 1], 0 = paper.

    Returns:
        float32 [rows, columns] of each; the ink itself if no digits can be separated.
    """
    factor, labels, boxes = _boxes(ink)
    digits = []
    for group in _groups(boxes):
        own = (labels == 0) | np.isin(labels, list(group.labels))
        full = np.repeat(np.repeat(own, factor, axis=0), factor, axis=1)[: ink.shape[0], : ink.shape[1]]
        part = tuple(
            slice(max(0, start - 1) * factor, (end + 1) * factor)
            for start, end in ((group.top, group.bottom), (group.left, group.right))
        )
        digits.append(np.where(full, ink, np.float32(0))[part])
    return digits or [ink]


def _boxes(ink: Floats) -> tuple[int, Labels, list[_Box]]:
    """Return the side of a coarse pixel, the piece of each coarse pixel, and all pieces but specks."""
    factor = -(-max(ink.shape) // _COARSE)
    labels, count = labelled(reduced(ink, factor) > _FAINT)
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns] - 1
    first = np.full((2, count), max(labels.shape))
    last = np.zeros((2, count), np.intp)
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(first[axis], numbers, places)
        np.maximum.at(last[axis], numbers, places + 1)
    largest = (last - first).max(initial=0)
    return (
        factor,
        labels,
        [
            _Box(top, bottom, left, right, frozenset([number + 1]))
            for number, (top, bottom, left, right) in enumerate(
                zip(first[0].tolist(), last[0].tolist(), first[1].tolist(), last[1].tolist(), strict=True)
            )
            if max(bottom - top, right - left) >= _SPECK * largest
        ],
    )


def _groups(boxes: list[_Box]) -> list[_Box]:
    """Return the pieces of each digit from left to right; low pieces belong to the nearest digit."""
    merged = _merged(boxes)
    digits = _tall(merged)
    for box in merged:
        if box not in digits:
            near = min(digits, key=lambda digit: max(digit.left - box.right, box.left - digit.right))
            digits[digits.index(near)] = near.joined(box)
    return digits


def _tall(boxes: list[_Box]) -> list[_Box]:
    tallest = max((box.height for box in boxes), default=0)
    return [box for box in boxes if box.height >= _TALL * tallest]


def _merged(boxes: list[_Box]) -> list[_Box]:
    """Return boxes from left to right, joining those that share most columns of the narrower one."""
    merged: list[_Box] = []
    for box in sorted(boxes, key=lambda one: one.left):
        now = box
        while merged:
            shared = min(merged[-1].right, now.right) - now.left
            if shared < _TOGETHER * min(now.right - now.left, merged[-1].right - merged[-1].left):
                break
            now = merged.pop().joined(now)
        merged.append(now)
    return merged


def labelled(mask: npt.NDArray[np.bool_]) -> tuple[Labels, int]:
    """Return the piece of each pixel, and the number of pieces; pixels connect at corners too.

    Args:
        mask: bool [height, width].

    Returns:
        Integers [height, width], 0 = no piece, pieces from 1 on.
    """
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(change == 1), np.nonzero(change == -1)
    parents = list(range(len(rows)))
    first = np.searchsorted(rows, np.arange(len(mask) + 1)).tolist()  # of the runs in each row
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    for (above, here), (_, below) in pairwise(pairwise(first)):
        upper = above
        for run in range(here, below):
            start, end = spans[run]
            while upper < here and spans[upper][1] < start:
                upper += 1
            for other in range(upper, here):
                if spans[other][0] > end:
                    break
                parents[_root(parents, other)] = _root(parents, run)
    numbers: dict[int, int] = {}
    labels = np.zeros(mask.shape, np.intp)
    for run, row in enumerate(rows.tolist()):
        labels[row, slice(*spans[run])] = numbers.setdefault(_root(parents, run), len(numbers) + 1)
    return labels, len(numbers)


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run
