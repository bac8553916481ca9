"""The order of the training examples: a pure function of the seed and the position.

Position p counts examples from the start of training: step s of batch size B takes positions s·B … s·B+B−1.
Epoch e = p // n, offset o = p % n, row = permutation(seed, e)[o]. So a resumed run needs to know only its step,
and any number of workers sees the same global batches.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int32]:
    """Return the order in which one epoch visits `count` examples.

    Returns:
        int32 [count], read-only: a permutation of 0 … count−1 that depends on nothing but the arguments.
    """
    # What `Generator.permutation` does with int64, in half of the memory.
    order = np.arange(count, dtype=np.int32)
    np.random.default_rng([seed, epoch]).shuffle(order)
    order.flags.writeable = False
    return order


def rows_at(seed: int, position: int, length: int, count: int) -> npt.NDArray[np.int32]:
    """Return the rows of `count` examples that stand at `length` positions from `position` on.

    Returns:
        int32 [length]; where the positions run over the end of an epoch, they continue in the next one.

    Raises:
        ValueError: there are no examples, or a number is negative.
    """
    if count < 1 or position < 0 or length < 0:
        raise ValueError(f"rows_at: expected count ≥ 1, position ≥ 0, length ≥ 0; received {count, position, length}")
    pieces = []
    while length > 0:
        epoch, offset = divmod(position, count)
        piece = epoch_order(seed, epoch, count)[offset : offset + length]
        pieces.append(piece)
        position += len(piece)
        length -= len(piece)
    return np.concatenate(pieces) if pieces else np.empty(0, np.int32)
