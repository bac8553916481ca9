"""Warped copies and the layer of exemplars once more, number by number in plain whole numbers; see plain_maps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tests.support.exact import WORD, mix
from tests.support.plain_maps import HALF, Array, double, gaussians, half_up, root, rounded

Matrix = list[list[int]]

# Warped copies.


def warped(image: Matrix, position: int, copy: int, seed: int = 0, strength: Fraction = Fraction(1)) -> Matrix:
    """Return a warped copy of one image, point by point."""
    height, width = len(image), len(image[0])
    more = mix((seed & WORD) + mix(seed >> 32) & WORD)
    key = mix(position * 64 + copy + more & WORD)

    def drawn(stream: int, largest: int) -> int:
        return uniform(key, stream, math.floor(largest * strength + HALF))

    sine, by_y, by_x = drawn(0, 711), 4096 + drawn(1, 410), 4096 + drawn(2, 410)
    slant, shift_y, shift_x = drawn(3, 410), drawn(4, 256), drawn(5, 256)
    cosine = math.floor(root((1 << 24) - sine * sine) + HALF)
    field = displaced(key, height, width, strength)

    def at(y: int, x: int) -> int:
        return image[y][x] if 0 <= y < height and 0 <= x < width else 0

    result = []
    for row in range(height):
        line = []
        for column in range(width):
            y, x = 2 * row - (height - 1), 2 * column - (width - 1)
            from_y = rounded(rounded(by_y * cosine, 12) * y + rounded(by_y * sine, 12) * x, 5)
            from_x = rounded(rounded(by_x * cosine, 12) * x + (slant - rounded(by_x * sine, 12)) * y, 5)
            from_y += shift_y + 128 * (height - 1) + field[0][row][column]
            from_x += shift_x + 128 * (width - 1) + field[1][row][column]
            (top, low), (left, right) = (
                divmod(min(max(place, -256), 256 * side), 256) for place, side in ((from_y, height), (from_x, width))
            )
            upper = at(top, left) * (256 - right) + at(top, left + 1) * right
            lower = at(top + 1, left) * (256 - right) + at(top + 1, left + 1) * right
            line.append(rounded(upper * (256 - low) + lower * low, 16))
        result.append(line)
    return result


def uniform(key: int, stream: int, largest: int) -> int:
    hashed = mix(key + 0x9E3779B9 * mix(stream + 1) & WORD)
    return (hashed * (2 * largest + 1) >> 32) - largest


def displaced(key: int, height: int, width: int, strength: Fraction) -> list[Matrix]:
    knots = [math.ceil(Fraction(side - 1, 5)) + 1 for side in (height, width)]
    down, across = (gaussians(side, 3, 5, count) for side, count in zip((height, width), knots, strict=True))
    cells = 2 * knots[0] * knots[1]
    spread = math.sqrt(4 * 512 * 513 / 3)
    squares = [sum(weight * weight for window in windows for weight in window) for windows in (down, across)]
    gain = math.floor(0.7 * 256 * 2**16 / spread / math.sqrt(squares[0] * squares[1] / (height * width)) + 0.5)
    gain = math.floor(gain * strength + HALF)
    fields = []
    for axis in (0, 1):
        drawn = [
            [
                sum(uniform(key, 100 + cells * each + (axis * knots[0] + y) * knots[1] + x, 512) for each in range(4))
                for x in range(knots[1])
            ]
            for y in range(knots[0])
        ]
        part = [[sum(across[k][x] * line[k] for k in range(knots[1])) for x in range(width)] for line in drawn]
        fields.append(
            [
                [rounded(sum(down[k][y] * part[k][x] for k in range(knots[0])) * gain, 16) for x in range(width)]
                for y in range(height)
            ]
        )
    return fields


# Exemplars.


@dataclass
class Layer:
    projection: Matrix
    centre: list[int]
    shift: int


def columns(matrix: Iterable[list[int]]) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def product(one: Matrix, other: Matrix) -> Matrix:
    turned = columns(other)
    return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in turned] for row in one]


def fitted(matrix: Matrix, bits: int) -> Matrix:
    shift = max(0, max(abs(value) for row in matrix for value in row).bit_length() - bits)
    return [[rounded(value, shift) for value in row] for row in matrix]


def unit(vector: list[int], square: int, bits: int) -> list[int]:
    length = root(max(square, 1))
    return [half_up(double(value * 2**bits / length)) for value in vector]


def dot(one: Iterable[int], other: Iterable[int]) -> int:
    return sum(a * b for a, b in zip(one, other, strict=True))


def orthonormal(matrix: Matrix, bits: int = 18) -> Matrix:
    done: Matrix = []
    for column in columns(fitted(matrix, bits)):
        vector = column
        for _ in range(2):
            parts = [rounded(dot(earlier, vector), bits) for earlier in done]
            inside = [rounded(dot(parts, each), bits) for each in columns(done)] if done else [0] * len(vector)
            vector = [a - b for a, b in zip(vector, inside, strict=True)]
            vector = unit(vector, dot(vector, vector), bits)
        done.append(vector)
    return columns(done)


def whitening(metric: Matrix, bits: int = 20) -> Matrix:
    done: Matrix = []

    def times(vector: list[int]) -> list[int]:
        return [rounded(dot(row, vector), bits) for row in metric]

    for place in range(len(metric)):
        vector = [2**bits if at == place else 0 for at in range(len(metric))]
        for _ in range(2):
            parts = [rounded(dot(earlier, times(vector)), bits) for earlier in done]
            inside = [rounded(dot(parts, each), bits) for each in columns(done)] if done else [0] * len(vector)
            vector = [a - b for a, b in zip(vector, inside, strict=True)]
            vector = unit(vector, dot(vector, times(vector)), bits)
        done.append(vector)
    return columns(done)


def start_of(inputs: int, directions: int, seed: int) -> Matrix:
    more = mix((seed & WORD) + mix(seed >> 32) & WORD)
    flat = [2 * (mix(number + more & WORD) >> 31) - 1 for number in range(inputs * directions)]
    return [flat[first : first + directions] for first in range(0, len(flat), directions)]


def fit_projection(rows: Matrix, start: Matrix) -> Layer:
    count, directions = len(rows), len(start[0])
    moved = [[value - 80 for value in row] for row in rows]
    means = [half_up(Fraction(16 * sum(column), count)) for column in columns(moved)]
    centred = [[16 * value - mean for value, mean in zip(row, means, strict=True)] for row in moved]
    basis = start
    for _ in range(3):
        basis = orthonormal(product(columns(centred), fitted(product(centred, basis), 16)))
    projected = fitted(product(centred, basis), 16)
    covariance = product(columns(projected), projected)
    scale = double(Fraction(directions << 20, sum(covariance[i][i] for i in range(directions))))
    metric = [[half_up(double(value * scale)) for value in row] for row in covariance]
    for place in range(directions):
        metric[place][place] += 314_572
    white = [[rounded(value, 10) for value in row] for row in product(basis, fitted(whitening(metric), 20))]
    white = fitted(white, 20)
    scale = double(Fraction(2**23, max(sum(map(abs, column)) for column in columns(white)) * 175))
    projection = [[half_up(double(value * scale)) for value in row] for row in white]
    centre = [math.floor(Fraction(dot(means, column), 16) + HALF) for column in columns(projection)]
    largest = max(
        abs(value - middle) for row in product(moved, projection) for value, middle in zip(row, centre, strict=True)
    )
    shift = max(0, largest.bit_length() - 12)
    reach = 175 * max(sum(map(abs, column)) for column in columns(projection)) + max(map(abs, centre))
    while directions * (rounded(reach, shift) + 1) ** 2 >= 2**53:
        shift += 1
    return Layer(projection, centre, shift)


def units(rows: Matrix, layer: Layer) -> Matrix:
    found = []
    for row in product([[value - 80 for value in row] for row in rows], layer.projection):
        white = [rounded(value - middle, layer.shift) for value, middle in zip(row, layer.centre, strict=True)]
        found.append(unit(white, dot(white, white), 11))
    return found


def nearness(rows: Matrix, layer: Layer, exemplars: Matrix) -> Matrix:
    """Return max(0, u·e − 0.1) of each row and each exemplar; exemplars are unit vectors, one a row."""
    return [[rounded(max(0, dot(one, each) - 419_430), 10) for each in exemplars] for one in units(rows, layer)]


def as_lists(array: Array) -> Matrix:
    result: Matrix = array.tolist()
    return result
