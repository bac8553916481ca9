"""Warped copies of images, the same bytes everywhere: hashed integers instead of a generator, fixed point throughout.

A copy is rotated (up to 10°), scaled and sheared (up to a tenth), shifted (up to a pixel), and bent by a smooth random
field (0.7 pixels, root mean square). Positions are in 1/256 of a pixel, the matrix in 1/4096.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.kernels import gaussians
from mnist_cli.maps.permutation import mixed

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_TURN, _SCALE, _SHEAR, _SHIFT = 711, 410, 410, 256  # sin 10° and a tenth in 1/4096, a pixel in 1/256
_FIELD_EVERY, _FIELD_SIGMA, _FIELD_RANGE, _FIELD_SUMMANDS = 5, 3, 512, 4
_FIELD_PIXELS = 0.7
_GOLDEN = np.uint32(0x9E3779B9)


def warped(
    images: Bytes, positions: npt.NDArray[np.int64], copy: int, *, seed: int = 0, strength: float = 1.0
) -> Bytes:
    """Return a warped copy of each image; it depends only on image, position, copy, seed and strength.

    Args:
        images: uint8 [n, height, width].
        positions: [n], the images' positions in their split.
        copy: 1 to `maps.MOST_COPIES`.
        seed: below 2^63.
        strength: 1 for the ranges above, 0 for none.

    Returns:
        uint8 [n, height, width].
    """
    _, height, width = images.shape
    keys = mixed(positions.astype(np.uint32) * np.uint32(64) + np.uint32(copy) + _offset(seed))

    def drawn(stream: int, largest: int) -> Integers:
        return _uniform(keys, np.array([stream]), math.floor(largest * strength + 0.5))[:, :, np.newaxis]

    sine, by_y, by_x = drawn(0, _TURN), 4096 + drawn(1, _SCALE), 4096 + drawn(2, _SCALE)
    slant, shift_y, shift_x = drawn(3, _SHEAR), drawn(4, _SHIFT), drawn(5, _SHIFT)
    cosine = np.floor(np.sqrt((1 << 24) - sine * sine) + 0.5).astype(np.int64)
    moved = _field(keys, height, width, strength)
    # Twice the distance from the middle, so that it is whole.
    y = (2 * np.arange(height) - (height - 1))[:, np.newaxis]
    x = (2 * np.arange(width) - (width - 1))[np.newaxis, :]
    rows = _shifted(_shifted(by_y * cosine, 12) * y + _shifted(by_y * sine, 12) * x, 5)
    columns = _shifted(_shifted(by_x * cosine, 12) * x + (slant - _shifted(by_x * sine, 12)) * y, 5)
    return _sampled(
        images,
        rows + shift_y + (height - 1) * 128 + moved[:, 0],
        columns + shift_x + (width - 1) * 128 + moved[:, 1],
    )


def _offset(seed: int) -> np.uint32:
    """Return the number that a seed adds to all keys; 0 for seed 0."""
    low, high = (np.array([word], np.uint32) for word in (seed & 0xFFFFFFFF, seed >> 32))
    return np.uint32(mixed(low + mixed(high))[0])


def _uniform(keys: npt.NDArray[np.uint32], streams: npt.NDArray[np.int64], largest: int) -> Integers:
    """Return whole numbers from −largest to largest, int64 [n, streams]."""
    hashed = mixed(keys[:, np.newaxis] + _GOLDEN * mixed(streams.astype(np.uint32) + np.uint32(1)))
    return (hashed.astype(np.int64) * (2 * largest + 1) >> 32) - largest


def _field(keys: npt.NDArray[np.uint32], height: int, width: int, strength: float) -> Integers:
    """Return how far each point moves in y and x, int64 [n, 2, height, width], in 1/256 of a pixel."""
    across, down = (gaussians(side, _FIELD_SIGMA, _FIELD_EVERY, _knots(side)) for side in (width, height))
    cells = 2 * len(down) * len(across)
    streams = [100 + cells * index + np.arange(cells) for index in range(_FIELD_SUMMANDS)]
    drawn = np.stack([_uniform(keys, each, _FIELD_RANGE) for each in streams])
    knots = drawn.sum(axis=0).reshape(-1, 2, len(down), len(across))
    # One constant instead of each field's own spread: the spread of a sum of uniform numbers after both windows.
    spread = math.sqrt(_FIELD_SUMMANDS * _FIELD_RANGE * (_FIELD_RANGE + 1) / 3)
    windows = math.sqrt(int((down * down).sum()) * int((across * across).sum()) / (height * width))
    gain = math.floor(_FIELD_PIXELS * 256 * 2**16 / spread / windows + 0.5)
    return _shifted(down.T @ knots @ across * math.floor(gain * strength + 0.5), 16)


def _knots(side: int) -> int:
    """Return the number of knots along a side; they extend beyond both ends."""
    return -(-(side - 1) // _FIELD_EVERY) + 1


def _sampled(images: Bytes, rows: Integers, columns: Integers) -> Bytes:
    """Return the images at positions in 1/256 of a pixel, bilinear; zeros beyond the edge."""
    count, height, width = images.shape
    rows = np.clip(rows, -256, height * 256) + 256
    columns = np.clip(columns, -256, width * 256) + 256
    stride = width + 3
    padded = np.zeros((count, height + 3, stride), np.int64)
    padded[:, 1 : height + 1, 1 : width + 1] = images
    flat = padded.ravel()
    first = (np.arange(count) * (height + 3) * stride)[:, np.newaxis, np.newaxis]
    at = first + (rows >> 8) * stride + (columns >> 8)
    low, right = rows & 255, columns & 255
    upper = flat[at] * (256 - right) + flat[at + 1] * right
    lower = flat[at + stride] * (256 - right) + flat[at + stride + 1] * right
    return _shifted(upper * (256 - low) + lower * low, 16).astype(np.uint8)


def _shifted(values: Integers, shift: int) -> Integers:
    return (values + (1 << shift >> 1)) >> shift
