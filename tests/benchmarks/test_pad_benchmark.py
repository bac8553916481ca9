"""The benchmark of the pad: its drawings, and its rows from an injected runner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.cases import BENCHMARKS
from benchmarks.drawings import EACH, MANNERS, SMALL, drawings
from benchmarks.measure import BenchmarkError, Sample
from tests.support.benchmark_runner import setting_of


def test_there_are_180_drawings_inside_the_pad_and_the_small_ones_are_small() -> None:
    found = list(drawings())
    assert Counter((drawing.digit, drawing.manner) for drawing in found) == Counter(
        {(digit, manner): EACH for digit in range(10) for manner in MANNERS}
    )
    for drawing in found:
        points = [point for stroke in drawing.strokes for point in stroke]
        sides = [max(axis) - min(axis) for axis in zip(*points, strict=True)]
        assert all(0 < value < 1 for point in points for value in point)
        assert (max(sides) < 0.23) == (drawing.manner in SMALL)


def answer(document: str) -> Callable[[Sequence[str], Path], Sample]:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return Sample(1.0, 1, document)

    return run


def test_the_shares_are_those_of_all_drawings_and_of_the_small_ones(tmp_path: Path) -> None:
    told = (
        '{"right": {"large": 30, "small": 27, "small, in a corner": 24},'
        ' "drawn": {"large": 30, "small": 30, "small, in a corner": 30}, "as_predict": 90}'
    )
    result = BENCHMARKS["pad"](setting_of(tmp_path, answer(told)))
    assert [row.ours.median for row in result.rows] == [pytest.approx(90), pytest.approx(85), 100]
    assert "small 27 of 30" in result.notes[0]


def test_a_program_that_tells_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be counted"):
        BENCHMARKS["pad"](setting_of(tmp_path, answer("{}")))
