"""The softmax in whole numbers: without exp or ln at run time, so with the same bits on every machine.

    q                                         uint8, a stored row; x = (q − zero) / step
    V, b                                      integers in float64; W = V · 2^-24
    Z = q V − zero Σ V + step b               logits in units of 2^-24 / step: sums below 2^53, hence exact
    t = ⌊(max Z − Z) / (16 step) + ½⌋         distances in units of 2^-20
    E = A[t ≫ 16] B[t ≫ 8 & 255] C[t & 255]   exp(−t) · 2^24, rounded after each product; t is cut at 2^24 − 1
    loss = t[label] + ln ΣE                   in units of 2^-20; the logarithm is interpolated in a table

The tables are data, `softmax.json`: A, B, C = exp(−i · 2^-4 | 2^-12 | 2^-20) · 2^24 for i from 0 to 255, and
ln = ln(1 + i/1024) · 2^28 for i from 0 to 1024, each rounded. docs/reproducibility.md proves the bounds.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

UNIT = 2.0**-24  # of W and b
LOSS_UNIT = 2.0**-20
# Below this, float64 holds every whole number.
EXACT = 2.0**53
_TABLES = Path(__file__).with_name("softmax.json")
_DIGEST = "a51e2335828172b6bc910e5f1a71721ecfa66e0b5492078163f5eca8c40cd037"
_LAST = 2.0**24 - 1

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """The tables in the form that the computation uses.

    Attributes:
        high: float64 [65,536], the rounded A B · 2^-24 at t ≫ 8.
        low: float64 [256], C · 2^-24, so that high · low is E before its rounding.
        logarithms: int64 [1,025], in units of 2^-28.
    """

    high: Floats
    low: Floats
    logarithms: Integers


@cache
def tables() -> Tables:
    """Return the tables; they are read and compared with their digest once."""
    a, b, c = (table.astype(np.float64) for table in powers())
    high = np.floor(np.outer(a, b).ravel() * UNIT + 0.5)
    return Tables(high, c * UNIT, np.array(_read()["ln"], np.int64))


def powers() -> tuple[Integers, Integers, Integers]:
    """Return A, B and C as in the file, int64 [256] each."""
    a, b, c = (np.array(_read()[name], np.int64) for name in "ABC")
    return a, b, c


@cache
def _read() -> dict[str, list[int]]:
    content = _TABLES.read_bytes()
    if hashlib.sha256(content).hexdigest() != _DIGEST:
        raise RuntimeError(f"{_TABLES.name} is not the file of this version; reinstall mnist-cli")
    read: dict[str, list[int]] = json.loads(content)
    return read


def largest(inputs: int) -> float:
    """Return the bound that |V| and |b| must stay below for the logits of D inputs to be exact."""
    return min(2.0**31, EXACT / (255 * inputs))


def logits(rows: Floats, weights: Floats, bias: Floats, zero: int, step: int) -> Floats:
    """Return Z, float64 [n, K].

    Args:
        rows: q as float64 [n, D].
        weights: V [D, K].
        bias: [K], on the grid of V.
        zero, step: of x = (q − zero) / step.
    """
    constants = step * bias - zero * weights.sum(axis=0)
    result: Floats = rows @ weights + constants
    return result


def losses(scores: Floats, labels: npt.NDArray[np.intp], step: int) -> Integers:
    """Return −ln softmax of the label of each example, in units of 2^-20.

    Args:
        scores: Z, float64 [n, K].
        labels: [n], below K.
        step: of x.

    Returns:
        int64 [n].
    """
    distances = np.floor((scores.max(axis=1, keepdims=True) - scores) / (16 * step) + 0.5)
    cut = np.minimum(distances, _LAST).astype(np.int64)
    high, low, _ = tables()
    sums = np.floor(high[cut >> 8] * low[cut & 255] + 0.5).sum(axis=1)
    result: Integers = distances[np.arange(len(labels)), labels].astype(np.int64) + logarithms(sums)
    return result


def logarithms(sums: Floats) -> Integers:
    """Return ln(s · 2^-24) in units of 2^-20 for each whole number s from 2^24 to 2^33 − 1.

    The exponent of a float64 and its first ten binary places select a pair of entries; the other 22 places, which are
    all that remain, interpolate between them.
    """
    bits = sums.view(np.int64)
    exponents, places, rest = (bits >> 52) - 1047, bits >> 42 & 1023, bits >> 20 & 0x3FFFFF
    table = tables().logarithms
    lower = table[places]
    exact = ((exponents * table[-1] + lower) << 22) + (table[places + 1] - lower) * rest
    result: Integers = (exact + (1 << 29)) >> 30
    return result
