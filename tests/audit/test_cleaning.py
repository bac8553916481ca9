"""Files that can be made again and that nothing needs may be removed by hand, and `mnist clean` removes them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from mnist_cli.audit.cleaning import clean, removable
from mnist_cli.audit.verify import verify
from mnist_cli.errors import InputError, Locked
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.pipeline.mutex import locked
from tests.support.command_line import Command
from tests.support.pipelines import Pipeline

UNNEEDED = ["unneeded", "fresh", "fresh", "fresh"]
RAW = 4  # files


def empty(pipeline: Pipeline, how: str) -> None:
    """Remove the raw files: by hand, with their manifest or without, with their folder, or by `clean`."""
    folder = pipeline.file("fetch")
    if how == "the folder":
        shutil.rmtree(folder)
    elif how == "clean":
        clean(pipeline.config(), pipeline.artifacts)
    for path in sorted(folder.glob("*")):
        if how == "all files" or (how == "all but the manifest" and path.name != "manifest.json"):
            path.unlink()


def course(pipeline: Pipeline, step: int, rate: float = 0.5) -> Path:
    """Leave a checkpoint as training does."""
    name = f"{step:04}{round(rate * 10):02}abcdef"
    place = pipeline.file(f"train/checkpoints/{name}/step-{step:08}")
    place.mkdir(parents=True)
    state = {"course": TrainSettings(learning_rate=rate).course(0) | {"version": 4}, "step": step}
    (place / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return place.parent


def found(pipeline: Pipeline, *settings: str) -> list[tuple[str, str, list[str]]]:
    removed = removable(pipeline.config(*settings), pipeline.artifacts)
    return [(one.stage, one.kind, [path.name for path in one.paths]) for one in removed]


@pytest.mark.parametrize("how", ["the folder", "all files", "all but the manifest", "clean"])
def test_raw_files_are_not_needed_once_the_store_is_whole(pipeline: Pipeline, tiny_mnist: Command, how: str) -> None:
    pipeline.run()
    before = {status.stage: status.key for status in pipeline.statuses().values()}
    empty(pipeline, how)
    shutil.rmtree(pipeline.mirror)
    assert pipeline.states() == UNNEEDED
    assert {status.stage: status.key for status in pipeline.statuses().values()} == before
    assert "fetch       unneeded    its files were removed and are not needed" in tiny_mnist("status", "--check").out
    assert pipeline.ran() == []
    tiny_mnist("lock")
    tiny_mnist("lock", "--check")
    tiny_mnist("verify")
    assert pipeline.ran("train.learning_rate=0.9") == ["train", "eval"]
    assert pipeline.ran("train.learning_rate=0.9", "eval.split=validation", stages=("eval",)) == ["eval"]


def test_removing_a_part_of_them_is_removing_them(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("fetch/t10k-images-idx3-ubyte.gz").unlink()
    assert pipeline.states() == UNNEEDED


def test_a_lock_promises_the_files_that_were_removed(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    tiny_mnist("lock")
    promised = Path("pipeline.lock").read_bytes()
    empty(pipeline, "the folder")
    assert "already up to date" in tiny_mnist("lock").out
    assert Path("pipeline.lock").read_bytes() == promised
    tiny_mnist("status", "--frozen", "--check")


def test_they_are_needed_when_their_reader_has_to_run(pipeline: Pipeline) -> None:
    pipeline.run()
    empty(pipeline, "all but the manifest")
    assert pipeline.states("preprocess.validation_size=20")[:2] == ["incomplete", "stale"]
    assert pipeline.ran("preprocess.validation_size=20") == ["fetch", "preprocess", "train", "eval"]
    empty(pipeline, "the folder")
    pipeline.file("preprocess/store.h5").unlink()
    assert pipeline.states("preprocess.validation_size=20")[:2] == ["missing", "incomplete"]


def test_another_seed_or_data_set_is_noticed_without_them(pipeline: Pipeline) -> None:
    pipeline.run()
    empty(pipeline, "the folder")
    assert pipeline.states("dataset=synthetic")[0] == "stale"


def test_who_asks_for_them_gets_them(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    empty(pipeline, "clean")
    refused = tiny_mnist("preprocess", "--force", code=5)
    assert "'preprocess' needs the files of 'fetch', which were removed" in refused.err
    tiny_mnist("fetch", "--mirror", str(pipeline.mirror))
    assert pipeline.states() == ["fresh"] * 4
    empty(pipeline, "clean")
    assert pipeline.ran(force=True) == ["fetch", "preprocess", "train", "eval"]


def test_the_plan_of_a_forced_run_needs_them(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    empty(pipeline, "clean")
    assert tiny_mnist("run", "--dry-run", "--json").document["would_run"] == []
    assert tiny_mnist("run", "--dry-run", "--force", "--json").document["would_run"][0] == "fetch"


def test_a_repair_fetches_them_for_a_store_that_is_damaged(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    empty(pipeline, "clean")
    pipeline.file("preprocess/store.h5").write_bytes(b"garbage")
    assert [check.name for check in verify(pipeline.artifacts) if not check.ok] == ["store.h5"]
    repaired = tiny_mnist("verify", "--repair", "--mirror", str(pipeline.mirror))
    assert "repaired: fetch was run again; preprocess was run again" in repaired.out
    assert pipeline.states() == ["fresh"] * 4


def test_a_download_that_nothing_was_made_from_is_missed(pipeline: Pipeline) -> None:
    pipeline.run(stages=("fetch",))
    pipeline.file("fetch/t10k-images-idx3-ubyte.gz").unlink()
    assert pipeline.states()[0] == "incomplete"
    assert [check.name for check in verify(pipeline.artifacts) if not check.ok] == ["t10k-images-idx3-ubyte.gz"]


def test_cleaning_says_what_it_frees_and_a_dry_run_does_nothing(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    raw = sum(path.stat().st_size for path in pipeline.file("fetch").glob("*.gz"))
    planned = tiny_mnist("clean", "--dry-run", "--json").document
    assert planned == {
        "freed": [
            {"stage": "fetch", "kind": "outputs", "files": planned["freed"][0]["files"], "bytes": raw},
        ],
        "bytes": raw,
        "dry_run": True,
    }
    assert len(planned["freed"][0]["files"]) == RAW
    assert pipeline.states() == ["fresh"] * 4
    assert tiny_mnist("clean", "--json").document == planned | {"dry_run": False}
    assert pipeline.states() == UNNEEDED
    assert tiny_mnist("clean").out == "nothing to remove\n"


def test_cleaning_keeps_what_is_needed(pipeline: Pipeline) -> None:
    pipeline.run("preprocess.validation_size=20")
    assert found(pipeline) == [], "the store would be made again"
    pipeline.run()
    pipeline.file("preprocess/store.h5").write_bytes(b"garbage")
    assert found(pipeline) == []


def test_cleaning_looks_at_every_byte_that_stays(pipeline: Pipeline) -> None:
    pipeline.run()
    path = pipeline.file("preprocess/store.h5")
    times = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-100] + bytes(100))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert clean(pipeline.config(), pipeline.artifacts) == []
    assert len(list(pipeline.file("fetch").glob("*.gz"))) == RAW


def test_checkpoints_of_ended_courses_go_and_others_stay(pipeline: Pipeline) -> None:
    pipeline.run()
    steps = 1000  # where the run ended
    ended, longer, other = course(pipeline, steps), course(pipeline, 22800), course(pipeline, steps, rate=0.3)
    notes = pipeline.file("train/checkpoints/notes")
    notes.mkdir()
    assert ("train", "checkpoints", [ended.name]) in found(pipeline)
    clean(pipeline.config(), pipeline.artifacts)
    assert [path.exists() for path in (ended, longer, other, notes)] == [False, True, True, True]


def test_unfinished_downloads_go_when_the_files_are_there(pipeline: Pipeline) -> None:
    pipeline.run()
    partial = pipeline.file("fetch/partial")
    partial.mkdir(exist_ok=True)
    ours, notes = partial / f"{'0' * 16}-train-images-idx3-ubyte.gz.part", partial / "notes.txt"
    for path in (ours, notes):
        path.write_bytes(b"begun")
    assert ("fetch", "partial", [ours.name]) in found(pipeline)
    assert found(pipeline, "dataset=synthetic") == []
    clean(pipeline.config(), pipeline.artifacts)
    assert (ours.exists(), notes.exists()) == (False, True)


def test_nothing_is_removed_through_a_link(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.run()
    ended = course(pipeline, 1000)
    outside = tmp_path / "outside"
    ended.rename(outside)
    ended.symlink_to(outside)
    kept = tmp_path / "kept"
    name = "train-images-idx3-ubyte.gz"
    pipeline.file(f"fetch/{name}").rename(kept)
    pipeline.file(f"fetch/{name}").symlink_to(kept)
    clean(pipeline.config(), pipeline.artifacts)
    assert list(outside.rglob("state.json"))
    assert kept.exists()
    assert pipeline.file(f"fetch/{name}").is_symlink()


def test_a_linked_folder_is_refused_by_name(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.run()
    pipeline.file("fetch").rename(tmp_path / "elsewhere")
    pipeline.file("fetch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="received a symbolic link"):
        clean(pipeline.config(), pipeline.artifacts)
    assert len(list((tmp_path / "elsewhere").glob("*.gz"))) == RAW


def test_cleaning_waits_for_nobody_and_disturbs_nobody(pipeline: Pipeline) -> None:
    pipeline.run()
    with locked(pipeline.artifacts.root, "a test"), pytest.raises(Locked):
        clean(pipeline.config(), pipeline.artifacts)
    assert pipeline.states() == ["fresh"] * 4
