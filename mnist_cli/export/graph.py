"""The model as a graph of tensor operations, written once for ONNX, SavedModel and LiteRT.

All values of a map are whole numbers below 2^24, so float32 holds them, and any library's convolutions and products
give the same values. A state is [n · earlier, M, height, width]: as in `maps/ops.py`, but map by map. Only deskew's
moments are larger, up to 2^53; `Backend.wide` converts to a type that holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.model import Model
from mnist_cli.maps.ops import Cat, Conv, Deskew, Extent, Modulus, Op, Pool, Program, Relu2, Shrink

# A tensor of a backend; it supports +, −, × and / with tensors and numbers of its type.
Tensor: TypeAlias = Any
Array: TypeAlias = npt.NDArray[Any]


class Backend(Protocol):
    """The operations of one library; tensors are float32 unless stated otherwise, or wide: see `wide`."""

    def conv(self, maps: Tensor, kernels: Array) -> Tensor:
        """Return [N, K, h, w] from maps [N, 1, h, w] and kernels float32 [K, k, k], with zeros beyond the edge."""

    def matmul(self, left: Tensor, right: Array) -> Tensor:
        """Return [..., b] from [..., a] and float32 [a, b]."""

    def turned(self, values: Tensor) -> Tensor:
        """Swap the last two of four dimensions."""

    def floor(self, values: Tensor) -> Tensor:
        """Round down; also takes wide tensors that are not whole numbers yet."""

    def sqrt(self, values: Tensor) -> Tensor:
        """Return the square root."""

    def clip(self, values: Tensor, low: float, high: float) -> Tensor:
        """Clip the values to bounds; also takes wide tensors."""

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Concatenate tensors."""

    def part(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Return `start` to `stop` - 1 of the second dimension."""

    def reshape(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the values in another shape; one size may be −1."""

    def padded(self, values: Tensor, before: int, after: int) -> Tensor:
        """Pad the last two of three dimensions with zeros."""

    def total(self, values: Tensor) -> Tensor:
        """Return the sums [n, 1] of a wide tensor [n, m]."""

    def wide(self, values: Tensor | Array) -> Tensor:
        """Convert float32 whole numbers to a type that holds sums up to 2^53."""

    def quotient(self, over: Tensor, under: Tensor, bits: int) -> Tensor:
        """Return ⌊over / under · 2^bits + ½⌋ of wide tensors, as float32; under ≥ 1."""

    def gather(self, flat: Tensor, places: Tensor) -> Tensor:
        """Return [n, m]: from each row of flat [n, P], the values at float32 places [n, m]."""


def rows(backend: Backend, model: Model, images: Tensor) -> Tensor:
    """Return the features of float32 images [n, h, w] as whole numbers from 0 to 255, float32 [n, D]."""
    height, width = model.shape
    feature_map = model.feature_map
    if feature_map is None:
        return backend.reshape(images, (-1, height * width))
    state = backend.reshape(images, (-1, 1, height, width))
    parts = _features(backend, feature_map.program, state, Extent(height, width))
    features = backend.concat(parts, 1) if len(parts) > 1 else parts[0]
    quantiser = feature_map.quantiser
    shifted = features * _float(quantiser.factors) + _float(quantiser.offsets)
    return backend.clip(backend.floor(shifted * np.float32(2.0**-quantiser.shift)), 0, 255)


def _features(backend: Backend, program: Program, state: Tensor, extent: Extent) -> list[Tensor]:
    for op in program:
        if isinstance(op, Cat):
            return [part for inner in op.programs for part in _features(backend, inner, state, extent)]
        state = _apply(backend, op, state, extent)
        extent = op.bound(extent)
    return [backend.reshape(state, (-1, extent.features))]


def _apply(backend: Backend, op: Op, state: Tensor, extent: Extent) -> Tensor:
    match op:
        case Conv():
            maps = backend.reshape(state, (-1, 1, extent.height, extent.width))
            return _rounded(backend, backend.conv(maps, _float(op.kernels)), op.shift)
        case Relu2():
            most = float(extent.top)
            return backend.concat([backend.clip(side, 0, most) for side in (state, state * np.float32(-1))], 1)
        case Modulus():
            half = len(extent.largest) // 2
            re, im = backend.part(state, 0, half), backend.part(state, half, 2 * half)
            return backend.floor(backend.sqrt(re * re + im * im) + np.float32(0.5))
        case Pool():
            across = backend.turned(backend.matmul(state, _float(op.columns.T)))
            return _rounded(backend, backend.turned(backend.matmul(across, _float(op.rows.T))), op.shift)
        case Shrink():
            # A sum over boxes, and a quotient that float32 never rounds up to the next whole number.
            rows, columns = (_boxes(side, op.factor) for side in (extent.height, extent.width))
            sums = backend.turned(backend.matmul(backend.turned(backend.matmul(state, columns)), rows))
            area = op.factor**2
            return backend.floor((sums * np.float32(2) + np.float32(area)) / np.float32(2 * area))
        case Deskew():
            return _deskew(backend, op, state, extent)
        case _:
            raise NotImplementedError(op.name)


def _rounded(backend: Backend, values: Tensor, shift: int) -> Tensor:
    if not shift:
        return values
    return backend.floor(values * np.float32(2.0**-shift) + np.float32(0.5))


def _boxes(side: int, factor: int) -> Array:
    windows = np.zeros((side, -(-side // factor)), np.float32)
    windows[np.arange(side), np.arange(side) // factor] = 1
    return windows


def _deskew(backend: Backend, op: Deskew, state: Tensor, extent: Extent) -> Tensor:
    """Build the graph of `Deskew.apply`; positions and weights are whole numbers in float32, so they are exact."""
    height, width = extent.height, extent.width
    unit = 2**op.position
    images = backend.reshape(state, (-1, height, width))
    shear, centre_y, centre_x = _moments(backend, op, images, height, width)
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    y = backend.clip(centre_y + (rows * unit - (height - 1) / 2 * unit).astype(np.float32), -unit, height * unit)
    # If the shear is so large that float32 rounds the slide, everything leaves the image in any case.
    ratio = np.float32(2.0 ** -(op.shear + 1 - op.position))
    slide = backend.floor(shear * ((2 * rows - (height - 1)) * ratio) + np.float32(0.5))
    start = backend.reshape(centre_x + slide, (-1, height, 1))
    x = start + (columns * unit - (width - 1) / 2 * unit).astype(np.float32)
    x = backend.clip(x, -unit, width * unit)
    y = backend.reshape(y, (-1, height, 1)) + np.zeros((1, 1, width), np.float32)
    top, left = (backend.floor(each * np.float32(1 / unit)) for each in (y, x))
    low, right = y - top * np.float32(unit), x - left * np.float32(unit)
    stride = width + 3
    flat = backend.reshape(backend.padded(images, 1, 2), (-1, (height + 3) * stride))
    place = top * np.float32(stride) + left + np.float32(stride + 1)

    def at(offset: int) -> Tensor:
        places = backend.reshape(place + np.float32(offset), (-1, height * width))
        return backend.reshape(backend.gather(flat, places), (-1, height, width))

    before = at(0) * (low * np.float32(-1) + np.float32(unit)) + at(stride) * low
    after = at(1) * (low * np.float32(-1) + np.float32(unit)) + at(stride + 1) * low
    mixed = before * (right * np.float32(-1) + np.float32(unit)) + after * right
    return backend.reshape(_rounded(backend, mixed, 2 * op.position), (-1, 1, height, width))


def _moments(backend: Backend, op: Deskew, images: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return shear, and centre of mass by row and by column, float32 [n, 1], on their grids."""
    rows = backend.wide(np.arange(height, dtype=np.float32))
    columns = np.stack([np.ones(width, np.float32), np.arange(width, dtype=np.float32)], axis=1)
    sums = backend.matmul(images, columns)  # [n, h, 2], below 2^24
    sums = backend.reshape(backend.turned(backend.reshape(sums, (-1, 1, height, 2))), (-1, 2 * height))
    by_row = backend.wide(backend.part(sums, 0, height))
    by_row_x = backend.wide(backend.part(sums, height, 2 * height))
    mass = backend.clip(backend.total(by_row), 1, 255.0 * height * width)
    sum_x, sum_y = backend.total(by_row_x), backend.total(by_row * rows)
    sum_xy, sum_yy = backend.total(by_row_x * rows), backend.total(by_row * (rows * rows))
    variance = backend.clip(mass * sum_yy - sum_y * sum_y, 1, 2.0**53)
    return (
        backend.quotient(mass * sum_xy - sum_x * sum_y, variance, op.shear),
        backend.quotient(sum_y, mass, op.position),
        backend.quotient(sum_x, mass, op.position),
    )


def _float(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
