"""`mnist report`: what it writes, what it refuses, and how to reproduce it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.formats.history import Record, write_history
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.report.writing import provenance
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import STORE, Job, Outcome
from tests.support.command_line import Command, mnist
from tests.support.configs import load_config, parse_override
from tests.support.pipelines import Pipeline

REAL_EVAL = PIPELINE.stages["eval"].run


# The command


def real_enough_train(job: Job) -> Outcome:
    """Publish a model of the store and a history, without TensorFlow."""
    store = open_store(job.input(STORE))
    random = np.random.default_rng(job.config.value("seed"))
    weights = random.normal(0, job.config.value("train.learning_rate") or 0.5, (784, 10))
    model = Model(weights, np.zeros(10), store.classes, 3, job.config.value("seed"), store.digest, store.image_shape)
    save_model(job.new / "model.h5", model)
    write_history(job.new / "history.jsonl", [Record(3, 1.5, 1.25, 0.5)])
    return Outcome({"steps": 3, "model_digest": model.digest}, runtime={"device": "cpu", "tensorflow": "2"})


@pytest.fixture
def finished(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A finished pipeline with a model that the report can read; its data set is set on the command line."""
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=real_enough_train))
    monkeypatch.setitem(PIPELINE.stages, "eval", dataclasses.replace(PIPELINE.stages["eval"], run=REAL_EVAL))
    pipeline.run("dataset=tiny", "preprocess.validation_size=10", "train.learning_rate=0.25")
    return pipeline


@pytest.fixture
def report(pipeline: Pipeline) -> Command:
    """`mnist report …` on the artifacts of `pipeline`, with the settings of its run."""
    return functools.partial(mnist, "report", "--artifacts", str(pipeline.artifacts.root))


def test_the_command_writes_the_page_and_says_what_it_is(finished: Pipeline, report: Command) -> None:
    said = report("--json").document
    content = finished.file("report.html").read_bytes()
    assert said["file"] == str(finished.file("report.html"))
    assert said["bytes"] == len(content)
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert said["accuracy"] == json.loads(finished.file("eval/metrics.json").read_bytes())["accuracy"]


def test_overrides_of_the_stages_hold_for_the_report(finished: Pipeline, report: Command) -> None:
    report()
    text = finished.file("report.html").read_text(encoding="utf-8")
    assert "mnist run --set=dataset=tiny --set=preprocess.validation_size=10 --set=train.learning_rate=0.25" in text


def test_the_page_can_go_elsewhere(finished: Pipeline, tmp_path: Path, report: Command) -> None:
    report("--output", str(tmp_path / "page.html"))
    report()
    assert (tmp_path / "page.html").read_bytes() == finished.file("report.html").read_bytes()


def test_the_page_links_to_the_lesson_beside_it(finished: Pipeline, tmp_path: Path, report: Command) -> None:
    finished.file("lesson.html").write_text("<!doctype html>", encoding="utf-8")
    report()
    assert 'href="lesson.html#training"' in finished.file("report.html").read_text(encoding="utf-8")
    report("--output", str(tmp_path / "page.html"))
    assert "lesson.html" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    report("--output", str(finished.file("lesson.html")))
    assert 'href="lesson.html' not in finished.file("lesson.html").read_text(encoding="utf-8"), "no link to itself"


@pytest.mark.parametrize("output", ["no/such/folder/page.html", "."])
def test_an_output_that_cannot_be_is_a_mistake_on_the_command_line(
    finished: Pipeline, output: str, report: Command
) -> None:
    done = report("--output", output, code=2)
    assert "--output" in done.err


def test_a_folder_that_does_not_exist_is_named(finished: Pipeline, report: Command) -> None:
    assert "--output no/page.html: the folder no does not exist" in report("--output", "no/page.html", code=2).err


def test_a_report_that_cannot_be_written_suggests_another_place(
    finished: Pipeline, monkeypatch: pytest.MonkeyPatch, report: Command
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied", f"{path}.new")

    monkeypatch.setattr("mnist_cli.pipeline.output_files.files.write_bytes", refuse)
    done = report(code=1)
    assert f"{finished.file('report.html')}: Permission denied" in done.err
    assert "hint: name another file with --output" in done.err


def test_without_artifacts_it_names_the_command_to_run(pipeline: Pipeline, report: Command) -> None:
    done = report(code=5)
    assert "cannot write the report: no run yet in this folder" in done.err
    assert "run 'mnist run " in done.err
    assert not pipeline.file("report.html").exists()


def test_of_a_stale_model_there_is_no_report(finished: Pipeline, report: Command) -> None:
    said = report("--set", "train.learning_rate=0.5", code=5).err
    assert "train.learning_rate 0.25 (from the command line) → 0.5" in said
    assert said.splitlines()[-1].startswith("hint: run 'mnist run ")
    assert said.splitlines()[-1].endswith(" --learning-rate 0.5'")
    assert not finished.file("report.html").exists()


def test_damage_that_keeps_size_and_time_is_found(finished: Pipeline, report: Command) -> None:
    path = finished.file("eval/metrics.json")
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"correct": ', b'"correct":1'))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = report(code=5)
    assert "changed after it was published" in done.err


def test_a_dash_is_no_name_for_the_report(
    finished: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    report("--output", "-", code=2)
    assert not Path("-").exists()


def test_a_failure_leaves_the_old_report(finished: Pipeline, report: Command) -> None:
    report()
    before = finished.file("report.html").read_bytes()
    finished.file("train/model.h5").write_bytes(b"garbage")
    report(code=5)
    assert finished.file("report.html").read_bytes() == before


# How to get it again


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("train.optimizer=adam", "train.beta_1=0.8", "train.schedule=cosine", "train.warmup_steps=10"),
        ("train.epochs=2", "train.batch_size=full", "train.ema=0.5", "eval.split=validation", "seed=7"),
    ],
    ids=["defaults", "adam", "epochs"],
)
def test_command_and_configuration_give_the_same_parameters(
    pipeline: Pipeline, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    results = pipeline.run(*settings)
    manifests = {result.stage: result.manifest for result in results}
    manifests["train"] = manifests["train"].model_copy(update={"metrics": {"model_digest": "ab" * 32}})
    found = provenance(manifests, PIPELINE)
    recorded = [manifest.parameters for manifest in manifests.values()]
    (tmp_path / "again.yaml").write_text(found.configuration, encoding="utf-8")
    by_file = load_config(tmp_path / "again.yaml").config
    assert [each.stage.parameters(by_file) for each in PIPELINE.bind(by_file).values()] == recorded
    words = found.command.split()
    assert words[:2] == ["mnist", "run"]
    overrides = [parse_override(word.removeprefix("--set=")) for word in words[2:]]
    by_command = load_config(overrides=overrides).config
    assert [each.stage.parameters(by_command) for each in PIPELINE.bind(by_command).values()] == recorded


def test_digests_of_content_are_distinguished_from_those_of_bytes(pipeline: Pipeline) -> None:
    manifests = {result.stage: result.manifest for result in pipeline.run()}
    manifests["train"] = manifests["train"].model_copy(update={"metrics": {"model_digest": "ab" * 32}})
    names = [name for name, _ in provenance(manifests, PIPELINE).digests]
    marked = [name for name in names if name.endswith(" (content)")]
    fetched = sorted(f"fetch/{name} (content)" for name in FILE_NAMES.values())
    assert sorted(marked) == [*fetched, "preprocess/store.h5 (content)", "train/model.h5 (content)"]
    assert "eval/metrics.json" in names
