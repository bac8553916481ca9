"""Tests of the benchmarks of exports: their rows, from injected runners."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.cases import BENCHMARKS
from benchmarks.measure import BenchmarkError, Sample
from tests.support.benchmark_runner import MEGABYTE, setting_of


def runner(verified: object = None) -> object:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        document: object = {"verified": verified} if "export" in argv else {}
        if "benchmarks.programs.exported" in argv:
            document = {"microseconds": {"c": 900, "onnx": 500, "litert": 400}}
        return Sample(5.0 if "litert" in argv else 1.5 if "export" in argv else 2.0, MEGABYTE, json.dumps(document))

    return run


def test_what_verifying_took_is_taken_off(tmp_path: Path) -> None:
    rows = BENCHMARKS["export"](setting_of(tmp_path, runner({"seconds": 1.0}))).rows  # type: ignore[arg-type]
    assert [row.ours.median for row in rows] == [0.5, 0.5, 0.5, 4.0]
    assert rows[-1].ratio and rows[-1].ratio.median == 2.0
    assert all(row.met() for row in rows)


def test_an_export_that_was_not_verified_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="mnist export --to onnx: it was not verified"):
        BENCHMARKS["export"](setting_of(tmp_path, runner()))  # type: ignore[arg-type]


def test_one_image_has_a_row_for_each_map_and_runtime(tmp_path: Path) -> None:
    rows = BENCHMARKS["export-image"](setting_of(tmp_path, runner())).rows  # type: ignore[arg-type]
    assert [row.what for row in rows][2:4] == ["one image, pixels: litert", "one image, scat1: c"]
    assert rows[0].ours.median == 900
