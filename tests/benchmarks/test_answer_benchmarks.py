"""Tests of the benchmarks of predictions and the report: their rows, from injected runners, and the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnist_cli
from benchmarks.cases import BENCHMARKS
from benchmarks.figures import Target
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.programs import picture
from tests.support.benchmark_runner import Recorder, setting_of
from tests.support.data import write_small_store

pytestmark = pytest.mark.exhaustive


def test_a_prediction_is_a_whole_process_and_ten_thousand_are_a_call(tmp_path: Path) -> None:
    run = Recorder()
    command, call = BENCHMARKS["predict"](setting_of(tmp_path, run)).rows
    assert command.target == Target(high=0.5) and command.met() is False
    assert (call.ours.median, call.target, call.met()) == (0.02, Target(high=0.05), True)
    drawn = next(argv for argv, _ in run.calls if "benchmarks.programs.picture" in argv)
    predicted, folder = next((argv, folder) for argv, folder in run.calls if "predict" in argv)
    assert Path(drawn[-1]) == folder / predicted[-1]


def test_predictions_of_something_else_are_an_error(tmp_path: Path) -> None:
    def run(argv: Sequence[str], folder: Path) -> Sample:
        return Sample(1.0, 1, '{"seconds": [0.1], "images": 3}')

    with pytest.raises(BenchmarkError, match=r"expected 10,000 images; received 3"):
        BENCHMARKS["predict"](setting_of(tmp_path, run))


def test_the_report_is_made_of_a_finished_run(tmp_path: Path) -> None:
    run = Recorder()
    (row,) = BENCHMARKS["report"](setting_of(tmp_path, run)).rows
    assert run.calls[0][0][:2] == ("mnist", "run")
    assert row.target == Target(high=3.0)


def test_the_pictured_digit_is_the_first_test_image_dark_on_light(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store.h5")
    picture.main(str(tmp_path / "store.h5"), str(tmp_path / "digit.png"))
    pixels = np.asarray(Image.open(tmp_path / "digit.png"))
    store = mnist_cli.open_store(tmp_path / "store.h5")
    assert (255 - pixels[::10, ::10] == store.test.inputs[0].reshape(store.image_shape)).all()
    assert pixels.shape == tuple(10 * side for side in store.image_shape)
