"""The order of the examples: against the rule one position at a time, and against digests from another program."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mnist_cli.maps.order import rows_at
from tests.support import exact


@pytest.mark.parametrize(("count", "digest"), [(100, "a8e1bfbf88e1"), (55_000, "33e88c40bae3")])
def test_the_first_epoch_of_seed_0_has_the_digest_of_the_contract(count: int, digest: str) -> None:
    rows = rows_at(0, 0, count, count)
    assert rows.dtype == np.int32
    assert hashlib.sha256(rows.astype("<i4").tobytes()).hexdigest()[:12] == digest


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 64, 65, 1000, 20_000])
def test_an_epoch_visits_every_example_once(count: int) -> None:
    assert sorted(rows_at(3, 7 * count, count, count)) == list(range(count))


def test_the_order_depends_on_seed_and_epoch() -> None:
    first = rows_at(0, 0, 1000, 1000)
    assert not np.array_equal(first, rows_at(1, 0, 1000, 1000))
    assert not np.array_equal(first, rows_at(0, 1000, 1000, 1000))


@pytest.mark.parametrize("seed", [0, 5, 2**40 + 1, 2**63 - 1])
def test_rows_follow_the_rule_position_by_position(seed: int) -> None:
    count, start = 7, 2**33 * 7 + 3
    expected = [exact.row(seed, p // count, p % count, count) for p in range(start, start + 20)]
    assert rows_at(seed, start, 20, count).tolist() == expected


def test_the_rows_of_a_large_data_set_need_no_array_of_its_length() -> None:
    count = 2**31
    assert rows_at(1, 5, 3, count).tolist() == [exact.row(1, 0, p, count) for p in (5, 6, 7)]


@pytest.mark.parametrize(("position", "length", "count"), [(0, 5, 0), (-1, 5, 9), (0, -1, 9), (0, 1, 2**31 + 1)])
def test_rows_out_of_range_are_refused(position: int, length: int, count: int) -> None:
    with pytest.raises(ValueError, match="expected count 1 to"):
        rows_at(0, position, length, count)
