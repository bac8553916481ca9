"""Memory does not grow with the number of images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.formats import HISTORY_NAME
from mnist_cli.formats.model import Model, save_model
from tests.support import ROOT

SMALL, LARGE = 8_000, 100_000
# Bytes: the images of the large data set take 78 million, their probabilities as float32 4 million.
GROWTH = 3_000_000
GROWTH_OF_FEATURES = 20_000_000  # the small data set has not the 3,000 training images that a map is fitted to
GROWTH_OF_TRAINING = 30_000_000  # more steps, more checkpoints, and 4 bytes for an image's place in the order


def measured(folder: Path, *arguments: object, program: str = "benchmarks.programs.sized") -> int:
    """Return the anonymous memory that a stage needs above that of its imports, in bytes."""
    command = [sys.executable, "-m", program, *map(str, (folder, *arguments))]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return int(json.loads(output)["anonymous"]) if output else 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """For each size a folder with the files, their store, a model and its metrics."""
    made = {}
    for images in (SMALL, LARGE):
        made[images] = folder = tmp_path_factory.mktemp(f"images-{images}")
        weights = np.random.default_rng(0).normal(size=(784, 10))
        save_model(folder / "model.h5", Model(weights, weights[0], tuple("0123456789"), 1, 0, "", (28, 28)))
        (folder / HISTORY_NAME).touch()
        measured(folder, "files", images)
        for stage in ("preprocess", "eval"):
            measured(folder, stage)
    return made


@pytest.mark.parametrize("stage", ["preprocess", "eval", "report"])
def test_a_stage_needs_no_more_memory_for_more_images(folders: dict[int, Path], stage: str) -> None:
    assert measured(folders[LARGE], stage) < measured(folders[SMALL], stage) + GROWTH


def test_features_need_no_more_memory_for_more_images(folders: dict[int, Path]) -> None:
    small, large = (measured(folders[images], program="tests.support.sized_features") for images in (SMALL, LARGE))
    assert large < small + GROWTH_OF_FEATURES


def test_training_needs_little_more_memory_for_more_images(folders: dict[int, Path]) -> None:
    assert measured(folders[LARGE], "train") < measured(folders[SMALL], "train") + GROWTH_OF_TRAINING
