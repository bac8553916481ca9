"""Hashes of feature rows, 32 bits each, so that programs in other languages can be compared without printing rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def fingerprints(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return the FNV-1a hash of each row of uint8 [n, D], uint32 [n]."""
    result = np.full(len(rows), 2166136261, np.uint32)
    for column in np.ascontiguousarray(rows.T):
        result ^= column
        result *= np.uint32(16777619)
    return result
