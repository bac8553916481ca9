"""Lay out the D numbers of a model for people: the grids of a map side by side, and cells over the image.

Pixels are one grid of the image's size. A feature map has a grid for each part of its program and each direction; the
exemplars after it have no place in the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.ops import Cat, Deskew, Program, Shrink

# Grids in a row of the picture. If there are few, half as many: eight directions then make two rows.
_IN_A_ROW, _FEW = 8, 8

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Part:
    """Numbers that belong together, map by map and row by row.

    Attributes:
        name: the operations that make them, such as `conv → modulus → pool`; `pixels` or `exemplars`.
        start: index of the first of them among all D.
        maps: number of grids, such as directions.
        height, width: of a grid.
        is_local: whether a grid lies over the image.
    """

    name: str
    start: int
    maps: int
    height: int
    width: int
    is_local: bool = True

    @property
    def numbers(self) -> slice:
        """Their indices among all D."""
        return slice(self.start, self.start + self.maps * self.height * self.width)


@dataclass(frozen=True)
class Layout:
    """The layout of D numbers.

    Attributes:
        parts: in the order of the numbers.
    """

    parts: tuple[Part, ...]

    @property
    def cells_shape(self) -> tuple[int, int]:
        """Rows and columns of cells over the image: those of the finest grids."""
        local = [part for part in self.parts if part.is_local]
        return max(part.height for part in local), max(part.width for part in local)

    def cells(self, values: Floats) -> Floats:
        """Add up the numbers of each cell of the image, over all maps.

        Args:
            values: float64 [D].

        Returns:
            float64, `cells_shape`; without the numbers of exemplars.
        """
        rows, columns = self.cells_shape
        count = len(self._cell_of)
        sums: Floats = np.bincount(self._cell_of, values[:count], rows * columns).astype(np.float64)
        return sums.reshape(rows, columns)

    def by_map(self, values: Floats) -> list[tuple[str, Floats]]:
        """Return the name of each part, and the sums of float64 [D] over each of its maps, float64 [maps]."""
        return [
            (part.name, values[part.numbers].reshape(part.maps, -1).sum(axis=1, dtype=np.float64))
            for part in self.parts
        ]

    def picture(self, values: npt.NDArray[Any], widest: int | None = None) -> npt.NDArray[Any]:
        """Lay numbers out as a picture: each part begins a row of grids, with a line of NaN between grids.

        Args:
            values: floats [D].
            widest: the most columns that the picture should have, if grids can be moved.

        Returns:
            floats [height, width].
        """
        places = self.places(widest)
        return np.where(places < 0, np.nan, values[np.maximum(places, 0)])

    def places(self, widest: int | None = None) -> Places:
        """Return the index of the number at each place of the picture, intp [height, width], or −1. As `picture`."""
        grids = [part for part in self.parts if part.is_local]
        in_a_row = min(_IN_A_ROW if sum(part.maps for part in grids) > _FEW else _IN_A_ROW // 2, _most_maps(grids))
        while widest and in_a_row > 1 and _width(grids, in_a_row) > widest:
            in_a_row //= 2
        width = _width(grids, in_a_row)
        rows = [row for part in self.parts for row in _rows(part, in_a_row, width)]
        gap = np.full((1, width), -1)
        return np.concatenate([piece for row in rows for piece in (gap, row)][1:])

    @cached_property
    def _cell_of(self) -> Places:
        """Intp, the cell of each number, without those of exemplars, which come last."""
        rows, columns = self.cells_shape
        indices = []
        for part in self.parts:
            if part.is_local:
                y, x = _spread(part.height, rows), _spread(part.width, columns)
                indices.append(np.tile((y[:, np.newaxis] * columns + x).ravel(), part.maps))
        return np.concatenate(indices)


def layout_of(feature_map: FeatureMap | None, shape: tuple[int, int]) -> Layout:
    """Return the layout of a feature map's numbers, or of an image's pixels if there is no map.

    Args:
        feature_map: what makes D numbers of an image.
        shape: height and width of an image.
    """
    if feature_map is None:
        return Layout((Part("pixels", 0, 1, *shape),))
    parts: list[Part] = []
    start = 0
    for name, end in zip(_names(feature_map.program, ()), feature_map.ends, strict=True):
        parts.append(Part(name, start, end.maps, end.height, end.width))
        start = parts[-1].numbers.stop
    if feature_map.exemplars:
        parts.append(Part("exemplars", start, 1, 1, len(feature_map) - start, is_local=False))
    return Layout(tuple(parts))


def over_image(cells: Floats, shape: tuple[int, int]) -> Floats:
    """Return the value of the cell of each pixel, float64 [height, width].

    Args:
        cells: float64 [rows, columns].
        shape: height and width of the image.
    """
    y, x = (_spread(side, count) for side, count in zip(shape, cells.shape, strict=True))
    result: Floats = cells[y[:, np.newaxis], x]
    return result


def _spread(count: int, onto: int) -> Places:
    """Return which of `onto` equal pieces contains the middle of each of `count` equal pieces."""
    return (2 * np.arange(count) + 1) * onto // (2 * count)


def _names(program: Program, before: tuple[str, ...]) -> Iterator[str]:
    for op in program:
        if isinstance(op, Cat):
            for inner in op.programs:
                yield from _names(inner, before)
            return
        if not isinstance(op, Shrink | Deskew):
            before = (*before, op.name)
    yield " → ".join(before) or "pixels"


def _most_maps(parts: list[Part]) -> int:
    return max(part.maps for part in parts)


def _width(parts: list[Part], in_a_row: int) -> int:
    return max(min(in_a_row, part.maps) * (part.width + 1) for part in parts) - 1


def _rows(part: Part, in_a_row: int, width: int) -> Iterator[Places]:
    """Yield the rows of grids of a part, each as wide as the picture."""
    numbers = np.arange(part.numbers.start, part.numbers.stop)
    if not part.is_local:
        yield np.pad(numbers, (0, -len(numbers) % width), constant_values=-1).reshape(-1, width)
        return
    grids = numbers.reshape(part.maps, part.height, part.width)
    for first in range(0, part.maps, in_a_row):
        row = np.full((part.height, width), -1)
        for at, grid in enumerate(grids[first : first + in_a_row]):
            left = at * (part.width + 1)
            row[:, left : left + part.width] = grid
        yield row
