"""The operations of a feature map, from whole numbers to whole numbers, so the same on every machine.

A state is float32 [B, height, M, width] of whole numbers. B is images times the maps of earlier convolutions, M the
maps of the last one. Every sum stays below 2^24, where float32 represents every whole number, so no value depends on
the order of summation, the library, the threads or the size of a block. `bound` proves this from the kernels alone,
without any image. "v rounded ≫ s" is ⌊(v + 2^(s−1)) / 2^s⌋: halves go up.
"""

from __future__ import annotations

# ruff: noqa: D102  # Op documents bound and apply
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

EXACT = 2**24
# Up to here the float32 root of a whole number rounds to the same whole number as the exact root.
ROOT = 2**22
# The most numbers of one image after an operation, and its most features. A block of images takes at most about 400 MB.
MOST_VALUES, MOST_FEATURES = 2**20, 2**16
_MOST_SHEAR, _MOST_SHRINK = 16, 64
# Columns of a convolution that one row of the banded matrix makes; 14 was the fastest value that we tried.
_BAND = 14

State = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class OutOfBounds(ValueError):
    """An operation cannot be exact, or does not suit its input; the message says why."""


@dataclass(frozen=True, eq=False)
class Extent:
    """What is known about a state without any image.

    Attributes:
        height, width: of a map.
        earlier: number of maps of an image from earlier convolutions.
        largest: int64 [M], upper bound of the absolute values of each map.
        signed: whether values may be negative.
    """

    height: int
    width: int
    earlier: int = 1
    largest: Integers = field(default_factory=lambda: np.array([255], np.int64))
    signed: bool = False

    @property
    def maps(self) -> int:
        """Number of maps of one image."""
        return self.earlier * len(self.largest)

    @property
    def features(self) -> int:
        """Number of values of one image."""
        return self.maps * self.height * self.width

    @property
    def top(self) -> int:
        """The largest of the bounds."""
        return int(self.largest.max())

    def is_image(self) -> bool:
        """Whether these are still the bytes of an image."""
        return self.maps == 1 and self.top <= 255 and not self.signed


class Op:
    """An operation.

    Attributes:
        name: its name in files and documents.
    """

    name: ClassVar[str]

    def bound(self, extent: Extent) -> Extent:
        """Return the extent after the operation.

        Raises:
            OutOfBounds: a sum could leave the exact range, or the operation does not suit the extent.
        """
        raise NotImplementedError

    def apply(self, state: State) -> State:
        """Return the state after the operation, which may change the given one."""
        raise NotImplementedError


def rounded(values: State, shift: int) -> State:
    """Divide whole numbers by 2^shift in place, halves up."""
    if shift:
        values *= np.float32(2.0**-shift)
        values += np.float32(0.5)
        np.floor(values, out=values)
    return values


@dataclass(frozen=True, eq=False)
class Shrink(Op):
    """Mean over boxes of factor × factor pixels, zeros beyond the edge; for large images, as the first operation."""

    name = "shrink"
    factor: int

    def bound(self, extent: Extent) -> Extent:
        _need_image(extent)
        if not 1 <= self.factor <= _MOST_SHRINK:
            raise OutOfBounds(f"expected a factor from 1 to {_MOST_SHRINK}; received {self.factor}")
        _check_sum(255 * self.factor**2, 0)
        return Extent(-(-extent.height // self.factor), -(-extent.width // self.factor))

    def apply(self, state: State) -> State:
        k = self.factor
        count, height, _, width = state.shape
        padded = np.zeros((count, -(-height // k) * k, -(-width // k) * k), np.float64)
        padded[:, :height, :width] = state[:, :, 0]
        sums = padded.reshape(count, padded.shape[1] // k, k, -1, k).sum(axis=(2, 4))
        # A quotient of whole numbers this small is never rounded up to the next one.
        result: State = np.floor((2 * sums + k * k) / (2 * k * k)).astype(np.float32)[:, :, np.newaxis]
        return result


@dataclass(frozen=True, eq=False)
class Deskew(Op):
    """Shear by cov(x, y) / var(y) and move the centre of mass to the middle; bilinear, bytes to bytes.

    Attributes:
        position: fractional bits of positions and bilinear weights.
        shear: fractional bits of the shear.
    """

    name = "deskew"
    position: int
    shear: int

    def bound(self, extent: Extent) -> Extent:
        _need_image(extent)
        height, width = extent.height, extent.width
        # For white images, which have the largest moments: Σx, Σy and Σy², and the largest product of two moments.
        sum_x, sum_y = width * (width - 1) // 2, height * (height - 1) // 2
        sum_yy = sum_y * (2 * height - 1) // 3
        product = 255 * height * width * 255 * max(sum_x * sum_y, width * sum_yy)
        if product >= 2**53 or 255 * sum_x >= EXACT:
            raise OutOfBounds(
                f"expected images of at most about 86 × 86; received {height} × {width}: shrink them first"
            )
        if not 1 <= self.position <= self.shear + 1 <= _MOST_SHEAR + 1:
            raise OutOfBounds(f"expected position from 1 to shear + 1, and shear up to {_MOST_SHEAR}")
        _check_sum(255 << 2 * self.position, 2 * self.position)
        return extent

    def apply(self, state: State) -> State:
        images = state[:, :, 0]
        count, height, width = images.shape
        shear, centre_y, centre_x = self._moments(images)
        unit = 2**self.position
        rows = np.arange(height, dtype=np.float64)
        columns = np.arange(width, dtype=np.float64)
        # (2i − (n − 1)) / 2 is the distance of row i from the middle.
        y = np.clip(rows * unit + (centre_y - (height - 1) / 2 * unit)[:, np.newaxis], -unit, height * unit)
        slide = np.floor(shear[:, np.newaxis] * (2 * rows - (height - 1)) / 2 ** (self.shear + 1 - self.position) + 0.5)
        x = (centre_x - (width - 1) / 2 * unit)[:, np.newaxis, np.newaxis] + slide[:, :, np.newaxis] + columns * unit
        x = np.clip(x, -unit, width * unit).astype(np.int32)
        y = y.astype(np.int32)
        # A border of zeros, and one more row and column for neighbours with a weight of zero.
        padded = np.zeros((count, height + 3, width + 3), np.float32)
        padded[:, 1 : height + 1, 1 : width + 1] = images
        top = (y >> self.position) + 1
        lower = (y & (unit - 1)).astype(np.float32)[:, :, np.newaxis]
        each = np.arange(count)[:, np.newaxis]
        mixed = (padded[each, top] * (unit - lower) + padded[each, top + 1] * lower).ravel()
        left = (x >> self.position) + 1
        left += (np.arange(count * height, dtype=np.int32) * np.int32(width + 3)).reshape(count, height, 1)
        right = (x & (unit - 1)).astype(np.float32)
        return rounded(mixed[left] * (unit - right) + mixed[left + 1] * right, 2 * self.position)[:, :, np.newaxis]

    def _moments(self, images: State) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the shear, and the row and column of the centre of mass, float64 [n], on their grids.

        All sums are exact; each result is one correctly rounded division of whole numbers.
        """
        _, height, width = images.shape
        rows = np.arange(height, dtype=np.float64)
        by_row = images.sum(axis=2, dtype=np.float64)
        by_row_x = (images @ np.arange(width, dtype=np.float32)).astype(np.float64)
        mass = np.maximum(by_row.sum(axis=1), 1)
        sum_x, sum_y = by_row_x.sum(axis=1), by_row @ rows
        sum_xy, sum_yy = by_row_x @ rows, by_row @ (rows * rows)
        covariance = mass * sum_xy - sum_x * sum_y
        variance = np.maximum(mass * sum_yy - sum_y * sum_y, 1)
        unit = 2**self.position
        return (
            np.floor(covariance / variance * 2**self.shear + 0.5),
            np.floor(sum_y / mass * unit + 0.5),
            np.floor(sum_x / mass * unit + 0.5),
        )


@dataclass(frozen=True, eq=False)
class Conv(Op):
    """Convolution of every map by itself with each kernel, zeros beyond the edge; rounded ≫ shift.

    As in the field, the kernels are not turned round: result(y, x) = Σ kernel(i, j) map(y + i − r, x + j − r).

    Attributes:
        kernels: int64 [m, k, k], k = 2r + 1.
        shift: number of bits.
    """

    name = "conv"
    kernels: Integers
    shift: int

    def bound(self, extent: Extent) -> Extent:
        _, size, across = self.kernels.shape
        if size != across or size % 2 == 0:
            raise OutOfBounds(f"expected squares with an odd side; received {_times(size, across)}")
        _check_weights(self.kernels, -EXACT)
        positive = np.maximum(self.kernels, 0).sum(axis=(1, 2))
        negative = np.maximum(-self.kernels, 0).sum(axis=(1, 2))
        sums = extent.top * (positive + negative if extent.signed else np.maximum(positive, negative))
        _check_sum(int(sums.max()), self.shift)
        return Extent(extent.height, extent.width, extent.maps, _shifted(sums, self.shift), signed=True)

    def apply(self, state: State) -> State:
        count, height, maps, width = state.shape
        kernels, size = self.kernels.shape[:2]
        radius, band = size // 2, _band(width)
        pieces = -(-width // band)
        padded = np.zeros((count, maps, height + 2 * radius, pieces * band + 2 * radius), np.float32)
        padded[:, :, radius : radius + height, radius : radius + width] = state.transpose(0, 2, 1, 3)
        padded = padded.reshape(count * maps, height + 2 * radius, -1)
        banded = self._banded[band] if band in self._banded else self._make_banded(band)
        result = np.empty((count * maps, height, kernels, pieces * band), np.float32)
        # One product per row and piece, so that the rows that it reads lie side by side.
        for y in range(height):
            for start in range(0, pieces * band, band):
                rows = padded[:, y : y + size, start : start + band + 2 * radius].reshape(count * maps, -1)
                result[:, y, :, start : start + band] = (rows @ banded).reshape(-1, kernels, band)
        return (
            rounded(result[..., :width], self.shift)
            if pieces * band == width
            else np.ascontiguousarray(rounded(result, self.shift)[..., :width])
        )

    @cached_property
    def _banded(self) -> dict[int, State]:
        return {}

    def _make_banded(self, band: int) -> State:
        """Return the matrix that computes `band` columns of every kernel's map from the rows that they depend on."""
        kernels, size = self.kernels.shape[:2]
        matrix = np.zeros((size, band + size - 1, kernels, band), np.float32)
        for column in range(band):
            matrix[:, column : column + size, :, column] = self.kernels.transpose(1, 2, 0)
        self._banded[band] = matrix.reshape(-1, kernels * band)
        return self._banded[band]


@dataclass(frozen=True, eq=False)
class Relu2(Op):
    """Both sides of every map: max(u, 0), then max(−u, 0) of all."""

    name = "relu2"

    def bound(self, extent: Extent) -> Extent:
        return Extent(extent.height, extent.width, extent.earlier, np.tile(extent.largest, 2))

    def apply(self, state: State) -> State:
        return np.concatenate([np.maximum(state, 0), np.maximum(-state, 0)], axis=2)


@dataclass(frozen=True, eq=False)
class Modulus(Op):
    """The whole number nearest to √(re² + im²); the first half of the maps is re, the second im."""

    name = "modulus"

    def bound(self, extent: Extent) -> Extent:
        half, odd = divmod(len(extent.largest), 2)
        if odd:
            raise OutOfBounds(f"expected pairs of maps; received {len(extent.largest)}")
        squares = extent.largest[:half] ** 2 + extent.largest[half:] ** 2
        if squares.max() >= ROOT:
            raise OutOfBounds(f"squares up to {squares.max():,}: expected sums below 2^22; use a larger shift earlier")
        roots = np.floor(np.sqrt(squares.astype(np.float64)) + 0.5).astype(np.int64)
        return Extent(extent.height, extent.width, extent.earlier, roots)

    def apply(self, state: State) -> State:
        half = state.shape[2] // 2
        state *= state
        result: State = state[:, :, :half] + state[:, :, half:]
        np.sqrt(result, out=result)
        result += np.float32(0.5)
        np.floor(result, out=result)
        return result


@dataclass(frozen=True, eq=False)
class Pool(Op):
    """Weighted sums over windows, rows u columnsᵀ, rounded ≫ shift: boxes, Gaussians, strides and halving.

    Attributes:
        rows: int64 [h, height], from 0 on.
        columns: int64 [w, width], from 0 on.
        shift: number of bits.
    """

    name = "pool"
    rows: Integers
    columns: Integers
    shift: int

    def bound(self, extent: Extent) -> Extent:
        expected, received = (extent.height, extent.width), (self.rows.shape[1], self.columns.shape[1])
        if expected != received:
            raise OutOfBounds(f"expected windows over {_times(*expected)} values; received {_times(*received)}")
        _check_weights(self.rows, 0)
        _check_weights(self.columns, 0)
        weight = int(self.rows.sum(axis=1).max()) * int(self.columns.sum(axis=1).max())
        _check_sum(extent.top * weight, self.shift)
        largest = _shifted(extent.largest * weight, self.shift)
        return Extent(len(self.rows), len(self.columns), extent.earlier, largest, extent.signed)

    def apply(self, state: State) -> State:
        count, height, maps, width = state.shape
        rows, columns = self._factors
        across = (state.reshape(-1, width) @ columns).reshape(count, height, -1)
        return rounded(np.matmul(rows, across), self.shift).reshape(count, len(rows), maps, -1)

    @cached_property
    def _factors(self) -> tuple[State, State]:
        return self.rows.astype(np.float32), np.ascontiguousarray(self.columns.T, np.float32)


@dataclass(frozen=True, eq=False)
class Cat(Op):
    """Programs side by side on the same state; ends a program."""

    name = "cat"
    programs: tuple[Program, ...]

    def bound(self, extent: Extent) -> Extent:  # noqa: ARG002  # `ends` handles it
        raise OutOfBounds("expected it to be the last operation")


Program = tuple[Op, ...]


def bounds(program: Program, extent: Extent) -> Integers:
    """Return the upper bound of each feature, int64 [D]; this proves that all arithmetic is exact.

    Raises:
        OutOfBounds: for the first operation that is not exact, with its name and place.
    """
    return np.concatenate([np.full(end.features, end.top, np.int64) for end in ends(program, extent)])


def ends(program: Program, extent: Extent) -> Iterator[Extent]:
    """Yield the extent of each part of the features, in order; errors as `bounds`."""
    features = 0
    for end in _ends(program, extent, ""):
        features += end.features
        if features > MOST_FEATURES:
            raise OutOfBounds(f"expected at most {MOST_FEATURES:,} features per image; received more")
        yield end


def _ends(program: Program, extent: Extent, place: str) -> Iterator[Extent]:
    for index, op in enumerate(program):
        here = f"{place}{index + 1}"
        if isinstance(op, Cat) and index == len(program) - 1:
            for number, inner in enumerate(op.programs, start=1):
                yield from _ends(inner, extent, f"{here}.{number}.")
            return
        extent = bounded(op, extent, here)
    yield extent


def bounded(op: Op, extent: Extent, place: str) -> Extent:
    """Return the extent after an operation; errors name the operation and its place in the program, such as 2.1.3."""
    try:
        after = op.bound(extent)
        if after.features > MOST_VALUES:
            raise OutOfBounds(f"expected at most {MOST_VALUES:,} values per image; received {after.features:,}")
    except OutOfBounds as problem:
        raise OutOfBounds(f"operation {place}, {op.name}: {problem}") from None
    return after


def apply(program: Program, state: State, images: int) -> State:
    """Return the features of some images, float32 [images, D] of whole numbers: map by map, row by row.

    Args:
        program: one whose bounds were proved.
        state: float32 [B, height, M, width]; it may be changed.
        images: n; B is a multiple of it.
    """
    for op in program:
        if isinstance(op, Cat):
            # Operations work in place, so each program but the last gets a copy.
            parts = [*(state.copy() for _ in op.programs[1:]), state]
            results = [apply(inner, part, images) for inner, part in zip(op.programs, parts, strict=True)]
            return np.concatenate(results, axis=1)
        state = op.apply(state)
    return state.transpose(0, 2, 1, 3).reshape(images, -1)


def as_state(images: npt.NDArray[np.uint8]) -> State:
    """Return uint8 [n, height, width] as a state."""
    return images.astype(np.float32)[:, :, np.newaxis]


def _band(width: int) -> int:
    pieces = -(-width // _BAND)
    return -(-width // pieces)


def _shifted(values: Integers, shift: int) -> Integers:
    return (values + (1 << shift >> 1)) >> shift


def _check_weights(weights: Integers, low: int) -> None:
    """Refuse weights whose sums may overflow int64, and negative ones if `low` is 0."""
    if weights.min() < low or weights.max() > EXACT:
        raise OutOfBounds(f"expected weights from {'-2^24' if low else 0} up to 2^24")


def _check_sum(largest: int, shift: int) -> None:
    if not 0 <= shift < EXACT.bit_length():
        raise OutOfBounds(f"expected a shift from 0 to 24; received {shift}")
    if largest + (1 << shift >> 1) >= EXACT:
        raise OutOfBounds(
            f"sums up to 2^{math.log2(largest):.1f}: expected less than 2^24; "
            "use smaller weights, or a larger shift earlier"
        )


def _need_image(extent: Extent) -> None:
    if not extent.is_image():
        raise OutOfBounds("expected the bytes of an image: it must be the first operation")


def _times(height: int, width: int) -> str:
    return f"{height} × {width}"
