"""The order of the training examples: a pure function of the seed and the position, the same in any language.

Position p counts examples from the start of training: step s of batch size B takes positions s·B … s·B+B−1.
Epoch e = p // n, and the row is where the permutation of (seed, e) takes p % n. So a resumed run needs only its step,
any number of workers sees the same global batches, and no array of length n is needed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.permutation import permuted

# Positions at a time: their arrays take a few megabytes.
_BLOCK = 1 << 16


def rows_at(seed: int, position: int, length: int, count: int) -> npt.NDArray[np.int32]:
    """Return the rows of `count` examples at the `length` positions from `position` on.

    Args:
        seed: below 2^63.
        position: of the first example, from 0 on.
        length: number of rows.
        count: examples in an epoch, 1 to 2^31.

    Returns:
        int32 [length]; positions past the end of an epoch continue in the next one.

    Raises:
        ValueError: a number is out of range.
    """
    if not 1 <= count <= 2**31 or position < 0 or length < 0:
        raise ValueError(
            f"rows_at: expected count 1 to 2^31, position ≥ 0, length ≥ 0; received {count, position, length}"
        )
    result = np.empty(length, np.int32)
    done = 0
    while done < length:
        epoch, offset = divmod(position + done, count)
        size = min(length - done, count - offset, _BLOCK)
        result[done : done + size] = permuted(seed, epoch, np.arange(offset, offset + size), count)
        done += size
    return result
