"""The exact training once more, from its contract (docs/reproducibility.md), with nothing of the code under test.

Matrix products are NumPy's, of whole numbers in float64; all else is in int64, or in Python's integers where those are
too short. The tables are made from `math`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

WORD = 0xFFFFFFFF
TABLES = [[round(math.exp(-index * unit) * 2**24) for index in range(256)] for unit in (2**-4, 2**-12, 2**-20)]
LOGARITHMS = [round(math.log(1 + index / 1024) * 2**28) for index in range(1025)]


def mix(word: int) -> int:
    word ^= word >> 16
    word = word * 0x7FEB352D & WORD
    word ^= word >> 15
    word = word * 0x846CA68B & WORD
    return word ^ word >> 16


def row(seed: int, epoch: int, position: int, count: int) -> int:
    """Return the row at a position of an epoch, one at a time."""
    state, keys = 0, []
    for word in (seed & WORD, seed >> 32, epoch & WORD, epoch >> 32):
        state = mix((state * 31 + word + 0x9E3779B9) & WORD)
    for number in range(8):
        state = mix(state + (number + 1) * 0x9E3779B9 & WORD)
        keys.append(state)
    half = 1
    while 4**half < count:
        half += 1
    value = position
    while True:
        left, right = value >> half, value & (1 << half) - 1
        for key in keys:
            left, right = right, left ^ mix((right + key) & WORD) & (1 << half) - 1
        value = left << half | right
        if value < count:
            return value


def batches(seed: int, count: int, batch: int, steps: int) -> Array:
    """Return the rows of each step, int64 [steps, batch]."""
    positions = range(steps * batch)
    return np.array([row(seed, p // count, p % count, count) for p in positions], np.int64).reshape(steps, batch)


def factor(value: Fraction) -> tuple[int, int]:
    """Return K and s with value ≈ K · 2^-s and 2^20 ≤ K < 2^21; K = 0 for 0."""
    if value == 0:
        return 0, 1
    shift = 0
    while value * Fraction(2) ** shift < 2**20:
        shift += 1
    while value * Fraction(2) ** shift >= 2**21:
        shift -= 1
    return math.floor(value * Fraction(2) ** shift + Fraction(1, 2)), shift


def scaled(values: Array, by: tuple[int, int], extra: int = 0) -> Array:
    """Return ⌊v · K · 2^(extra − s) + ½⌋."""
    times, shift = by[0], by[1] - extra
    if shift <= 0:
        return values * (times << -shift)
    if shift > 62:  # of numbers below 2^32 nothing is left
        return np.zeros_like(values)
    result: Array = (values * times + (1 << shift >> 1)) >> shift
    return result


def scaled_in_parts(values: Array, by: tuple[int, int]) -> Array:
    """Return the product of long numbers: of the part above 2^22 and of the rest, each rounded by itself."""
    long = values.astype(object)
    high = long >> 22
    result: Array = (scaled(high, by, 22) + scaled(long - (high << 22), by)).astype(np.int64)
    return result


def logarithm(total: int) -> int:
    """Return ln(total · 2^-24) in units of 2^-20."""
    exponent: int = total.bit_length() - 1
    rest = (total << (52 - exponent)) - (1 << 52)
    index, between = rest >> 42, (rest >> 20) & 2**22 - 1
    low, next_one = LOGARITHMS[index], LOGARITHMS[index + 1]
    result: int = (((exponent - 24) * LOGARITHMS[-1] + low << 22) + (next_one - low) * between + 2**29) >> 30
    return result


def scores(rows: Bytes, weights: Array, bias: Array, zero: int = 0, step: int = 255) -> Array:
    product = rows.astype(np.float64) @ weights.astype(np.float64)
    result: Array = product.astype(np.int64) - zero * weights.sum(axis=0) + step * bias
    return result


def losses_and_errors(z: Array, labels: Array, step: int = 255) -> tuple[list[int], Array]:
    """Return each example's loss, and softmax − one-hot, int64 [n, K], in units of 2^-20."""
    below = z.max(axis=1, keepdims=True) - z
    distances = (2 * below + 16 * step) // (32 * step)  # ⌊d / (16 step) + ½⌋
    cut = np.minimum(distances, 2**24 - 1)
    a, b, c = (np.array(table, np.int64) for table in TABLES)
    powers = (((a[cut >> 16] * b[cut >> 8 & 255] + 2**23) >> 24) * c[cut & 255] + 2**23) >> 24
    sums = powers.sum(axis=1, keepdims=True)
    errors = (2 * (powers << 20) + sums) // (2 * sums)
    places = np.arange(len(labels))
    errors[places, labels] -= 2**20
    logarithms = [logarithm(total) for total in sums[:, 0].tolist()]
    return [int(t) + ln for t, ln in zip(distances[places, labels], logarithms, strict=True)], errors


@dataclass
class Trained:
    weights: Array
    bias: Array
    losses: list[int]
    average: tuple[Array, Array] | None = None

    @property
    def digest(self) -> str:
        """The digest of the published model."""
        weights, bias = (array.astype("<f8") / 2**24 for array in (self.average or (self.weights, self.bias)))
        return hashlib.sha256(np.ascontiguousarray(weights).tobytes() + bias.tobytes()).hexdigest()


def train(
    pixels: Bytes,
    labels: Bytes,
    *,
    steps: int,
    batch: int,
    seed: int,
    rate: Fraction | Callable[[int], Fraction] = Fraction(1, 2),
    classes: int = 10,
    zero: int = 0,
    step: int = 255,
    l2: Fraction = Fraction(0),
    weight_decay: Fraction = Fraction(0),
    momentum: Fraction | None = None,
    nesterov: bool = False,
    ema: Fraction | None = None,
    workers: int = 1,
    order: Callable[[int, int, int, int], Array] = batches,
) -> Trained:
    """Train as the contract says; the sums of a step are those of the workers, its rows those of `order`."""
    weights, bias = np.zeros((pixels.shape[1], classes), np.int64), np.zeros(classes, np.int64)
    velocities: list[Array] = [np.zeros_like(weights), np.zeros_like(bias)]
    averages: list[Array] = [np.zeros_like(weights), np.zeros_like(bias)]
    losses = []
    for done, rows in enumerate(order(seed, len(labels), batch, steps)):
        total, by_weights, by_bias = 0, np.zeros_like(weights), np.zeros_like(bias)
        for part in np.array_split(rows, workers):
            q, truth = pixels[part], labels[part].astype(np.int64)
            of_each, errors = losses_and_errors(scores(q, weights, bias, zero, step), truth, step)
            total += sum(of_each)
            by_bias += errors.sum(axis=0)
            products = q.astype(np.float64).T @ errors.astype(np.float64)
            by_weights += products.astype(np.int64) - zero * errors.sum(axis=0)
        losses.append(total)
        means = [(2 * 16 * sums + batch) // (2 * batch) for sums in (by_weights, by_bias)]
        now = rate(done) if callable(rate) else rate
        factors = [factor(now / step), factor(now)]
        penalty, decay = factor(now * 2 * l2), factor(now * weight_decay)
        old = [weights, bias]
        new = []
        for index, (value, mean) in enumerate(zip(old, means, strict=True)):
            shrunk = value - scaled(value, decay) if index == 0 else value
            if momentum is None:
                changed = shrunk - scaled(mean, factors[index])
                new.append(changed - scaled(value, penalty) if index == 0 else changed)
                continue
            push = scaled(mean.astype(object), factors[index], 16)
            if index == 0:
                push = push + scaled(value.astype(object), penalty, 16)
            push = push.astype(np.int64)
            friction = factor(1 - momentum)
            velocity = velocities[index] - scaled_in_parts(velocities[index], friction) - push
            velocities[index] = velocity
            move = velocity - scaled_in_parts(velocity, friction) - push if nesterov else velocity
            new.append(shrunk + ((move + 2**15) >> 16))
        weights, bias = new
        if ema is not None:
            share = factor(Fraction(1) if done == 0 else 1 - ema)
            averages = [
                average + scaled_in_parts((value << 16) - average, share)
                for average, value in zip(averages, new, strict=True)
            ]
    rounded = [(average + 2**15) >> 16 for average in averages]
    return Trained(weights, bias, losses, (rounded[0], rounded[1]) if ema is not None else None)
