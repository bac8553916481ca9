"""Remarkable examples, found block by block."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnist_cli.formats.scoring import Lowest


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=5), st.integers(0, 8))
def test_the_lowest_of_many_blocks_are_those_of_a_stable_sort(blocks: list[list[int]], limit: int) -> None:
    lowest, start = Lowest(limit, 1), 0
    for block in blocks:
        positions = np.arange(start, start + len(block))
        lowest.add(np.array(block, float), positions, positions[:, np.newaxis].astype(float))
        start += len(block)
    values = [value for block in blocks for value in block]
    expected = sorted(range(len(values)), key=lambda position: (values[position], position))[:limit]
    assert lowest.positions.tolist() == expected
    assert lowest.probabilities[:, 0].tolist() == expected
