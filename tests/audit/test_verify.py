"""`mnist verify`: every artifact read again, and training run again."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.audit.verify import rerun_training, verify
from mnist_cli.errors import InputError
from mnist_cli.formats.hdf5_writing import safe_hdf5_file
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Job, Outcome
from tests.support.command_line import mnist
from tests.support.pipelines import Pipeline


def wrong(artifacts: Artifacts) -> list[tuple[str, str]]:
    return [(check.stage, check.name) for check in verify(artifacts) if not check.ok]


def outdated(artifacts: Artifacts) -> list[tuple[str, str]]:
    return [(check.stage, check.name) for check in verify(artifacts) if check.outdated]


def test_a_finished_run_is_what_it_claims(pipeline: Pipeline) -> None:
    pipeline.run()
    checks = verify(pipeline.artifacts)
    assert all(check.ok for check in checks)
    assert len(checks) == 4 + 4 + 1 + 2 + 1 + 1  # four manifests, every output and the record of the run


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no artifacts to verify"):
        verify(Artifacts(tmp_path / "none", PIPELINE))


@pytest.mark.parametrize("name", ["fetch/t10k-labels-idx1-ubyte.gz", "preprocess/store.h5", "eval/metrics.json"])
def test_a_change_that_keeps_size_and_time_is_found(pipeline: Pipeline, name: str) -> None:
    pipeline.run()
    path = pipeline.file(name)
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert pipeline.states() == ["fresh"] * 4, "status trusts size and time; that is what verify is for"
    assert wrong(pipeline.artifacts) == [tuple(name.split("/"))]


def test_a_lost_file_and_a_damaged_manifest_are_found(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("train/model.h5").unlink()
    pipeline.file("eval/manifest.json").write_bytes(b"{}")
    assert wrong(pipeline.artifacts) == [("train", "model.h5"), ("eval", "manifest.json")]


def test_a_problem_does_not_name_the_file_a_second_time(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("eval/manifest.json").write_bytes(b"{")
    (problem,) = [check.problem for check in verify(pipeline.artifacts) if not check.ok]
    assert problem is not None and problem.startswith("not JSON; ")


def test_artifacts_put_together_from_two_runs_are_found(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.run()
    other = Pipeline(tmp_path / "other", pipeline.mirror)
    other.run("preprocess.validation_size=20")
    pipeline.file("preprocess").rename(tmp_path / "old")
    other.file("preprocess").rename(pipeline.file("preprocess"))
    assert wrong(pipeline.artifacts) == []
    assert outdated(pipeline.artifacts) == [
        ("train", "input preprocess/store.h5"),
        ("eval", "input preprocess/store.h5"),
    ]


def test_training_again_gives_the_same_bits(pipeline: Pipeline) -> None:
    pipeline.run("train.learning_rate=0.3")
    report = rerun_training(pipeline.config("train.learning_rate=0.3"), pipeline.artifacts)
    assert report.identical
    assert report.differences == ()


def test_training_again_goes_by_the_recorded_parameters_and_names_those_that_differ_now(pipeline: Pipeline) -> None:
    pipeline.run("train.learning_rate=0.3", "train.steps=7")
    report = rerun_training(pipeline.config("train.epochs=2"), pipeline.artifacts)
    assert report.identical
    assert [reason.what for reason in report.differences] == [
        "parameter train.steps",
        "parameter train.learning_rate",
        "parameter train.epochs",
    ]


def test_training_again_takes_defaults_for_what_did_not_count_then(pipeline: Pipeline) -> None:
    pipeline.run()
    now = pipeline.config("train.ema=0.9", "train.select=best", "train.optimizer=adam", "train.beta_1=0.8")
    report = rerun_training(now, pipeline.artifacts)
    assert report.identical
    assert "parameter train.ema" in [reason.what for reason in report.differences]


def test_what_several_workers_trained_is_trained_again_in_one_process(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run()
    strategies = []
    run = PIPELINE.stages["train"].run

    def noting(job: Job) -> Outcome:
        strategies.append(job.config.value("train.strategy"))
        return run(job)

    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=noting))
    report = rerun_training(pipeline.config("train.strategy=multiworker"), pipeline.artifacts)
    assert (report.identical, strategies) == (True, ["single"])


def test_training_that_gives_other_bits_names_the_runtime(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()

    def other(job: Job) -> Outcome:
        with safe_hdf5_file(job.new / "model.h5") as file:
            file.create_dataset("W", data=np.zeros(3))
        (job.new / "history.jsonl").write_text("{}\n", encoding="utf-8")
        return Outcome({}, runtime={"device": "cpu", "tensorflow": "3"})

    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=other))
    report = rerun_training(pipeline.config(), pipeline.artifacts)
    assert not report.identical
    assert str(report.differences[0]) == "runtime tensorflow 2 → 3"
    assert report.differences[1].what == "model.h5"


def test_the_command_exits_with_6_and_names_the_file(pipeline: Pipeline) -> None:
    pipeline.run()
    arguments = ["verify", "--artifacts", str(pipeline.artifacts.root)]
    mnist(*arguments)
    pipeline.file("eval/metrics.json").write_bytes(b"{}")
    done = mnist(*arguments, code=6)
    assert "1 file not as published: eval/metrics.json" in done.err


def test_a_stage_that_is_gone_altogether_is_missed_by_those_that_read_it(pipeline: Pipeline) -> None:
    pipeline.run()
    shutil.rmtree(pipeline.artifacts.folder("train"))
    assert wrong(pipeline.artifacts) == [("train", "manifest.json")]


def test_a_file_in_the_place_of_a_stages_folder_is_found(pipeline: Pipeline) -> None:
    pipeline.run()
    shutil.rmtree(pipeline.artifacts.folder("eval"))
    pipeline.artifacts.folder("eval").write_bytes(b"")
    assert wrong(pipeline.artifacts) == [("eval", "manifest.json")]
