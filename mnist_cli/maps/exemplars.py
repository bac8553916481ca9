"""The layer of exemplars: the similarity of a row to each of several thousand training rows, fitted without labels.

    z = whitened row, 300 numbers; u = z / |z|; feature of exemplar e: max(0, u·e − 0.1)

No LAPACK: subspace iteration, Gram-Schmidt and whitening use exact products of whole numbers and round each result at
once, so the fit also has the same bits on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.ops import EXACT, Integers, OutOfBounds, State, rounded
from mnist_cli.maps.permutation import mixed, permuted
from mnist_cli.maps.quantising import ZERO, Quantiser

# The most rows for a fit, and the most features of a row: within both, all sums stay below 2^53.
FIT_ROWS, MOST_INPUTS = 8192, 4096
_UNIT_BITS = 11  # of a unit vector
_THRESHOLD = 419_430  # a tenth of 2^22, the square of one
_ROUNDS = 3  # of the subspace iteration
_RIDGE = 314_572  # 0.3 of 2^20, the mean variance

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exemplars:
    """The layer, fitted.

    Attributes:
        projection: P, int64 [D, p].
        centre: c, int64 [p].
        shift: of the projected rows.
        exemplars: E, int64 [p, M], unit vectors in 2^-11.
        quantiser: of the M features.
    """

    projection: Integers
    centre: Integers
    shift: int
    exemplars: Integers
    quantiser: Quantiser

    @property
    def largest(self) -> Integers:
        """int64 [M], the upper bound of each feature."""
        return np.full(self.exemplars.shape[1], 2**12, np.int64)

    def check(self) -> None:
        """Prove that all arithmetic is exact.

        Raises:
            OutOfBounds: it is not.
        """
        directions = self.projection.shape[1]
        if len(self.centre) != directions or len(self.exemplars) != directions:
            raise OutOfBounds(f"exemplars: expected {directions} directions in every part")
        reach = int(np.abs(self.projection).sum(axis=0).max()) * (255 - ZERO)
        if reach >= EXACT:
            raise OutOfBounds("exemplars: expected projections below 2^24")
        if directions * (_shifted_whole(reach + int(np.abs(self.centre).max()), self.shift) + 1) ** 2 >= 2**53:
            raise OutOfBounds("exemplars: expected squares of whitened rows below 2^53; they need a larger shift")
        # |u·e| ≤ |u| |e|, and |u| ≤ 2^11 + √p / 2 after rounding; less the threshold a feature stays below 2^12.
        lengths = np.sqrt((self.exemplars.astype(np.float64) ** 2).sum(axis=0).max())
        if lengths * (2**_UNIT_BITS + np.sqrt(directions)) >= 2 ** (2 * _UNIT_BITS) + _THRESHOLD:
            raise OutOfBounds("exemplars: expected vectors of length 2^11")
        self.quantiser.check(self.largest)

    def rows(self, rows: Bytes) -> Bytes:
        """Return the features of rows uint8 [n, D] as bytes, uint8 [n, M]."""
        return self.quantiser.bytes_of(self.features(rows))

    def features(self, rows: Bytes) -> State:
        """Return the same as float32 [n, M] of whole numbers up to 2^12."""
        projection, exemplars = self._floats
        units = _units(rows, projection, self.centre, self.shift).astype(np.float32)
        result = units @ exemplars
        result -= np.float32(_THRESHOLD)
        np.maximum(result, 0, out=result)
        return rounded(result, 10)

    @cached_property
    def _floats(self) -> tuple[State, State]:
        return self.projection.astype(np.float32), self.exemplars.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Projection:
    """The whitening projection, before exemplars are chosen; attributes as in `Exemplars`."""

    projection: Integers
    centre: Integers
    shift: int

    def exemplars_of(self, rows: Bytes) -> Integers:
        """Return unit vectors in 2^-11, int64 [p, n], of rows uint8 [n, D]."""
        units = _units(rows, self.projection.astype(np.float32), self.centre, self.shift)
        return np.ascontiguousarray(units.T).astype(np.int64)


def start_of(inputs: int, directions: int, seed: int) -> Floats:
    """Return the start of the subspace iteration, float64 [inputs, directions] of ±1, from a seed below 2^63."""
    low, high = (np.array([word], np.uint32) for word in (seed & 0xFFFFFFFF, seed >> 32))
    numbers = np.arange(inputs * directions, dtype=np.uint32) + mixed(low + mixed(high))
    return ((mixed(numbers) >> np.uint32(31)).astype(np.float64) * 2 - 1).reshape(inputs, directions)


def chosen_rows(count: int, wanted: int, seed: int) -> npt.NDArray[np.int64]:
    """Return which of `count` rows become exemplars, int64 [min(wanted, count)], from a seed below 2^63."""
    return permuted(seed, 1 << 32, np.arange(min(wanted, count)), count)


def fit_projection(rows: Bytes, start: Floats) -> Projection:
    """Return the projection to whitened principal directions.

    Args:
        rows: uint8 [n, D], n ≤ FIT_ROWS, D ≤ MOST_INPUTS.
        start: float64 [D, p] of ±1, p ≤ D and ≤ n.

    Raises:
        OutOfBounds: there are too many rows or features for exact sums, or all rows are the same.
    """
    count, inputs = rows.shape
    directions = start.shape[1]
    if count > FIT_ROWS or inputs > MOST_INPUTS:
        raise OutOfBounds(
            f"exemplars: expected at most {FIT_ROWS:,} rows of {MOST_INPUTS:,} features; "
            f"received {count:,} of {inputs:,}"
        )
    shifted = rows.astype(np.float64) - ZERO
    means = np.floor(16 * shifted.sum(axis=0) / count + 0.5)
    centred = 16 * shifted - means  # below 2^12
    basis = start
    for _ in range(_ROUNDS):
        basis = _orthonormal(centred.T @ _fitted(centred @ basis, 16))
    projected = _fitted(centred @ basis, 16)
    covariance = projected.T @ projected  # below 2^45
    trace = np.trace(covariance)
    if not trace:
        raise OutOfBounds("exemplars: expected rows that differ from each other")
    covariance = np.floor(covariance * (directions * 2.0**20 / trace) + 0.5) + np.eye(directions) * _RIDGE
    whitened = _fitted(_shifted(basis @ _fitted(_whitening(covariance), 20), 10), 20)
    reach = np.abs(whitened).sum(axis=0).max() * (255 - ZERO)
    projection = np.floor(whitened * (2.0**23 / reach) + 0.5)
    centre = np.floor((means @ projection) / 16 + 0.5)
    largest = np.abs(shifted @ projection - centre).max()
    shift = max(0, int(np.frexp(largest)[1]) - 12)
    # Other rows may reach further than these, up to 2^24: their squares must be exact too.
    reach = int(np.abs(projection).sum(axis=0).max()) * (255 - ZERO) + int(np.abs(centre).max())
    while directions * (_shifted_whole(reach, shift) + 1) ** 2 >= 2**53:
        shift += 1
    return Projection(projection.astype(np.int64), centre.astype(np.int64), shift)


def _units(rows: Bytes, projection: State, centre: Integers, shift: int) -> Floats:
    """Return whitened unit vectors, float64 [n, p] of whole numbers in 2^-11."""
    projected = ((rows.astype(np.float32) - np.float32(ZERO)) @ projection).astype(np.float64)
    whitened = _shifted(projected - centre, shift)
    squares = np.maximum((whitened * whitened).sum(axis=1), 1)
    result: Floats = np.floor(whitened * 2.0**_UNIT_BITS / np.sqrt(squares)[:, np.newaxis] + 0.5)
    return result


def _orthonormal(vectors: Floats, bits: int = 18) -> Floats:
    """Return columns that are orthonormal up to rounding, whole numbers in 2^-bits: Gram-Schmidt, twice.

    By Cauchy-Schwarz any partial sum stays below 2^(bits + 26).
    """
    vectors = _fitted(vectors, bits)
    result = np.zeros_like(vectors)
    for column in range(vectors.shape[1]):
        vector, earlier = vectors[:, column], result[:, :column]
        for _ in range(2):
            vector = vector - _shifted(earlier @ _shifted(earlier.T @ vector, bits), bits)
            vector = np.floor(vector * 2.0**bits / math.sqrt(max(float(vector @ vector), 1)) + 0.5)
        result[:, column] = vector
    return result


def _whitening(metric: Floats, bits: int = 20) -> Floats:
    """Return V with Vᵀ M V = 1 of a positive M, both in 2^-bits: Gram-Schmidt of the unit vectors in that metric."""
    size = len(metric)
    result = np.zeros((size, size))
    for column in range(size):
        vector, earlier = np.zeros(size), result[:, :column]
        vector[column] = 2**bits
        for _ in range(2):
            vector = vector - _shifted(earlier @ _shifted(earlier.T @ _shifted(metric @ vector, bits), bits), bits)
            length = math.sqrt(max(float(vector @ _shifted(metric @ vector, bits)), 1))
            vector = np.floor(vector * 2.0**bits / length + 0.5)
        result[:, column] = vector
    return result


def _shifted(values: Floats, shift: int) -> Floats:
    result: Floats = np.floor(values * 2.0**-shift + 0.5)
    return result


def _shifted_whole(value: int, shift: int) -> int:
    return (value + (1 << shift >> 1)) >> shift


def _fitted(values: Floats, bits: int) -> Floats:
    """Round whole numbers so that the largest stays at or below 2^bits."""
    return _shifted(values, max(0, int(np.frexp(np.abs(values).max())[1]) - bits))
