"""McNemar's exact test against enumeration, textbook values and the binomial distribution in fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cli.runs.mcnemar import PairedTest, mcnemar


def enumerated(only_first: int, only_second: int) -> float:
    """Return the p-value by going through every way that fair coins can fall."""
    discordant = only_first + only_second
    distance = abs(only_first - only_second)
    falls = list(itertools.product((0, 1), repeat=discordant))
    as_uneven = sum(abs(2 * sum(fall) - discordant) >= distance for fall in falls)
    return as_uneven / len(falls)


@pytest.mark.parametrize("discordant", range(13))
def test_it_is_the_share_of_all_coin_falls_that_are_as_uneven(discordant: int) -> None:
    for only_first in range(discordant + 1):
        assert mcnemar(only_first, discordant - only_first) == pytest.approx(
            enumerated(only_first, discordant - only_first), rel=1e-15
        )


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (0, 5, 0.0625),  # 2 / 2^5
        (0, 6, 0.03125),  # the smallest sample that can be significant at 5 %
        (1, 9, 0.021484375),  # the sign test's table for n = 10
        (86, 150, 3.716e-05),  # approval of the prime minister: Agresti, "Categorical Data Analysis", chapter 10
    ],
)
def test_known_values(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p, rel=1e-4)


@settings(deadline=None)  # the machine may be busy
@given(only_first=st.integers(0, 400), only_second=st.integers(0, 400))
def test_it_is_the_exact_value_rounded_once(only_first: int, only_second: int) -> None:
    discordant = only_first + only_second
    tail = sum(Fraction(math.comb(discordant, k), 2**discordant) for k in range(min(only_first, only_second) + 1))
    assert mcnemar(only_first, only_second) == float(min(Fraction(1), 2 * tail))
    assert mcnemar(only_first, only_second) == mcnemar(only_second, only_first)


def test_large_counts_neither_overflow_nor_lose_the_answer() -> None:
    assert mcnemar(5000, 5000) == 1.0
    assert 0 < mcnemar(4800, 5200) < 0.001
    assert mcnemar(0, 55_000) == 0.0  # smaller than any float


def test_noise_is_told_from_a_difference_at_five_percent() -> None:
    assert not PairedTest("test", 100, 0, 5, mcnemar(0, 5)).significant
    assert PairedTest("test", 100, 0, 6, mcnemar(0, 6)).significant
