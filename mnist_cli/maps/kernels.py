"""Kernels and windows of feature maps: whole numbers from `kernels.json`, never computed on a user's machine.

    differences   [4, 3, 3]    central differences in four directions, in 2^-8
    morlet        [16, 7, 7]   eight complex Morlet wavelets (σ 0.8, slant 0.5, ξ 3π/4), real parts before imaginary
                               ones, in 2^-8; each sums to zero exactly
    gaussians                  σ → exp(−x²/2σ²) / (σ √2π) in 2^-6, at x = 0, ½, 1, … until it rounds to zero

The wavelets are those of J. Bruna and S. Mallat, "Invariant scattering convolution networks" (arXiv 1203.1513),
section 2. `tests/maps/test_kernels.py` recomputes all of them.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_FILE = Path(__file__).with_name("kernels.json")
_DIGEST = "184a6429509c4335b10b44a96c50dc27760d729649e88316faaf001519c774d9"


@cache
def _tables() -> Any:
    content = _FILE.read_bytes()
    if hashlib.sha256(content).hexdigest() != _DIGEST:
        raise RuntimeError(f"{_FILE.name} is not the file of this version; reinstall mnist-cli")
    return json.loads(content)


def kernels(name: str) -> Integers:
    """Return a bank of kernels, int64 [m, k, k]."""
    return np.array(_tables()["kernels"][name], np.int64)


def boxes(side: int, size: int) -> Integers:
    """Return windows of ones, int64 [⌈side / size⌉, side]; the last one is cut at the edge."""
    windows = np.zeros((-(-side // size), side), np.int64)
    windows[np.arange(side) // size, np.arange(side)] = 1
    return windows


def gaussians(side: int, sigma: int, every: int, count: int | None = None) -> Integers:
    """Return Gaussian windows in 2^-6, symmetric about the middle, int64 [count, side].

    Args:
        side: number of values that a window covers.
        sigma: one of `maps.GAUSSIANS`.
        every: distance between their centres.
        count: number of windows, by default ⌈side / every⌉.
    """
    count = -(-side // every) if count is None else count
    table = _tables()["gaussians"][str(sigma)]
    # Twice the distance, so that it is whole: centres may lie between two values.
    centres = (side - 1) + (2 * np.arange(count) - (count - 1)) * every
    distances = np.abs(2 * np.arange(side) - centres[:, np.newaxis])
    padded = np.array([*table, 0], np.int64)
    result: Integers = padded[np.minimum(distances, len(table))]
    return result
