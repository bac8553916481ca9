"""The benchmark of the recipes: what it runs, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.cases import BENCHMARKS
from benchmarks.measure import BenchmarkError, Sample
from mnist_cli.recipes import RECIPES
from tests.support.benchmark_runner import Recorder, setting_of


def test_each_recipe_runs_with_three_seeds_in_a_folder_of_its_own(tmp_path: Path) -> None:
    run = Recorder()
    BENCHMARKS["recipes"](setting_of(tmp_path, run))
    asked = [argv[3:7] for argv, _ in run.calls if "benchmarks.programs.recipe" in argv]
    assert asked == [(str(tmp_path / name), "mnist", name, str(seed)) for name in RECIPES for seed in range(3)]


def test_the_mean_accuracy_the_first_run_and_the_most_memory_have_targets(tmp_path: Path) -> None:
    result = BENCHMARKS["recipes"](setting_of(tmp_path, Recorder()))
    best = [row for row in result.rows if row.what.startswith("best: ")]
    accuracy, seconds, memory = best
    # The calls are numbered from 1: those of best, the sixth recipe, are 16 to 18.
    assert accuracy.ours.median == pytest.approx(99 + 17 / 1000)
    assert seconds.ours.median == 16
    assert memory.ours.median == 40
    bounds = [row.target and (row.target.low, row.target.high) for row in best]
    assert bounds == [(99.55, None), (None, 360), (None, 1500)]


def test_a_peer_that_is_not_there_is_left_out_with_the_reason(tmp_path: Path) -> None:
    record = Recorder()

    def run(argv: Sequence[str], folder: Path) -> Sample:
        if "svc" in argv:
            raise BenchmarkError("python: exit code 1: ModuleNotFoundError")
        return record(argv, folder)

    result = BENCHMARKS["recipes"](setting_of(tmp_path, run))
    assert result.notes == ("SVC (rbf) of scikit-learn on pixels is left out (ModuleNotFoundError)",)
    assert any("LogisticRegression" in row.what for row in result.rows)
