"""`mnist verify`: checkpoints and the lock; `--repair` repairs what is damaged, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from mnist_cli.audit.repair import as_recorded
from mnist_cli.audit.verify import verify
from mnist_cli.errors import InputError, Locked
from mnist_cli.learning.checkpoint_state import State, write_state
from mnist_cli.pipeline import mutex as locks
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.mutex import locked
from mnist_cli.runs.names import run_ids
from mnist_cli.runs.runs import read_run
from mnist_cli.stages import PIPELINE
from tests.support.command_line import Command, Result, mnist
from tests.support.pipelines import Pipeline, other_history

COURSE = "0123456789ab"


def add_checkpoint(pipeline: Pipeline, step: int) -> Path:
    folder = pipeline.file(f"train/checkpoints/{COURSE}/step-{step:08}")
    folder.mkdir(parents=True)
    (folder / "weights.index").write_bytes(b"weights")
    (folder / "history.jsonl").write_bytes(b"")
    write_state(folder, State(step, 0, ()), {"seed": 0})
    return folder


def wrong(pipeline: Pipeline) -> list[str]:
    return [f"{check.stage}/{check.name}" for check in verify(pipeline.artifacts) if not check.ok]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def ran(done: Result) -> list[str]:
    return [stage["stage"] for stage in done.document.get("stages", []) if stage["ran"] or stage["taken_from"]]


def digests(pipeline: Pipeline) -> list[str]:
    return [check.sha256 for check in verify(pipeline.artifacts) if check.sha256]


def test_whole_checkpoints_are_listed(pipeline: Pipeline) -> None:
    pipeline.run()
    add_checkpoint(pipeline, 100)
    add_checkpoint(pipeline, 200)
    names = [check.name for check in verify(pipeline.artifacts) if check.checkpoint]
    assert names == [f"checkpoints/{COURSE}/step-00000200", f"checkpoints/{COURSE}/step-00000100"]
    assert wrong(pipeline) == []


@pytest.mark.parametrize("what", ["weights", "state", "lost file", "lost state", "other step", "no folder"])
def test_a_damaged_checkpoint_is_found(pipeline: Pipeline, what: str) -> None:
    pipeline.run()
    add_checkpoint(pipeline, 100)
    folder = add_checkpoint(pipeline, 200)
    if what == "weights":
        (folder / "weights.index").write_bytes(b"weighty")
    elif what == "state":
        damage(folder / "state.json")
    elif what in ("lost file", "lost state"):
        (folder / {"lost file": "history.jsonl", "lost state": "state.json"}[what]).unlink()
    elif what == "other step":
        folder = folder.rename(folder.with_name("step-00000300"))
    else:
        shutil.rmtree(folder)
        folder.write_bytes(b"")
    assert wrong(pipeline) == [f"train/checkpoints/{COURSE}/{folder.name}"]


def test_checkpoints_of_a_training_that_never_finished_are_verified(pipeline: Pipeline) -> None:
    damage(add_checkpoint(pipeline, 100) / "state.json")
    assert wrong(pipeline) == [f"train/checkpoints/{COURSE}/step-00000100"]


def test_repair_removes_damaged_checkpoints_and_runs_nothing(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    whole, damaged = add_checkpoint(pipeline, 100), add_checkpoint(pipeline, 200)
    damage(damaged / "state.json")
    tiny_mnist("verify", code=6)
    assert damaged.exists()
    done = tiny_mnist("verify", "--repair", "--json")
    assert (whole.exists(), damaged.exists()) == (True, False)
    assert f"removed the damaged checkpoints/{COURSE}/step-00000200: state.json" in done.err
    assert done.document["repaired"]["checkpoints"] == [f"checkpoints/{COURSE}/step-00000200"]
    assert ran(done) == []


def test_files_without_a_manifest_are_found(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("eval/manifest.json").unlink()
    assert wrong(pipeline) == ["eval/manifest.json"]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("fetch/t10k-labels-idx1-ubyte.gz", "fetch"),
        ("fetch/manifest.json", "fetch"),
        ("preprocess/store.h5", "preprocess"),
        ("train/model.h5", "train"),
        ("train/history.jsonl", "train"),
        ("train/manifest.json", "train"),
        ("eval/metrics.json", "eval"),
        ("eval/manifest.json", "eval"),
    ],
)
@pytest.mark.parametrize("how", ["garbage", "gone"])
def test_repair_runs_only_the_stage_whose_file_is_wrong(
    pipeline: Pipeline, tiny_mnist: Command, name: str, stage: str, how: str
) -> None:
    pipeline.run()
    before = digests(pipeline)
    if how == "gone" and name.endswith(".gz"):
        pytest.skip("a raw file that is gone is not needed: tests/audit/test_cleaning.py")
    if how == "gone":
        pipeline.file(name).unlink()
    else:
        pipeline.file(name).write_bytes(b"garbage")
    assert wrong(pipeline) == [name]
    done = tiny_mnist("verify", "--repair", "--json", "--mirror", str(pipeline.mirror))
    assert ran(done) == [stage]
    assert digests(pipeline) == before
    assert pipeline.states() == ["fresh"] * 4


def test_repair_finds_what_keeps_size_and_time(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    path = pipeline.file("train/history.jsonl")
    times = path.stat()
    path.write_bytes(b"[]\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = tiny_mnist("verify", "--repair", "--json")
    assert ran(done) == ["train"]


def test_of_a_download_only_the_wrong_file_is_fetched_again(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    name = "t10k-images-idx3-ubyte.gz"
    pipeline.file(f"fetch/{name}").write_bytes(b"<html>")
    for path in pipeline.mirror.iterdir():
        if path.name != name:
            path.unlink()
    done = tiny_mnist("verify", "--repair", "--mirror", str(pipeline.mirror))
    assert "repaired: fetch was run again" in done.out


def test_a_mirror_that_is_wrong_too_leaves_everything_as_it_was(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    name = "fetch/t10k-images-idx3-ubyte.gz"
    pipeline.file(name).write_bytes(b"<html>")
    tiny_mnist("verify", "--repair", "--mirror", "nowhere", code=8)
    assert wrong(pipeline) == [name]


def test_repair_goes_by_what_the_stages_were_run_with(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run("train.learning_rate=0.3", "train.steps=7")
    before = digests(pipeline)
    pipeline.file("train/model.h5").write_bytes(b"garbage")
    done = tiny_mnist("verify", "--repair", "--json", "--set", "train.learning_rate=0.9")
    assert ran(done) == ["train"]
    assert digests(pipeline) == before
    assert pipeline.artifacts.manifest("train").overrides == {"train.learning_rate": 0.3, "train.steps": 7}  # type: ignore[union-attr]
    assert pipeline.states("train.learning_rate=0.3", "train.steps=7") == ["fresh"] * 4


def test_what_comes_out_anew_is_what_the_next_stage_is_run_with(
    pipeline: Pipeline, tiny_mnist: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run("train.learning_rate=0.3")
    pipeline.file("train/manifest.json").write_bytes(b"garbage")  # and with it the learning rate
    done = tiny_mnist("verify", "--repair", "--json")
    assert ran(done) == ["train", "eval"]
    assert pipeline.states() == ["fresh"] * 4
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=other_history))
    pipeline.file("train/manifest.json").write_bytes(b"garbage")
    done = tiny_mnist("verify", "--repair", "--json")
    assert ran(done) == ["train"], "eval does not read the history"


def test_what_was_not_wrong_is_not_brought_up_to_date(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    pipeline.run("preprocess.validation_size=20", stages=("preprocess",))
    pipeline.file("fetch/manifest.json").write_bytes(b"{}")
    done = tiny_mnist("verify", "--repair", "--json", "--mirror", str(pipeline.mirror))
    assert ran(done) == ["fetch"]


def test_stages_that_disagree_are_not_repaired(pipeline: Pipeline) -> None:
    pipeline.run()
    manifest = pipeline.artifacts.manifest("fetch")
    assert manifest is not None
    changed = manifest.model_copy(update={"parameters": {"dataset": "tiny", "seed": 5}})
    pipeline.file("fetch/manifest.json").write_text(json.dumps(changed.document()), encoding="utf-8")
    with pytest.raises(InputError, match="seed: expected one value; train was run with 0, a stage before it with 5"):
        as_recorded(pipeline.config(), pipeline.artifacts)


@pytest.mark.parametrize("repair", [(), ("--repair",)], ids=["verify", "repair"])
def test_a_run_beside_it_is_named(pipeline: Pipeline, tiny_mnist: Command, repair: tuple[str, ...]) -> None:
    pipeline.run()
    with locked(pipeline.artifacts.root, "mnist train"):
        done = tiny_mnist("verify", *repair, code=7)
    assert "another run is in progress: 'mnist train'" in done.err
    tiny_mnist("verify")


def test_a_run_that_ends_in_time_is_waited_for(pipeline: Pipeline) -> None:
    pipeline.run()
    held, looking = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(pipeline.artifacts.root, "mnist train"):
            held.set()
            looking.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with pytest.raises(Locked):
        verify(pipeline.artifacts)
    looking.set()
    assert all(check.ok for check in verify(pipeline.artifacts, wait=30))
    holder.join()


def test_a_folder_that_cannot_be_written_is_verified_without_the_lock(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run()

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(locks, "locked", refuse)
    assert wrong(pipeline) == []


def test_verify_makes_no_folder(tmp_path: Path) -> None:
    mnist("verify", "--artifacts", str(tmp_path / "none"), code=5)
    assert list(tmp_path.iterdir()) == []


def test_every_record_of_a_run_is_read_again(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.run("train.steps=5")
    old, new = run_ids(pipeline.artifacts.root)
    damage(pipeline.file(f"runs/{new}/model.h5"))
    found = {check.name: check.ok for check in verify(pipeline.artifacts) if check.stage == "runs"}
    assert found == {old: True, new: False}


@pytest.mark.parametrize("how", ["changed", "a file"])
def test_repair_removes_damaged_records_and_makes_that_of_the_published_run_again(
    pipeline: Pipeline, tiny_mnist: Command, how: str
) -> None:
    pipeline.run()
    old = run_ids(pipeline.artifacts.root)[0]
    pipeline.run("train.steps=5")
    (published,) = {*run_ids(pipeline.artifacts.root)} - {old}
    for name in (old, published):
        record = pipeline.file(f"runs/{name}")
        if how == "changed":
            damage(record / "model.h5")
        else:
            shutil.rmtree(record)
            record.write_bytes(b"")
    tiny_mnist("verify", code=6)
    done = tiny_mnist("verify", "--repair")
    assert "2 damaged records removed" in done.out
    assert run_ids(pipeline.artifacts.root) == [published]
    assert list(read_run(Artifacts(pipeline.artifacts.root, PIPELINE), published).evaluations) == ["test"]
