"""A keyed bijection on 0 … n−1: a shuffle without an array, the same in any language and with any library.

A Feistel network of 8 rounds on 2k bits, 4^k ≥ n, with a 32-bit hash as its round function. A result of n or more goes
through it again (cycle walking, fewer than four times on average). All arithmetic uses unsigned 32-bit integers;
n ≤ 2^31.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInt32 = npt.NDArray[np.uint32]

_ROUNDS = 8
_GOLDEN = 0x9E3779B9  # 2^32 divided by the golden ratio
_WORD = 0xFFFFFFFF


def permuted(seed: int, stream: int, positions: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return where the permutation of (seed, stream) takes each position.

    Args:
        seed, stream: below 2^63; each pair has its own permutation.
        positions: integers [m] from 0 to count−1.
        count: n, 1 to 2^31.

    Returns:
        int64 [m] from 0 to count−1; different for different positions.
    """
    bits = 1
    while 4**bits < count:
        bits += 1
    keys = _keys(seed, stream)

    def once(values: UInt32) -> UInt32:
        mask = np.uint32(2**bits - 1)
        left, right = values >> np.uint32(bits), values & mask
        for key in keys:
            left, right = right, left ^ (mixed(right + key) & mask)
        return (left << np.uint32(bits)) | right

    values = once(positions.astype(np.uint32))
    while (outside := np.flatnonzero(values >= count)).size:
        values[outside] = once(values[outside])
    return values.astype(np.int64)


def _keys(seed: int, stream: int) -> list[np.uint32]:
    state = np.zeros(1, np.uint32)
    for word in (seed & _WORD, seed >> 32, stream & _WORD, stream >> 32):
        state = mixed(state * np.uint32(31) + np.uint32((word + _GOLDEN) & _WORD))
    keys = []
    for turn in range(1, _ROUNDS + 1):
        state = mixed(state + np.uint32(turn * _GOLDEN & _WORD))
        keys.append(state[0])
    return keys


def mixed(values: UInt32) -> UInt32:
    """Return a hash of each number: lowbias32 of C. Wellons (https://nullprogram.com/blog/2018/07/31/)."""
    values = values ^ (values >> np.uint32(16))
    # In place: allocating new arrays would take a third of the time.
    values *= np.uint32(0x7FEB352D)
    values ^= values >> np.uint32(15)
    values *= np.uint32(0x846CA68B)
    values ^= values >> np.uint32(16)
    return values
