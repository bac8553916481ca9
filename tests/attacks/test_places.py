"""Artifacts in odd places, and in those where a user other than root may not write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_cli.pipeline.digests import DigestCache
from tests.attacks.scene import Scene, published
from tests.support.warm import Process

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def place(actors: Scene) -> Iterator[Path]:
    """A folder in which the old run is published and the new one is configured."""
    with actors.copy("run") as folder:
        yield folder


def give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def refusal(process: Process, code: int, path: Path | str) -> None:
    assert process.code == code, process.err
    errors = [line for line in process.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, process.err
    assert str(path) in errors[0]
    assert "Traceback" not in process.err


@pytest.mark.parametrize(
    "name",
    [
        "with spaces ",
        "line\nfeed",
        "[/x] [red]",
        "😀 ü",
        "n" * 200,
        "-dash",
        "'quotes\"",
        "%s {x} $HOME *?",
    ],
    ids=["spaces", "line feed", "markup", "emoji", "long", "dash", "quotes", "patterns"],
)
def test_the_artifacts_folder_may_have_any_name(actors: Scene, place: Path, name: str) -> None:
    odd = place / name
    odd.parent.mkdir(exist_ok=True)
    (place / "artifacts").rename(odd)
    done = actors.warm.run("run", "--artifacts", str(odd), folder=place)
    assert done.code == 0, done.err
    assert published(odd) == actors.new


def test_a_name_that_is_not_utf_8_is_refused_before_any_work(actors: Scene, place: Path) -> None:
    done = actors.warm.run("run", "--artifacts", os.fsdecode(b"\xff"), folder=place)
    refusal(done, 2, "\\udcff")
    assert not (place / os.fsdecode(b"\xff")).exists()


def test_the_artifacts_folder_may_be_a_symbolic_link(actors: Scene, place: Path) -> None:
    (place / "artifacts").rename(place / "elsewhere")
    (place / "artifacts").symlink_to("elsewhere")
    assert actors.recover(place) == []
    assert (place / "artifacts").is_symlink()


def test_a_link_to_nowhere_is_refused(actors: Scene, place: Path) -> None:
    shutil.rmtree(place / "artifacts")
    (place / "artifacts").symlink_to("nowhere")
    refusal(actors.command(place, "run"), 5, place / "artifacts")


@as_root
def test_a_read_only_folder_is_refused_before_any_work(actors: Scene, place: Path) -> None:
    done = actors.warm.run("run", folder=place, user=NOBODY)
    refusal(done, 1, "artifacts/.lock")
    assert done.out == ""
    assert published(place / "artifacts") == actors.old


@as_root
def test_a_read_only_folder_in_which_everything_is_fresh_is_no_problem(actors: Scene, place: Path) -> None:
    assert actors.recover(place) == []
    done = actors.warm.run("run", folder=place, user=NOBODY)
    assert (done.code, done.err) == (0, "")


@as_root
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(actors: Scene, place: Path) -> None:
    shutil.rmtree(place / "artifacts")
    done = actors.warm.run("run", folder=place, user=NOBODY)
    refusal(done, 1, "artifacts")
    assert done.out == ""


@as_root
@pytest.mark.parametrize("stage", ["fetch", "preprocess", "train", "eval"])
def test_a_read_only_stage_is_refused_before_any_work(actors: Scene, place: Path, stage: str) -> None:
    give_away(place)
    os.chown(place / "artifacts" / stage, 0, 0)
    done = actors.warm.run("run", folder=place, user=NOBODY)
    refusal(done, 1, f"artifacts/{stage}")
    assert done.out == ""
    assert published(place / "artifacts") == actors.old


@as_root
def test_a_read_only_folder_of_checkpoints_is_refused_before_any_work(actors: Scene, place: Path) -> None:
    checkpoints = place / "artifacts/train/checkpoints"
    checkpoints.mkdir(exist_ok=True)
    give_away(place)
    os.chown(checkpoints, 0, 0)
    done = actors.warm.run("run", folder=place, user=NOBODY)
    refusal(done, 1, "artifacts/train/checkpoints")
    assert done.out == ""


@pytest.mark.parametrize(
    "file", ["preprocess/store.h5", "train/history.jsonl", "eval/metrics.json", "eval/manifest.json"]
)
def test_a_folder_in_the_place_of_a_file_is_refused_before_any_work(actors: Scene, place: Path, file: str) -> None:
    (place / "artifacts" / file).unlink()
    (place / "artifacts" / file).mkdir()
    done = actors.warm.run("run", folder=place)
    refusal(done, 5, f"artifacts/{file}: expected a file of '{file.partition('/')[0]}'; received a folder")
    assert "hint: remove it" in done.err
    assert done.out == ""


@as_root
def test_read_only_files_are_replaced(actors: Scene, place: Path) -> None:
    give_away(place)
    for path in (place / "artifacts").rglob("*"):
        if path.is_file() and path.name != ".lock":
            path.chmod(0o444)
    done = actors.warm.run("run", folder=place, user=NOBODY)
    assert done.code == 0, done.err
    assert published(place / "artifacts") == actors.new


@as_root
@pytest.mark.parametrize(
    ("command", "file", "code"),
    [
        ("train", "preprocess/store.h5", 5),
        ("preprocess", "fetch/train-images-idx3-ubyte.gz", 5),
        ("eval", "train/model.h5", 5),
        ("eval", "train", 1),
    ],
)
def test_what_may_not_be_read_is_named(actors: Scene, command: str, file: str, code: int) -> None:
    with actors.copy(command) as folder:
        give_away(folder)
        os.chown(folder / "artifacts" / file, 0, 0)
        (folder / "artifacts" / file).chmod(0o000)
        done = actors.warm.run(command, folder=folder, user=NOBODY)
        refusal(done, code, Path(file).name)


@as_root
def test_what_may_not_be_read_is_not_fresh_whatever_is_remembered(actors: Scene) -> None:
    with actors.copy("train") as folder:
        store = folder / "artifacts/preprocess/store.h5"
        digests = DigestCache(folder / "artifacts")
        digests.digest(store)
        digests.save()
        give_away(folder)
        os.chown(store, 0, 0)
        store.chmod(0o000)
        done = actors.warm.run("status", folder=folder, user=NOBODY)
        assert "corrupt     artifacts/preprocess/store.h5: cannot be read: Permission denied\n" in done.out
