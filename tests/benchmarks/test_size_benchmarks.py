"""The benchmark of sizes: what it runs, and the files that it generates."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import __main__ as program
from benchmarks.cases import BENCHMARKS, ON_DEMAND
from tests.support import ROOT
from tests.support.benchmark_runner import Recorder, setting_of


def test_each_size_is_generated_once_and_goes_through_every_stage(tmp_path: Path) -> None:
    run = Recorder()
    BENCHMARKS["size"](setting_of(tmp_path, run))
    asked = [argv[4:] for argv, _ in run.calls]
    stages = [("preprocess",), ("train",), ("eval",), ("report",), ("read",)]
    assert asked == [("files", "70000"), *stages * 2, ("files", "1000000"), *stages * 2]


def test_the_largest_size_is_measured_once_and_only_on_demand(tmp_path: Path) -> None:
    run = Recorder()
    result = BENCHMARKS["size-largest"](setting_of(tmp_path, run))
    assert len(run.calls) == 12
    assert any("8,100,000" in row.what for row in result.rows)
    assert ON_DEMAND == ("size-largest", "pad")
    assert "size-largest" not in program.default_names()


def test_memory_and_the_time_of_one_image_have_targets(tmp_path: Path) -> None:
    rows = BENCHMARKS["size"](setting_of(tmp_path, Recorder())).rows
    high = {row.what: row.target.high for row in rows if row.target is not None}
    assert high["train, 70,000 images: anonymous memory above its imports"] == 60
    assert high["train, 1,000,000 images: anonymous memory above its imports"] == 150
    assert high["eval, one image of 1,000,000 / one of 70,000"] == 1.5


def test_the_generated_files_are_four_idx_files_of_that_many_images(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.programs.sized", str(tmp_path), "files", "25000"]
    subprocess.run(command, cwd=ROOT, check=True)
    test = 25_000 // 7
    for part, count in (("train", 25_000 - test), ("t10k", test)):
        images = (tmp_path / f"{part}-images-idx3-ubyte").read_bytes()
        labels = (tmp_path / f"{part}-labels-idx1-ubyte").read_bytes()
        assert struct.unpack(">4B3I", images[:16]) == (0, 0, 8, 3, count, 28, 28)
        assert struct.unpack(">4BI", labels[:8]) == (0, 0, 8, 1, count)
        assert len(images) == 16 + 784 * count
        assert np.bincount(np.frombuffer(labels, np.uint8, offset=8)).shape == (10,)
