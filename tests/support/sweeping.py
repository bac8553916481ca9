"""A pipeline on the tiny data set with real training, for tests of runs and sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_cli.config.loading import split_setting
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.request import Request
from mnist_cli.runs.grid import Point, grid, read_axis
from mnist_cli.runs.sweep import PointResult, sweep
from mnist_cli.stages import PIPELINE

BASE = (
    "dataset=tiny",
    "preprocess.validation_size=20",
    "train.steps=40",
    "train.batch_size=10",
    "train.validate_every=10",
)
GRID = ("train.learning_rate=0.01,0.1,0.5", "train.batch_size=5,10")


def points(*settings: str) -> list[Point]:
    """Return the points of a grid over BASE."""
    return grid(PIPELINE, [read_axis(*split_setting(text), "--set") for text in (*BASE, *settings)], Path("/dev/null"))


def run_sweep(
    root: Path, mirror: Path, *settings: str, report: Any = lambda _: None, **options: Any
) -> list[PointResult]:
    """Sweep a grid over BASE with the artifacts in `root`."""
    chosen = points(*(settings or GRID))
    artifacts = Artifacts(root, PIPELINE)
    request = Request(chosen[0].config, artifacts, chosen[0].overrides, stages=(), mirrors=(str(mirror),), **options)
    return sweep(request, chosen, report)


def table(results: list[PointResult]) -> list[tuple[str, ...]]:
    """Return what a sweep came to, without how: point, run, model digest."""
    runs = [(str(result.point), result.run) for result in results]
    return [(point, run.id, str(run.train.metrics["model_digest"])) if run else (point,) for point, run in runs]
