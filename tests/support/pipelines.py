"""A pipeline on the tiny data set with stand-ins for training and evaluation: a run takes milliseconds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.config.declarations import Config
from mnist_cli.formats.hdf5_writing import safe_hdf5_file
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.overrides import remember_overrides
from mnist_cli.pipeline.plan import StageStatus, examine_all
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.runner import run
from mnist_cli.progress import SILENT
from mnist_cli.runs.keeper import RunKeeper
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Job, Outcome
from tests.support.command_line import Command, Result, mnist
from tests.support.configs import load_config, parse_override

ALL = ("fetch", "preprocess", "train", "eval")


def fake_train(job: Job) -> Outcome:
    """Write a model that depends on the learning rate rounded to a tenth, so that not every change changes it."""
    with safe_hdf5_file(job.new / "model.h5") as file:
        file.create_dataset("W", data=np.full(3, round(job.config.value("train.learning_rate") or 0.5, 1)))
    (job.new / "history.jsonl").write_text("{}\n", encoding="utf-8")
    return Outcome({"steps": job.config.value("train.steps")}, runtime={"device": "cpu", "tensorflow": "2"})


def other_history(job: Job) -> Outcome:
    """Train like `fake_train`, with another history."""
    outcome = fake_train(job)
    (job.new / "history.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    return outcome


def fake_evaluate(job: Job) -> Outcome:
    (job.new / "metrics.json").write_text(json.dumps({"split": job.config.value("eval.split")}), encoding="utf-8")
    return Outcome({"split": job.config.value("eval.split"), "accuracy": 0.9})


def stand_in(monkeypatch: pytest.MonkeyPatch, stage: str, **fields: Any) -> None:
    """Give a stage other fields while the test runs."""
    monkeypatch.setitem(PIPELINE.stages, stage, dataclasses.replace(PIPELINE.stages[stage], **fields))


class Pipeline:
    """A pipeline on the tiny data set in a folder of its own."""

    def __init__(self, root: Path, mirror: Path) -> None:
        self.artifacts = Artifacts(root, PIPELINE)
        self.mirror = mirror

    def config(self, *settings: str) -> Config:
        base = ("dataset=tiny", "preprocess.validation_size=10")
        return load_config(overrides=[parse_override(text) for text in (*base, *settings)]).config

    def run(self, *settings: str, **options: Any) -> list[StageResult]:
        given = {override.path: override.value for override in map(parse_override, settings)}
        config = self.config(*settings)
        records = RunKeeper(self.artifacts, config.value("keep_runs"), options.get("progress", SILENT))
        fields: dict[str, Any] = {
            "overrides": given,
            "mirrors": (str(self.mirror),),
            "stages": ALL,
        } | options
        promise, is_recorded = fields.pop("promise", None), fields.pop("records", True)
        request = Request(config, self.artifacts, **fields)
        request = records.attached(request) if is_recorded else request
        results = run(promise.held(request) if promise else request)
        remember_overrides(self.artifacts, fields["overrides"] | options.get("overrides", {}))
        return results

    def ran(self, *settings: str, **options: Any) -> list[str]:
        """Run, and return the stages that published something, made just now or taken from a kept run."""
        return [result.stage for result in self.run(*settings, **options) if result.is_new]

    def statuses(self, *settings: str) -> dict[str, StageStatus]:
        return examine_all(self.config(*settings), Artifacts(self.artifacts.root, PIPELINE))

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
    stand_in(monkeypatch, "train", run=fake_train, runtime=runtime, slow_import=None)
    stand_in(monkeypatch, "eval", run=fake_evaluate)
    return Pipeline(tmp_path / "artifacts", tiny_mirror)


@pytest.fixture
def tiny_mnist(pipeline: Pipeline) -> Command:
    """`mnist …` on the artifacts of `pipeline`, with its configuration."""
    settings = ("--set", "dataset=tiny", "--set", "preprocess.validation_size=10")
    common = ("--artifacts", str(pipeline.artifacts.root), *settings)

    def run_command(*arguments: str, code: int | None = 0) -> Result:
        return mnist(*arguments, *common, code=code)

    return run_command
