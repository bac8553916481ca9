"""Feature maps once more, in plain whole numbers: loops over kernel taps, no floating point and no matrix library.

They share the package's data, the YAML files of the maps and `kernels.json`, and none of its code. Where the contract
rounds a root or a quotient to float64, `double` does so with fractions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from tests.support import ROOT

Array = npt.NDArray[np.int64]
DATA = ROOT / "mnist_cli" / "maps"
TABLES = json.loads((DATA / "kernels.json").read_text(encoding="utf-8"))
HALF = Fraction(1, 2)


def described(name: str, *, deskew: bool = False) -> list[Any]:
    """Return the operations of a map that the package brings."""
    program: list[Any] = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))["program"]
    return ["deskew", *program] if deskew else program


# How float64 rounds.


def double(value: Fraction) -> Fraction:
    """Return the float64 that is nearest; of two, the even one."""
    if not value:
        return value
    bits = abs(value.numerator).bit_length() - value.denominator.bit_length()
    unit = Fraction(2) ** (bits - 53)
    if abs(value) / unit >= 2**53:
        unit *= 2
    return round(value / unit) * unit


def root(whole: int) -> Fraction:
    """Return the float64 that is nearest to the root of a whole number."""
    shift = 128
    low = math.isqrt(whole << shift)
    exact = low * low == whole << shift
    return double(Fraction(2 * low + (not exact), 2 << shift // 2))


def half_up(value: Fraction) -> int:
    """Return ⌊v + ½⌋ as float64 computes it."""
    return math.floor(double(double(value) + HALF))


def rounded(values: Any, shift: int) -> Any:
    return (values + (1 << shift >> 1)) >> shift


def nearest_root(whole: int) -> int:
    low = math.isqrt(whole)
    return low + (whole - low * low > low)


# Operations.


@dataclass
class State:
    """Values int64 [n, earlier maps, maps, height, width], and what each map's absolute values stay at or below."""

    values: Array
    largest: list[int] = field(default_factory=lambda: [255])
    signed: bool = False


def features(program: Sequence[Any], images: npt.NDArray[np.uint8]) -> tuple[Array, list[int]]:
    """Return the features of uint8 [n, height, width], int64 [n, D], and the bound of each, D of them."""
    return run(program, State(images.astype(np.int64)[:, np.newaxis, np.newaxis]))


def run(program: Sequence[Any], state: State) -> tuple[Array, list[int]]:
    for op in program:
        name, values = (op, {}) if isinstance(op, str) else next(iter(op.items()))
        if name == "cat":
            parts = [run(inner, state) for inner in values]
            return np.concatenate([part for part, _ in parts], axis=1), [bound for _, part in parts for bound in part]
        state = OPS[name](state, values)
    rows = state.values.reshape(len(state.values), -1)
    return rows, [max(state.largest)] * rows.shape[1]


def shrink(state: State, factor: int) -> State:
    images = state.values[:, 0, 0]
    count, height, width = images.shape
    small = np.zeros((count, -(-height // factor), -(-width // factor)), np.int64)
    for y in range(height):
        for x in range(width):
            small[:, y // factor, x // factor] += images[:, y, x]
    square = factor * factor
    return State(((2 * small + square) // (2 * square))[:, np.newaxis, np.newaxis])


def deskew(state: State, values: Any) -> State:
    position, shear = (values or {}).get("position", 6), (values or {}).get("shear", 10)
    made = [deskewed(image, position, shear) for image in state.values[:, 0, 0].tolist()]
    return State(np.array(made, np.int64)[:, np.newaxis, np.newaxis])


def deskewed(image: list[list[int]], position: int, shear: int) -> list[list[int]]:
    height, width, unit = len(image), len(image[0]), 1 << position
    points = [(y, x, image[y][x]) for y in range(height) for x in range(width)]
    mass = max(sum(p for _, _, p in points), 1)
    sum_y, sum_x = sum(y * p for y, _, p in points), sum(x * p for _, x, p in points)
    covariance = mass * sum(y * x * p for y, x, p in points) - sum_x * sum_y
    variance = max(mass * sum(y * y * p for y, _, p in points) - sum_y * sum_y, 1)
    slope = half_up(double(Fraction(covariance, variance)) * 2**shear)
    centre_y, centre_x = (half_up(double(Fraction(each, mass)) * unit) for each in (sum_y, sum_x))

    def at(y: int, x: int) -> int:
        return image[y][x] if 0 <= y < height and 0 <= x < width else 0

    result = []
    for row in range(height):
        y = row * unit + math.floor(centre_y - Fraction(height - 1, 2) * unit)
        y = min(max(y, -unit), height * unit)
        slide = math.floor(Fraction(slope * (2 * row - (height - 1)) << position, 2 << shear) + HALF)
        line = []
        for column in range(width):
            x = column * unit + slide + math.floor(centre_x - Fraction(width - 1, 2) * unit)
            x = min(max(x, -unit), width * unit)
            (top, low), (left, right) = divmod(y, unit), divmod(x, unit)
            upper = at(top, left) * (unit - low) + at(top + 1, left) * low
            lower = at(top, left + 1) * (unit - low) + at(top + 1, left + 1) * low
            line.append(rounded(upper * (unit - right) + lower * right, 2 * position))
        result.append(line)
    return result


def conv(state: State, values: dict[str, Any]) -> State:
    given, shift = values["kernels"], values["shift"]
    kernels = TABLES["kernels"][given] if isinstance(given, str) else given
    count, earlier, maps, height, width = state.values.shape
    radius = len(kernels[0]) // 2
    around = ((0, 0),) * 3 + ((radius, radius),) * 2
    padded = np.pad(state.values, around)
    result = np.zeros((count, earlier, maps, len(kernels), height, width), np.int64)
    for number, kernel in enumerate(kernels):
        for i, row in enumerate(kernel):
            for j, tap in enumerate(row):
                result[:, :, :, number] += tap * padded[..., i : i + height, j : j + width]
    positive = [sum(tap for row in kernel for tap in row if tap > 0) for kernel in kernels]
    negative = [-sum(tap for row in kernel for tap in row if tap < 0) for kernel in kernels]
    top = max(state.largest)
    sums = [top * (p + n if state.signed else max(p, n)) for p, n in zip(positive, negative, strict=True)]
    shaped = result.reshape(count, earlier * maps, len(kernels), height, width)
    return State(rounded(shaped, shift), [rounded(each, shift) for each in sums], signed=True)


def relu2(state: State, _values: Any) -> State:
    positive, negative = np.where(state.values > 0, state.values, 0), np.where(state.values < 0, -state.values, 0)
    return State(np.concatenate([positive, negative], axis=2), state.largest * 2)


def modulus(state: State, _values: Any) -> State:
    half = state.values.shape[2] // 2
    squares = state.values[:, :, :half] ** 2 + state.values[:, :, half:] ** 2
    different, places = np.unique(squares, return_inverse=True)
    roots = np.array([nearest_root(int(each)) for each in different], np.int64)
    bounds = [nearest_root(re**2 + im**2) for re, im in zip(state.largest[:half], state.largest[half:], strict=True)]
    return State(roots[places.reshape(squares.shape)], bounds)


def pool(state: State, values: dict[str, Any]) -> State:
    height, width = state.values.shape[-2:]
    rows, columns = windows(values, "rows", height), windows(values, "columns", width)
    down = np.zeros((*state.values.shape[:3], len(rows), width), np.int64)
    for number, window in enumerate(rows):
        for y, weight in enumerate(window):
            down[..., number, :] += weight * state.values[..., y, :]
    result = np.zeros((*state.values.shape[:3], len(rows), len(columns)), np.int64)
    for number, window in enumerate(columns):
        for x, weight in enumerate(window):
            result[..., number] += weight * down[..., x]
    weight = max(map(sum, rows)) * max(map(sum, columns))
    bounds = [rounded(each * weight, values["shift"]) for each in state.largest]
    return State(rounded(result, values["shift"]), bounds, state.signed)


def windows(values: dict[str, Any], axis: str, side: int) -> list[list[int]]:
    if "box" in values:
        size = values["box"]
        return [[int(first <= at < first + size) for at in range(side)] for first in range(0, side, size)]
    if "gauss" in values:
        count = -(-side // values["every"])
        return gaussians(side, values["gauss"], values["every"], count)
    given: list[list[int]] = values[axis]
    return given


def gaussians(side: int, sigma: int, every: int, count: int) -> list[list[int]]:
    table = TABLES["gaussians"][str(sigma)]
    middle, centre = Fraction(side - 1, 2), Fraction(count - 1, 2)
    distances = [[abs(at - middle - (number - centre) * every) * 2 for at in range(side)] for number in range(count)]
    return [[table[int(each)] if each < len(table) else 0 for each in row] for row in distances]


OPS: dict[str, Callable[[State, Any], State]] = {
    "shrink": shrink,
    "deskew": deskew,
    "conv": conv,
    "relu2": relu2,
    "modulus": modulus,
    "pool": pool,
}


# To bytes.


@dataclass
class Quantiser:
    factors: list[int]
    offsets: list[int]
    shift: int

    def __call__(self, rows: Array) -> Array:
        factors, offsets = np.array(self.factors, object), np.array(self.offsets, object)
        result: Array = np.clip((rows.astype(object) * factors + offsets) >> self.shift, 0, 255).astype(np.int64)
        return result


def fit_quantiser(rows: Array, largest: Sequence[int]) -> Quantiser:
    columns = rows.T.tolist()
    count = len(rows)
    sums = [sum(column) for column in columns]
    variances = [
        count * sum(value * value for value in column) - total * total
        for column, total in zip(columns, sums, strict=True)
    ]
    spreads = [half_up(double(root(variance) * 16 / count)) for variance in variances]
    tenth = double(Fraction(sum(spreads), 10 * len(spreads)))
    spreads = [max(1, half_up(spread + tenth)) for spread in spreads]
    for shift in range(24, -1, -1):
        factors = [half_up(Fraction(32 * 16 << shift, spread)) for spread in spreads]
        means = [half_up(Fraction(factor * total, count)) for factor, total in zip(factors, sums, strict=True)]
        offsets = [(80 << shift) + (1 << shift >> 1) - mean for mean in means]
        reached = max(f * top + abs(o) for f, top, o in zip(factors, largest, offsets, strict=True))
        if reached < 2**24:
            return Quantiser(factors, offsets, shift)
    raise AssertionError("no shift is exact")
