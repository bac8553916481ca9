"""Turn whole-number features into bytes: q = clip(⌊(a f + c) / 2^s⌋, 0, 255), where (q − 80) / 32 is standardised.

It is fitted once. A feature is divided by its own spread plus a tenth of the mean spread: otherwise features that are
almost always zero would become noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.ops import EXACT, Integers, OutOfBounds, State

ZERO, STEP = 80, 32
# Examples of a fit, and the limits within which all its sums stay below 2^53.
FIT_EXAMPLES = 3000
_MOST_EXAMPLES, _LARGEST = 4096, 2**14
_FINEST = 24  # shift

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Quantiser:
    """The affine map of each feature to a byte.

    Attributes:
        factors: a, int64 [D], from 0 on.
        offsets: c, int64 [D]; they include the zero of q and the half for rounding.
        shift: s.
    """

    factors: Integers
    offsets: Integers
    shift: int

    def __len__(self) -> int:
        return len(self.factors)

    def check(self, largest: Integers) -> None:
        """Prove that features up to `largest`, int64 [D], become bytes exactly.

        Raises:
            OutOfBounds: they do not, or the parts do not fit together.
        """
        if not len(self.factors) == len(self.offsets) == len(largest):
            raise OutOfBounds(
                f"quantiser: expected {len(largest)} factors and offsets; "
                f"received {len(self.factors)} and {len(self.offsets)}"
            )
        if self.factors.min() < 0 or not 0 <= self.shift <= _FINEST:
            raise OutOfBounds(f"quantiser: expected factors from 0 up, and a shift from 0 to {_FINEST}")
        if (self.factors * largest + np.abs(self.offsets)).max() >= EXACT:
            raise OutOfBounds("quantiser: expected sums below 2^24")

    def bytes_of(self, features: State) -> Bytes:
        """Return whole numbers, float32 [n, D], as bytes, uint8 [n, D]; this overwrites the features."""
        factors, offsets = self._floats
        features *= factors
        features += offsets
        features *= np.float32(2.0**-self.shift)
        np.floor(features, out=features)
        return np.clip(features, 0, 255, out=features).astype(np.uint8)

    @cached_property
    def _floats(self) -> tuple[State, State]:
        return self.factors.astype(np.float32), self.offsets.astype(np.float32)


def fit_quantiser(features: State, largest: Integers) -> Quantiser:
    """Return the finest exact map to bytes, fitted to the features of some examples.

    One root and three divisions, each rounded at once, give the same integers on every machine.

    Args:
        features: float32 [n, D] of whole numbers, 1 ≤ n ≤ 4,096.
        largest: int64 [D], the upper bound of each feature.

    Raises:
        OutOfBounds: a feature may be 2^14 or more.
    """
    count = len(features)
    if not 1 <= count <= _MOST_EXAMPLES:
        raise ValueError(f"fit_quantiser: expected 1 to {_MOST_EXAMPLES} examples; received {count}")
    if largest.max() >= _LARGEST:
        raise OutOfBounds(
            f"features up to {largest.max():,}: expected less than {_LARGEST:,}; pool with a larger shift"
        )
    whole = features.astype(np.int64)
    sums = whole.sum(axis=0)
    variances = (whole * whole).sum(axis=0) * count - sums * sums  # times n²
    spreads = np.floor(np.sqrt(variances.astype(np.float64)) * 16 / count + 0.5)  # in sixteenths
    spreads = np.maximum(np.floor(spreads + spreads.sum() / (10 * len(spreads)) + 0.5), 1)
    for shift in range(_FINEST, -1, -1):
        unit = 2.0**shift
        factors = np.floor(STEP * 16 * unit / spreads + 0.5)
        offsets = ZERO * unit + np.floor(unit / 2) - np.floor(factors * sums / count + 0.5)
        if (factors * largest + np.abs(offsets)).max() < EXACT:
            return Quantiser(factors.astype(np.int64), offsets.astype(np.int64), shift)
    raise OutOfBounds("the features differ too little to become bytes exactly; pool with a smaller shift")
