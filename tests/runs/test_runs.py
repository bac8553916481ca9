"""Finished trainings are kept as runs: what is recorded, when, and what a damaged record does."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.errors import FormatError, InputError, UsageError
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.runs import recording
from mnist_cli.runs.names import run_ids
from mnist_cli.runs.runs import Run, find_run, read_run, read_runs
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.fetch import FetchSettings
from mnist_cli.stages.stage import Job, Outcome
from tests.support.command_line import HEAVY, Command, imported_by, mnist
from tests.support.pipelines import Pipeline, fake_evaluate, fake_train, stand_in
from tests.support.progress import Listener

HISTORY = [
    {"step": 1, "loss": 2.0, "validation_loss": 1.5, "validation_accuracy": 0.5},
    {"step": 2, "loss": 1.0, "validation_loss": 1.25, "validation_accuracy": 0.75},
]


def train_with_a_history(job: Job) -> Outcome:
    outcome = fake_train(job)
    lines = "".join(json.dumps(record) + "\n" for record in HISTORY)
    (job.new / "history.jsonl").write_text(lines, encoding="utf-8")
    return outcome


def evaluate_like_the_stage(job: Job) -> Outcome:
    outcome = fake_evaluate(job)
    return Outcome(outcome.metrics | {"cross_entropy": 0.3, "split": job.config.value("eval.split")})


def runs(pipeline: Pipeline) -> list[Run]:
    whole, damaged = read_runs(Artifacts(pipeline.artifacts.root, PIPELINE))
    assert not damaged
    return whole


def test_a_finished_training_is_a_run_with_what_was_published(pipeline: Pipeline) -> None:
    train = pipeline.run()[2].manifest
    (run,) = runs(pipeline)
    assert run.id == train.key[:8]
    assert run.train.document() == train.document()
    assert run.parameters["preprocess.validation_size"] == 10
    assert run.model_file.read_bytes() == pipeline.file("train/model.h5").read_bytes()
    assert (run.folder / "history.jsonl").read_bytes() == pipeline.file("train/history.jsonl").read_bytes()


def test_evaluations_join_the_run_of_their_model(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.run("eval.split=validation")
    (run,) = runs(pipeline)
    assert list(run.evaluations) == ["test", "validation"]
    assert run.evaluations["test"].metrics == {"split": "test", "accuracy": 0.9}


def test_the_same_training_again_is_the_same_run(pipeline: Pipeline) -> None:
    pipeline.run()
    before = runs(pipeline)[0]
    pipeline.run("train.learning_rate=0.3")
    pipeline.run(stages=("train",))
    assert [run.id for run in runs(pipeline)][-1] == before.id
    assert runs(pipeline)[-1].record.created > before.record.created
    assert runs(pipeline)[-1].evaluations == before.evaluations


def test_an_evaluation_of_other_bits_does_not_stay(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()

    original = PIPELINE.stages["train"].run
    other = pipeline.config("train.learning_rate=0.9")
    differently = dataclasses.replace(
        PIPELINE.stages["train"], run=lambda job: original(dataclasses.replace(job, config=other))
    )
    monkeypatch.setitem(PIPELINE.stages, "train", differently)
    pipeline.run(stages=("train",), force=True)
    (run,) = runs(pipeline)
    assert run.evaluations == {}


def test_a_run_with_the_bits_of_another_gets_its_evaluation_too(pipeline: Pipeline) -> None:
    pipeline.run("train.steps=1")
    assert pipeline.ran("train.steps=2") == ["train"]
    assert [list(run.evaluations) for run in runs(pipeline)] == [["test"], ["test"]]


def test_the_oldest_runs_go_and_the_published_one_stays(pipeline: Pipeline) -> None:
    ids = [pipeline.run(f"train.steps={steps}", "keep_runs=2")[2].manifest.key[:8] for steps in (1, 2, 3)]
    assert [run.id for run in runs(pipeline)] == ids[1:]
    pipeline.run("train.steps=2", "keep_runs=1")
    assert [run.id for run in runs(pipeline)] == [ids[1]]


def test_a_run_that_is_pushed_out_is_named(pipeline: Pipeline) -> None:
    listener = Listener()
    ids = [
        pipeline.run(f"train.steps={steps}", "keep_runs=2", progress=listener)[2].manifest.key[:8]
        for steps in (1, 2, 3)
    ]
    assert listener.notes == [f"removed the oldest run, {ids[0]}: keep_runs is 2"]


def test_lowering_keep_runs_removes_nothing_until_it_is_asked_for(pipeline: Pipeline, tiny_mnist: Command) -> None:
    ids = [pipeline.run(f"train.steps={steps}")[2].manifest.key[:8] for steps in (1, 2, 3)]
    listener = Listener()
    pipeline.run("train.steps=4", "keep_runs=1", progress=listener)
    assert len(runs(pipeline)) == 4
    words = f"3 runs more than keep_runs (1) are kept; 'mnist runs prune' removes {', '.join(ids)}"
    assert listener.notes == [words]
    done = tiny_mnist("runs", "prune", "--set", "keep_runs=2", "--json")
    assert done.document == {"removed": ids[:2]}
    assert runs(pipeline)[0].id == ids[2]
    assert "nothing to remove: keep_runs is 2" in tiny_mnist("runs", "prune", "--set", "keep_runs=2").out


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let creating files fail, as on a disk without free inodes."""
    original = os.open

    def opened(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
        return original(path, flags, *more, **options)

    def renamed(path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(Path, "rename", renamed)


def test_a_run_can_be_removed_from_a_full_disk(listed: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = runs(listed)
    full(monkeypatch)
    mnist("runs", "rm", first.id)
    assert runs(listed) == [second]


@pytest.mark.parametrize("lock_is_there", [True, False])
def test_a_full_disk_can_be_verified(listed: Pipeline, monkeypatch: pytest.MonkeyPatch, lock_is_there: bool) -> None:
    if not lock_is_there:
        listed.file(".lock").unlink()
    full(monkeypatch)
    assert mnist("verify").code == 0


@pytest.mark.parametrize(
    ("rate", "step", "line"),
    [
        (0.3, 22800, "train can resume from step 22,800 with train.learning_rate=0.3"),
        (0.5, 22800, "train can resume from step 22,800 with these settings"),
        (0.5, 1000, None),  # a run ended there
    ],
)
def test_status_lists_what_can_be_resumed(
    listed: Pipeline, tiny_mnist: Command, rate: float, step: int, line: str | None
) -> None:
    listed.run()
    place = listed.file(f"train/checkpoints/0123456789ab/step-{step:08}")
    place.mkdir(parents=True)
    state = {"course": TrainSettings(learning_rate=rate).course(0) | {"version": 4}, "step": step}
    (place / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (listed.file("train/checkpoints/notes")).mkdir()
    told = [text for text in tiny_mnist("status").out.splitlines() if "can resume" in text]
    assert told == ([line] if line else [])


def test_a_damaged_run_goes_before_any_other(pipeline: Pipeline) -> None:
    first, second = (pipeline.run(f"train.steps={steps}")[2].manifest.key[:8] for steps in (1, 2))
    pipeline.file(f"runs/{second}/run.json").write_bytes(b"{")
    third = pipeline.run("train.steps=3", "keep_runs=2")[2].manifest.key[:8]
    assert sorted(run.id for run in runs(pipeline)) == sorted([first, third])


def test_keep_runs_changes_no_stage(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.states("keep_runs=3") == ["fresh"] * 4


def test_a_record_that_was_not_made_is_made_by_the_next_run(pipeline: Pipeline) -> None:
    pipeline.run()
    before = runs(pipeline)[0]
    (before.folder / "eval-test.json").unlink()
    assert pipeline.ran() == []
    assert runs(pipeline)[0].evaluations == before.evaluations
    shutil.rmtree(before.folder)
    assert pipeline.ran() == []
    assert runs(pipeline)[0].train == before.train
    assert runs(pipeline)[0].evaluations == before.evaluations


def test_a_record_that_cannot_be_written_does_not_fail_the_training(pipeline: Pipeline) -> None:
    pipeline.artifacts.root.mkdir()
    pipeline.file("runs").write_bytes(b"a file where the folder should be")
    listener = Listener()
    assert pipeline.ran(progress=listener) == ["fetch", "preprocess", "train", "eval"]
    assert "this run is not recorded in artifacts/runs" in listener.warnings[0]
    assert pipeline.states() == ["fresh"] * 4


def test_a_killed_recording_leaves_nothing_that_looks_like_a_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_now", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run()
    assert run_ids(pipeline.artifacts.root) == []
    assert pipeline.ran() == ["eval"]
    assert len(runs(pipeline)) == 1
    assert not list(pipeline.file("runs").glob(".tmp-*"))


OPERATIONS = ("write_bytes", "write_json", "remove", "remove_atomically", "sync_folder")


@pytest.mark.parametrize("rates", [(0.5,), (0.9, 0.8)], ids=["the same bits", "other bits"])
def test_recording_again_loses_no_evaluation_wherever_it_is_killed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...]
) -> None:
    rate = itertools.cycle(rates)

    def train(job: Job) -> Outcome:
        return fake_train(dataclasses.replace(job, config=pipeline.config(f"train.learning_rate={next(rate)}")))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    pipeline.run("eval.split=validation")
    pipeline.run()
    before = runs(pipeline)[0].evaluations
    stand_in(monkeypatch, "train", run=train)
    for name in OPERATIONS:
        original = getattr(files, name)
        for fatal in range(4):
            calls = itertools.count()
            with monkeypatch.context() as patch:
                manifest = pipeline.run(stages=("train",), force=True, records=False)[0].manifest
                dying = lambda *given: killed() if next(calls) == fatal else original(*given)  # noqa: E731, B023
                patch.setattr(files, name, dying)
                with contextlib.suppress(KeyboardInterrupt):
                    recording.record(Artifacts(pipeline.artifacts.root, PIPELINE), manifest)
            pipeline.run()
            (run,) = runs(pipeline)
            assert run.train.outputs == manifest.outputs
            expected = {"test"} if len(rates) > 1 else before
            assert set(run.evaluations) == set(expected), (name, fatal)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("run.json", b"{", "not JSON"),
        ("run.json", b"[]", "the document is wrong"),
        ("run.json", None, "run.json is missing"),
        ("model.h5", b"x", "changed after it was written"),
        ("model.h5", None, "changed after it was written"),
        ("history.jsonl", b"", "changed after it was written"),
        ("eval-test.json", b"\xff", "not JSON"),
    ],
)
def test_a_damaged_record_is_reported(pipeline: Pipeline, name: str, content: bytes | None, problem: str) -> None:
    pipeline.run()
    path = runs(pipeline)[0].folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    whole, damaged = read_runs(Artifacts(pipeline.artifacts.root, PIPELINE))
    assert whole == []
    assert problem in damaged[0].problem


@pytest.mark.parametrize("name", ["run.json", "eval-test.json"])
def test_a_record_that_was_changed_is_noticed(pipeline: Pipeline, name: str) -> None:
    pipeline.run()
    path = runs(pipeline)[0].folder / name
    path.write_text(path.read_text(encoding="utf-8").replace('"seconds": ', '"seconds": 1'), encoding="utf-8")
    with pytest.raises(FormatError, match="its content was changed"):
        read_run(Artifacts(pipeline.artifacts.root, PIPELINE), path.parent.name)


def test_a_record_under_another_id_is_damaged(pipeline: Pipeline) -> None:
    pipeline.run()
    folder = runs(pipeline)[0].folder
    folder.rename(folder.with_name("00000000"))
    assert "the record of another training" in read_runs(Artifacts(pipeline.artifacts.root, PIPELINE))[1][0].problem


def test_runs_have_names(pipeline: Pipeline) -> None:
    root = pipeline.artifacts.root
    first, second = (pipeline.run(f"train.steps={steps}")[2].manifest.key[:8] for steps in (1, 2))
    pipeline.run("train.steps=1")
    assert (
        find_run(Artifacts(root, PIPELINE), "latest").id == find_run(Artifacts(root, PIPELINE), "published").id == first
    )
    assert find_run(Artifacts(root, PIPELINE), "previous").id == second
    length = next(length for length in range(1, 9) if first[:length] != second[:length])
    assert find_run(Artifacts(root, PIPELINE), first[:length].upper()).id == first


def test_a_beginning_of_several_ids_is_refused(pipeline: Pipeline) -> None:
    root = pipeline.artifacts.root
    for name in ("aa000000", "aa000001"):
        (root / "runs" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="the beginning of several runs: aa000000, aa000001"):
        find_run(Artifacts(root, PIPELINE), "aa")


@pytest.mark.parametrize("name", ["", "zz", "latest", "published", "../../etc", "00000000"])
def test_an_unknown_run_is_an_input_error(pipeline: Pipeline, name: str) -> None:
    with pytest.raises(InputError, match="there is no run"):
        find_run(Artifacts(pipeline.artifacts.root, PIPELINE), name)


def test_run_ids_are_those_of_the_folders(tmp_path: Path) -> None:
    assert run_ids(tmp_path) == []
    for name in ("3f9a0b1c", "00000000", ".sweep", "notes", "3f9a0b1c2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert run_ids(tmp_path) == ["00000000", "3f9a0b1c"]


@pytest.fixture
def listed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Two runs, the second one published and its evaluation as the stage's."""
    monkeypatch.setitem(
        PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=train_with_a_history)
    )
    monkeypatch.setitem(
        PIPELINE.stages, "eval", dataclasses.replace(PIPELINE.stages["eval"], run=evaluate_like_the_stage)
    )
    pipeline.run("train.steps=1")
    pipeline.run("train.steps=2")
    return pipeline


def test_the_list_has_the_latest_first_and_marks_the_published(listed: Pipeline) -> None:
    lines = mnist("runs", "list").out.splitlines()
    first, second = runs(listed)
    assert lines[1].startswith(f"* {second.id}")
    assert lines[2].startswith(f"  {first.id}")
    assert lines[2].endswith("dataset=tiny preprocess.validation_size=10 train.steps=1")
    assert "90.00 %" in lines[1]


def test_the_list_leaves_out_what_an_optimizer_brings_by_itself(listed: Pipeline) -> None:
    listed.run("train.optimizer=adam", "train.beta_2=0.99")
    first = mnist("runs", "list").out.splitlines()[1]
    assert first.endswith("dataset=tiny preprocess.validation_size=10 train.optimizer=adam train.beta_2=0.99")


def test_the_list_shows_only_parameters_that_can_be_typed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(_settings: FetchSettings, config: Config) -> dict[str, Any]:
        name = config.value("dataset")
        return {"dataset": name} if name == "mnist" else {"dataset": name, "generator": 2}

    monkeypatch.setattr(FetchSettings, "counted", counted)
    pipeline.run("train.steps=1")
    assert runs(pipeline)[0].parameters["generator"] == 2
    assert "generator" not in mnist("runs", "list").out


def test_the_list_as_json_has_the_damaged_ones_too(listed: Pipeline) -> None:
    first, second = runs(listed)
    (first.folder / "run.json").write_bytes(b"")
    document = mnist("runs", "list", "--json").document
    assert [run["id"] for run in document["runs"]] == [second.id]
    assert document["runs"][0]["published"]
    assert document["damaged"][0]["id"] == first.id


def test_listing_and_showing_runs_import_nothing_heavy(listed: Pipeline) -> None:
    for arguments in (["runs", "list"], ["runs", "show", "latest"]):
        assert imported_by(arguments, listed.artifacts.root.parent).isdisjoint(HEAVY)


def test_show_lists_parameters_metrics_and_digests(listed: Pipeline) -> None:
    _, second = runs(listed)
    text = mnist("runs", "show", "latest").out
    assert f"run {second.id}, published " in text
    assert "train.steps                    2" in text
    assert "evaluation on test" in text
    assert str(second.images) in text


def test_show_as_json_has_the_whole_record(listed: Pipeline) -> None:
    _, second = runs(listed)
    document = mnist("runs", "show", second.id, "--json").document
    assert document["train"] == second.train.document()
    assert document["evaluations"] == {"test": second.evaluations["test"].document()}
    assert document["history"] == HISTORY


def test_an_empty_list_says_what_to_run(pipeline: Pipeline) -> None:
    done = mnist("runs", "list")
    assert "'mnist run' makes one" in done.out


def test_rm_removes_and_refuses_the_published_one(listed: Pipeline) -> None:
    first, second = runs(listed)
    mnist("runs", "rm", first.id, second.id, code=2)
    assert len(runs(listed)) == 2
    mnist("runs", "rm", first.id)
    assert runs(listed) == [second]
    done = mnist("runs", "rm", first.id, code=5)
    assert "hint: run 'mnist runs list'" in done.err


def test_rm_removes_a_damaged_run(listed: Pipeline) -> None:
    first, _ = runs(listed)
    (first.folder / "model.h5").unlink()
    mnist("runs", "rm", first.id)
    assert not first.folder.exists()


def test_a_folder_without_runs_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_runs(Artifacts(tmp_path / "artifacts", PIPELINE)) == ([], [])
    mnist("runs", "show", "latest", code=5)
    mnist("runs", "rm", "latest", code=5)
    assert not (tmp_path / "artifacts").exists()
