"""pipeline.lock: its content, what `--frozen` refuses before and after the work, and invalid locks."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.audit.lock_file import LockFile, Promise, lock_of, lock_path, read_lock
from mnist_cli.errors import ConfigError, NotAsLocked
from mnist_cli.stages import PIPELINE
from tests.support.command_line import Command
from tests.support.pipelines import ALL, Pipeline, other_history


@pytest.fixture
def lock(pipeline: Pipeline) -> Path:
    """The lock of a finished run."""
    pipeline.run()
    path = Path("pipeline.lock")
    path.write_bytes(written(pipeline).render())
    return path


def written(pipeline: Pipeline) -> LockFile:
    manifests = {name: status.manifest for name, status in pipeline.statuses().items() if status.manifest}
    return lock_of(manifests, PIPELINE, {})


def frozen(pipeline: Pipeline, lock: Path, *settings: str, **options: Any) -> list[str]:
    return pipeline.ran(*settings, promise=Promise(read_lock(lock, PIPELINE), lock, PIPELINE), **options)


def test_a_lock_holds_what_every_stage_gives_and_nothing_about_the_machine(pipeline: Pipeline, lock: Path) -> None:
    read = read_lock(lock, PIPELINE)
    for name, status in pipeline.statuses().items():
        assert status.manifest is not None
        assert read.stages[name].key == status.manifest.key
        assert read.stages[name].outputs == {file: one.sha256 for file, one in status.manifest.outputs.items()}
    text = lock.read_text(encoding="utf-8")
    assert read.accuracy == 0.9
    assert text.startswith("# What this pipeline gives")
    assert str(pipeline.mirror) not in text
    assert "seconds" not in text


def test_two_folders_with_equal_artifacts_give_equal_bytes(pipeline: Pipeline, lock: Path, tmp_path: Path) -> None:
    other = Pipeline(tmp_path / "other", pipeline.mirror)
    other.run()
    assert written(other).render() == lock.read_bytes()


def test_a_lock_holds_what_was_typed_but_no_place_of_the_machine(pipeline: Pipeline) -> None:
    pipeline.run()
    manifests = {name: status.manifest for name, status in pipeline.statuses().items() if status.manifest}
    kept: dict[str, Any] = {"train.steps": 5, "dataset": "photos/dataset.yaml"}
    assert lock_of(manifests, PIPELINE, kept).overrides == kept
    for value in ("/data/own.yaml", "~/own.yaml", {"images": "/data/photos"}):
        assert lock_of(manifests, PIPELINE, kept | {"dataset": value}).overrides == {"train.steps": 5}


def test_a_lock_stands_beside_its_configuration() -> None:
    assert lock_path(None) == Path("pipeline.lock")
    assert lock_path(Path("runs/fast.yaml")) == Path("runs/fast.lock")


def test_a_frozen_run_on_fresh_artifacts_passes(pipeline: Pipeline, lock: Path) -> None:
    assert frozen(pipeline, lock) == []


def test_a_frozen_run_from_nothing_gives_what_was_promised(pipeline: Pipeline, lock: Path) -> None:
    shutil.rmtree(pipeline.artifacts.root)
    assert frozen(pipeline, lock) == list(ALL)


def test_another_parameter_is_refused_before_any_work(pipeline: Pipeline, lock: Path) -> None:
    shutil.rmtree(pipeline.artifacts.root)
    with pytest.raises(NotAsLocked, match=r"nothing was run\ntrain: train.learning_rate 0.5 → 0.3"):
        frozen(pipeline, lock, "train.learning_rate=0.3")
    assert not pipeline.artifacts.root.exists()


def test_another_version_of_a_library_is_refused_before_any_work(
    pipeline: Pipeline, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = dataclasses.replace(PIPELINE.stages["train"], runtime=lambda _config: {"device": None, "tensorflow": "3"})
    monkeypatch.setitem(PIPELINE.stages, "train", newer)
    with pytest.raises(NotAsLocked, match="train: runtime tensorflow 2 → 3") as caught:
        frozen(pipeline, lock)
    assert caught.value.differences == (
        {"stage": "train", "what": "runtime tensorflow", "old": "2", "new": "3", "text": "runtime tensorflow 2 → 3"},
    )


def test_another_version_of_a_stage_is_refused_before_any_work(
    pipeline: Pipeline, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = PIPELINE.stages["eval"].version
    monkeypatch.setitem(PIPELINE.stages, "eval", dataclasses.replace(PIPELINE.stages["eval"], version=version + 1))
    with pytest.raises(NotAsLocked, match=f"eval: the stage's version {version} → {version + 1}"):
        frozen(pipeline, lock)


def test_only_the_stages_that_are_to_run_and_those_before_them_have_to_be_as_promised(
    pipeline: Pipeline, lock: Path
) -> None:
    shutil.rmtree(pipeline.artifacts.root)
    first = ("fetch", "preprocess")
    assert frozen(pipeline, lock, "train.learning_rate=0.3", stages=first) == list(first)
    with pytest.raises(NotAsLocked, match=r"nothing was run\ntrain: train.learning_rate"):
        frozen(pipeline, lock, "train.learning_rate=0.3", stages=("eval",))


@pytest.mark.parametrize("options", [{"force": True}, {}], ids=["again", "for the first time"])
def test_outputs_that_are_not_as_promised_are_not_published(
    pipeline: Pipeline, lock: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    if not options:
        shutil.rmtree(pipeline.artifacts.root)
    train = pipeline.file("train")
    before = {path: path.read_bytes() for path in train.glob("*")}
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=other_history))
    with pytest.raises(
        NotAsLocked, match=r"the stage's files were not published\ntrain: history.jsonl [0-9a-f]{12}… → "
    ):
        frozen(pipeline, lock, **options)
    assert {path: path.read_bytes() for path in train.glob("*")} == before


def test_fresh_artifacts_that_differ_from_the_lock_are_refused(
    pipeline: Pipeline, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=other_history))
    pipeline.run(force=True)
    with pytest.raises(NotAsLocked, match=r"the published files stay as they are\ntrain: history.jsonl"):
        frozen(pipeline, lock)
    with pytest.raises(NotAsLocked, match=r"the published files stay as they are\ntrain: history.jsonl"):
        frozen(pipeline, lock, stages=("eval",))


def test_force_may_mend_what_is_not_as_promised(
    pipeline: Pipeline, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = PIPELINE.stages["train"]
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(right, run=other_history))
    pipeline.run(force=True)
    monkeypatch.setitem(PIPELINE.stages, "train", right)
    assert frozen(pipeline, lock, force=True) == list(ALL)


@pytest.mark.parametrize(
    ("line_of", "old", "new", "problem"),
    [
        ("  train:", "train.learning_rate: 0.5", "train.learning_rate: 0.25", "train was edited"),
        ("sha256:", "accuracy: 0.9", "accuracy: 0.99", "the file was edited"),
        ("schema:", "mnist-lock/2", "mnist-lock/1", "schema: expected 'mnist-lock/2'; received 'mnist-lock/1'"),
        ("    version: two", "    version: 2", "    version: two", "stages.fetch.version"),
        ("  fetch:", "    outputs:", "    outpots:", "stages.fetch.outputs"),
    ],
)
def test_a_lock_that_was_edited_is_refused_with_its_line(
    lock: Path, line_of: str, old: str, new: str, problem: str
) -> None:
    text = lock.read_text(encoding="utf-8").replace(old, new, 1)
    lock.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_lock(lock, PIPELINE)
    found = re.match(r"pipeline.lock:(\d+):\d+: (.*)", caught.value.message)
    assert found, caught.value.message
    assert problem in caught.value.message
    expected = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(line_of))
    assert int(found[1]) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"- 1\n",
        b"schema: mnist-lock/1\n",
        b"{" * 50,
        b"<<<<<<< HEAD\n",
        b"a: &x 1\nb: *x\n",
        b"stages: [\n",
    ],
)
def test_garbage_is_no_lock(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.lock"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"pipeline.lock:\d+:\d+: "):
        read_lock(path, PIPELINE)


@pytest.mark.parametrize("change", ["stage", "output", "extra"])
def test_a_lock_of_other_stages_is_refused(lock: Path, change: str) -> None:
    content = read_lock(lock, PIPELINE).model_dump(by_alias=True)
    if change == "stage":
        del content["stages"]["eval"]
    elif change == "output":
        del content["stages"]["train"]["outputs"]["model.h5"]
    else:
        content["stages"]["deploy"] = content["stages"]["eval"]
    lock.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"pipeline\.lock:1:"):
        read_lock(lock, PIPELINE)


def test_only_what_is_fresh_can_be_locked(pipeline: Pipeline, tiny_mnist: Command) -> None:
    done = tiny_mnist("lock", code=4)
    assert "fetch is missing: never run" in done.err
    pipeline.run()
    done = tiny_mnist("lock", "--set", "train.steps=7", code=4)
    assert "train is stale: train.steps 1000 → 7" in done.err
    assert not Path("pipeline.lock").exists()


def test_a_change_that_keeps_size_and_time_is_not_locked(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    path = pipeline.file("eval/metrics.json")
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b"test", b"tset"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = tiny_mnist("lock", code=4)
    assert "eval is corrupt" in done.err


def test_locking_twice_writes_once_and_check_agrees(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    done = tiny_mnist("lock", "--json")
    assert done.document == {"file": "pipeline.lock", "written": True, "ok": True}
    before = Path("pipeline.lock").stat().st_mtime_ns
    done = tiny_mnist("lock", "--json")
    assert done.document["written"] is False
    assert Path("pipeline.lock").stat().st_mtime_ns == before
    tiny_mnist("lock", "--check")


def test_check_exits_with_4_when_the_lock_says_something_else(
    pipeline: Pipeline, tiny_mnist: Command, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_mnist("lock", "--check", "--set", "train.learning_rate=0.3", code=4)
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=other_history))
    pipeline.run(force=True)
    before = lock.read_bytes()
    done = tiny_mnist("lock", "--check", code=4)
    assert "train: history.jsonl" in done.err
    assert lock.read_bytes() == before


def test_another_place_can_be_named(pipeline: Pipeline, tiny_mnist: Command, tmp_path: Path) -> None:
    pipeline.run()
    tiny_mnist("lock", "--output", str(tmp_path / "promise.lock"))
    assert read_lock(tmp_path / "promise.lock", PIPELINE).dataset == "tiny"
    assert not Path("pipeline.lock").exists()


@pytest.mark.parametrize("command", [("run", "--frozen"), ("status", "--frozen"), ("lock", "--check")])
def test_a_missing_lock_names_the_command_that_writes_it(tiny_mnist: Command, command: tuple[str, ...]) -> None:
    done = tiny_mnist(*command, code=3)
    assert "pipeline.lock: there is no such file" in done.err
    assert "run 'mnist lock " in done.err


@pytest.mark.parametrize("command", [("run", "--to", "train"), ("run", "--dry-run"), ("status",)])
def test_frozen_commands_report_what_differs(lock: Path, tiny_mnist: Command, command: tuple[str, ...]) -> None:
    tiny_mnist(*command, "--frozen")
    done = tiny_mnist(*command, "--frozen", "--json", "--set", "train.learning_rate=0.3", code=4)
    error = done.document["error"]
    assert error["code"] == "not-as-locked"
    assert error["differences"][0]["text"] == "train.learning_rate 0.5 → 0.3"


def test_the_accuracy_in_a_lock_is_compared(pipeline: Pipeline, lock: Path) -> None:
    manifests = {name: one.manifest for name, one in pipeline.statuses().items() if one.manifest}
    locked = read_lock(lock, PIPELINE)
    assert not any(locked.after(manifests).values())
    differences = locked.model_copy(update={"accuracy": 0.99}).after(manifests)
    assert [str(reason) for reason in differences["eval"]] == ["accuracy 0.99 → 0.9"]
