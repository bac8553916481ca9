"""The connected pieces of a picture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.intp]


def labelled(mask: npt.NDArray[np.bool_]) -> tuple[Labels, int]:
    """Return which piece each pixel belongs to, and how many pieces there are; corners connect.

    Args:
        mask: bool [height, width].

    Returns:
        Integers [height, width], 0 = no piece, and the pieces from 1 on.
    """
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(change == 1), np.nonzero(change == -1)
    parents = list(range(len(rows)))
    first = np.searchsorted(rows, np.arange(len(mask) + 1)).tolist()  # of the runs in each row
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    for (above, here), (_, below) in pairwise(pairwise(first)):
        upper = above
        for run in range(here, below):
            start, end = spans[run]
            while upper < here and spans[upper][1] < start:
                upper += 1
            for other in range(upper, here):
                if spans[other][0] > end:
                    break
                parents[_root(parents, other)] = _root(parents, run)
    numbers: dict[int, int] = {}
    labels = np.zeros(mask.shape, np.intp)
    for run, row in enumerate(rows.tolist()):
        labels[row, slice(*spans[run])] = numbers.setdefault(_root(parents, run), len(numbers) + 1)
    return labels, len(numbers)


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run
