"""Checkpoints: which one is used, what happens to damaged ones and those of other courses, how many are kept."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.errors import InputError, TrainingDiverged
from mnist_cli.formats.model import load_model
from mnist_cli.progress import Progress
from mnist_cli.stages.train import TrainResult
from tests.support.data import write_small_store
from tests.support.progress import Listener
from tests.support.stages import train


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("store") / "store.h5")


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 60 steps with checkpoints at 20, 40 and 60; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    train(store, folder, steps=60, batch_size=10, checkpoint_every=20)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def go_on(store: Path, folder: Path, **changes: Any) -> TrainResult:
    settings: dict[str, Any] = {"steps": 80, "batch_size": 10, "checkpoint_every": 20}
    return train(store, folder, **(settings | changes))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("*/*"))


def course_in(folder: Path) -> Path:
    (course,) = (folder / "checkpoints").iterdir()
    return course


def newest(folder: Path) -> Path:
    return course_in(folder) / "step-00000060"


def data_file(checkpoint: Path) -> Path:
    return next(checkpoint.glob("weights.data-*"))


def flip(path: Path, position: int = 100) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def edit_state(checkpoint: Path, **changes: Any) -> None:
    document = json.loads((checkpoint / "state.json").read_text())
    (checkpoint / "state.json").write_text(json.dumps(document | changes))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def write_state(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "state.json").write_bytes(content)


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()


def replace_by_the_one_before(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    shutil.copytree(checkpoint.with_name("step-00000040"), checkpoint)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "weights flipped": lambda checkpoint: flip(data_file(checkpoint)),
    "weights cut": lambda checkpoint: cut(data_file(checkpoint)),
    "weights gone": lambda checkpoint: data_file(checkpoint).unlink(),
    "index flipped": lambda checkpoint: flip(checkpoint / "weights.index"),
    "index gone": lambda checkpoint: (checkpoint / "weights.index").unlink(),
    "state gone": lambda checkpoint: (checkpoint / "state.json").unlink(),
    "state cut": lambda checkpoint: cut(checkpoint / "state.json"),
    "state empty": lambda checkpoint: write_state(checkpoint, b""),
    "state a list": lambda checkpoint: write_state(checkpoint, b"[]"),
    "state no text": lambda checkpoint: write_state(checkpoint, b"\xff\xfe\x00"),
    "state nested": lambda checkpoint: write_state(checkpoint, b"[" * 100_000),
    "state a folder": lambda checkpoint: turn_into_folder(checkpoint / "state.json"),
    "step edited": lambda checkpoint: edit_state(checkpoint, step=59),
    "losses edited": lambda checkpoint: edit_state(checkpoint, pending=1),
    "digest gone": lambda checkpoint: edit_state(checkpoint, sha256=None),
    "everything gone": empty,
    "another's": replace_by_the_one_before,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_skipped_loudly_for_the_one_before(store: Path, folder: Path, damage: str) -> None:
    DAMAGE[damage](newest(folder))
    progress = Listener()
    result = go_on(store, folder, progress=progress)
    assert result.resumed_from == 40
    assert len(progress.warnings) == 1
    assert progress.warnings[0].startswith("checkpoint step-00000060 is damaged and not used: ")


def test_after_a_damaged_checkpoint_the_weights_are_those_of_an_undisturbed_run(
    store: Path, folder: Path, tmp_path: Path
) -> None:
    flip(data_file(newest(folder)))
    resumed = go_on(store, folder)
    assert resumed.model_digest == go_on(store, tmp_path / "calm").model_digest


def test_checkpoints_that_are_all_damaged_stop_the_run(store: Path, folder: Path) -> None:
    for checkpoint in course_in(folder).iterdir():
        flip(data_file(checkpoint))
    with pytest.raises(InputError, match="every checkpoint of this run is damaged: step-") as caught:
        go_on(store, folder)
    assert caught.value.exit_code == 5
    assert "--restart" in (caught.value.hint or "")
    assert names(folder) == ["step-00000020", "step-00000040", "step-00000060"]


def test_restarting_on_purpose_removes_damaged_checkpoints(store: Path, folder: Path) -> None:
    for checkpoint in course_in(folder).iterdir():
        flip(data_file(checkpoint))
    assert go_on(store, folder, resume="never").resumed_from == 0
    assert go_on(store, folder).resumed_from == 80


def test_never_resuming_starts_at_zero(store: Path, folder: Path) -> None:
    assert go_on(store, folder, resume="never").resumed_from == 0


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 0.3}, "train.learning_rate 0.5 → 0.3"),
        ({"seed": 7}, "seed 0 → 7"),
        ({"batch_size": 20}, "train.batch_size 10 → 20"),
        ({"validate_every": 5}, "train.validate_every 100 → 5"),
    ],
)
def test_other_parameters_are_another_course_and_this_one_is_not_lost(
    store: Path, folder: Path, changes: dict[str, Any], difference: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"checkpoints of another run: {difference}")):
        go_on(store, folder, resume="require", **changes)
    assert go_on(store, folder, **changes).resumed_from == 0
    assert go_on(store, folder, **changes).resumed_from == 80
    assert go_on(store, folder).resumed_from == 60


def test_a_checkpoint_of_other_data_is_not_used(store: Path, folder: Path, tmp_path: Path) -> None:
    other = write_small_store(tmp_path / "other.h5", train=131)
    assert go_on(other, folder).resumed_from == 0
    assert go_on(store, folder).resumed_from == 60


def test_another_tensorflow_resumes_except_with_an_optimizer_of_keras(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.learning import optimizers

    go_on(store, folder, optimizer="adam", steps=20)
    monkeypatch.setattr(optimizers, "installed_version", lambda _package: "2.99.0")
    assert go_on(store, folder).resumed_from == 60
    assert go_on(store, folder, optimizer="adam").resumed_from == 0
    monkeypatch.undo()
    assert go_on(store, folder, optimizer="adam", steps=20).resumed_from == 20


def test_a_checkpoint_that_was_moved_to_another_course_is_not_used(store: Path, folder: Path) -> None:
    go_on(store, folder, seed=7, steps=20)
    (other,) = (path for path in (folder / "checkpoints").iterdir() if len(list(path.iterdir())) == 1)
    shutil.copytree(newest_of(folder, but=other), other / "step-00000060")
    progress = Listener()
    assert go_on(store, folder, seed=7, progress=progress).resumed_from == 20
    assert "it belongs to another course: seed 0 → 7" in progress.warnings[0]


def newest_of(folder: Path, but: Path) -> Path:
    return next(path for path in (folder / "checkpoints").glob("*/step-00000060") if path.parent != but)


def test_of_other_courses_only_the_newest_stay(store: Path, folder: Path) -> None:
    for age in range(20):
        old = folder / "checkpoints" / f"{age:012x}"
        old.mkdir()
        os.utime(old, (10**9 - age, 10**9 - age))
    flat = folder / "checkpoints" / "step-00000040"  # as before there were courses
    flat.mkdir()
    go_on(store, folder)
    left = {path.name for path in (folder / "checkpoints").iterdir()}
    assert {f"{age:012x}" for age in range(16)} <= left
    assert len(left) == 17


@pytest.mark.parametrize("link", ["0123456789ab", "step-00000040"])
def test_nothing_is_deleted_through_a_link(store: Path, folder: Path, tmp_path: Path, link: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear reader")
    (folder / "checkpoints" / link).symlink_to(precious)
    go_on(store, folder)
    assert (precious / "letter").read_text() == "dear reader"


def test_the_step_that_training_resumes_from_is_reported(store: Path, folder: Path) -> None:
    listener = Listener()
    go_on(store, folder, progress=listener)
    assert listener.notes == ["resumed from step 60"]


def test_checkpoints_of_the_course_itself_are_not_deleted_through_a_link(
    store: Path, folder: Path, tmp_path: Path
) -> None:
    course = course_in(folder)
    course.rename(tmp_path / "precious")
    course.symlink_to(tmp_path / "precious")
    before = sorted((tmp_path / "precious").rglob("*"))
    with pytest.raises(InputError, match="expected a folder; received a symbolic link"):
        go_on(store, folder, resume="never")
    assert sorted((tmp_path / "precious").rglob("*")) == before


def test_requiring_a_checkpoint_fails_if_there_is_none(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint up to step \d+ to resume from"):
        go_on(store, tmp_path, resume="require")


def test_checkpoints_of_another_run_survive_one_that_diverges(store: Path, folder: Path) -> None:
    with pytest.raises(TrainingDiverged):
        go_on(store, folder, learning_rate=1e38)
    assert go_on(store, folder).resumed_from == 60


def test_a_shorter_run_uses_an_older_checkpoint(store: Path, folder: Path, tmp_path: Path) -> None:
    result = go_on(store, folder, steps=50)
    assert result.resumed_from == 40
    assert result.model_digest == go_on(store, tmp_path / "calm", steps=50).model_digest


def test_a_run_shorter_than_all_checkpoints_starts_over(store: Path, folder: Path) -> None:
    result = go_on(store, folder, steps=10)
    assert (result.resumed_from, load_model(folder / "model.h5").step) == (0, 10)


def test_a_shorter_run_keeps_its_own_last_checkpoint(store: Path, folder: Path) -> None:
    go_on(store, folder, steps=50, keep_checkpoints=1)
    assert names(folder) == ["step-00000050"]


@pytest.mark.parametrize(("keep", "left"), [(1, ["step-00000080"]), (2, ["step-00000060", "step-00000080"]), (0, [])])
def test_only_so_many_checkpoints_are_kept(store: Path, tmp_path: Path, keep: int, left: list[str]) -> None:
    go_on(store, tmp_path, keep_checkpoints=keep)
    assert names(tmp_path) == left


def test_what_killed_writers_left_is_swept(store: Path, folder: Path) -> None:
    leftover = course_in(folder) / ".tmp-step-00000070-0123abcd"
    leftover.mkdir()
    (leftover / "weights.index").write_bytes(b"half")
    (course_in(folder) / ".tmp-file-0123abcd").write_bytes(b"half")
    go_on(store, folder)
    assert not [name for name in names(folder) if name.startswith(".tmp-")]


def test_a_checkpoint_that_cannot_be_written_leaves_the_ones_before(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.learning import checkpoints

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_state", full_disk)
    with pytest.raises(OSError, match="No space"):
        go_on(store, folder)
    assert names(folder) == ["step-00000020", "step-00000040", "step-00000060"]


def test_a_full_disk_in_tensorflow_is_reported_in_one_line(store: Path, folder: Path) -> None:
    # What a full disk does to every file, the kernel does to files that grow beyond a limit; Python ignores its signal.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(OSError, match=r"/weights: cannot be written: File too large\Z"):
            go_on(store, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(folder) == ["step-00000020", "step-00000040", "step-00000060"]


def test_checkpoints_may_live_elsewhere(store: Path, tmp_path: Path) -> None:
    go_on(store, tmp_path / "run", checkpoints=tmp_path / "elsewhere")
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert go_on(store, tmp_path / "run", checkpoints=tmp_path / "elsewhere").resumed_from == 80


def test_tensorflow_reads_a_checkpoint_without_this_program(store: Path, folder: Path) -> None:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(newest(folder) / "weights"))
    weights = reader.get_tensor("weights/.ATTRIBUTES/VARIABLE_VALUE")
    assert (load_model(folder / "model.h5").weights == weights.T / 2**24).all()


def test_checkpoints_by_time_alone(store: Path, tmp_path: Path) -> None:
    go_on(store, tmp_path, checkpoint_every=None, checkpoint_seconds=1e-9, validate_every=30, keep_checkpoints=9)
    assert names(tmp_path) == ["step-00000030", "step-00000060", "step-00000080"]


def test_without_a_number_of_steps_or_seconds_only_the_last_step_gets_a_checkpoint(store: Path, tmp_path: Path) -> None:
    go_on(store, tmp_path, checkpoint_every=None, checkpoint_seconds=None)
    assert names(tmp_path) == ["step-00000080"]


def test_how_often_there_are_checkpoints_does_not_touch_the_outputs(store: Path, tmp_path: Path) -> None:
    digests = {go_on(store, tmp_path / str(every), checkpoint_every=every).model_digest for every in (1, 7, None)}
    assert len(digests) == 1


def test_a_crash_does_not_lose_a_checkpoint_that_was_still_waiting(store: Path, tmp_path: Path) -> None:
    class Failing(Progress):
        def update(self, done: int, detail: str = "") -> None:
            if done == 40:
                raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        go_on(store, tmp_path, progress=Failing())
    assert names(tmp_path) == ["step-00000020", "step-00000040"]
