"""A pipeline on the tiny data set with stand-ins for training and evaluation: a run takes milliseconds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mnist_cli.config.config import Config
from mnist_cli.pipeline.registry import STAGES, Job, Outcome

from mnist_cli.config.loading import load_config, parse_override
from mnist_cli.formats.hdf5 import safe_hdf5_file
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.plan import StageStatus, examine_all
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.runner import run
from tests.support.command_line import Command, Result, mnist

ALL = ("fetch", "preprocess", "train", "eval")


def fake_train(job: Job) -> Outcome:
    """Write a model that depends on the learning rate rounded to a tenth, so that not every change changes it."""
    with safe_hdf5_file(job.new / "model.h5") as file:
        file.create_dataset("W", data=np.full(3, round(job.config.train.learning_rate or 0.5, 1)))
    (job.new / "history.jsonl").write_text("{}\n", encoding="utf-8")
    return Outcome({"steps": job.config.train.steps}, runtime={"device": "cpu", "tensorflow": "2"})


def other_history(job: Job) -> Outcome:
    """Train like `fake_train`, with another history."""
    outcome = fake_train(job)
    (job.new / "history.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    return outcome


def fake_evaluate(job: Job) -> Outcome:
    (job.new / "metrics.json").write_text(json.dumps({"split": job.config.eval.split}), encoding="utf-8")
    return Outcome({"accuracy": 0.9})


class Pipeline:
    """A pipeline on the tiny data set in a folder of its own."""

    def __init__(self, root: Path, mirror: Path) -> None:
        self.artifacts = Artifacts(root)
        self.mirror = mirror

    def config(self, *settings: str) -> Config:
        base = ("dataset=tiny", "preprocess.validation_size=10")
        return load_config(overrides=[parse_override(text) for text in (*base, *settings)]).config

    def run(self, *settings: str, **options: Any) -> list[StageResult]:
        given = {override.path: override.value for override in map(parse_override, settings)}
        fields = {"overrides": given, "mirrors": (str(self.mirror),)} | options
        return run(Request(self.config(*settings), self.artifacts, **fields))

    def ran(self, *settings: str, **options: Any) -> list[str]:
        return [result.stage for result in self.run(*settings, **options) if result.ran]

    def statuses(self, *settings: str) -> dict[str, StageStatus]:
        return examine_all(self.config(*settings), self.artifacts, DigestCache(self.artifacts.root))

    def states(self, *settings: str) -> list[str]:
        return [str(status.state) for status in self.statuses(*settings).values()]

    def why(self, stage: str, *settings: str) -> list[str]:
        return [str(reason) for reason in self.statuses(*settings)[stage].reasons]

    def file(self, name: str) -> Path:
        return self.artifacts.root / name


@pytest.fixture
def pipeline(tmp_path: Path, tiny_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.chdir(tmp_path)
    runtime: Callable[[Config], dict[str, Any]] = lambda _config: {"device": None, "tensorflow": "2"}  # noqa: E731
    monkeypatch.setitem(STAGES, "train", dataclasses.replace(STAGES["train"], run=fake_train, runtime=runtime))
    monkeypatch.setitem(STAGES, "eval", dataclasses.replace(STAGES["eval"], run=fake_evaluate))
    monkeypatch.setattr("mnist_cli.pipeline.runner._warm_up", lambda *_: None)
    return Pipeline(tmp_path / "artifacts", tiny_mirror)


@pytest.fixture
def tiny_mnist(pipeline: Pipeline) -> Command:
    """`mnist …` on the artifacts of `pipeline`, with its configuration."""
    settings = ("--set", "dataset=tiny", "--set", "preprocess.validation_size=10")
    common = ("--artifacts", str(pipeline.artifacts.root), *settings)

    def run_command(*arguments: str, code: int | None = 0) -> Result:
        return mnist(*arguments, *common, code=code)

    return run_command
