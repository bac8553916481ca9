"""The mutex on file systems without flock: who holds it, who may remove it, and what the message says."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mnist_cli import files, system
from mnist_cli.errors import Locked
from mnist_cli.pipeline import mutex_file
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.mutex_file import MutexFile
from tests.support.command_line import environment, mnist

fcntl = pytest.importorskip("fcntl")

NO_FLOCK = [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK]


@pytest.fixture(params=NO_FLOCK, ids=lambda number: errno.errorcode[number])
def no_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_arguments: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_flock")
def test_without_flock_one_run_at_a_time_still_holds(tmp_path: Path) -> None:
    with locked(tmp_path, "mnist train"):
        with pytest.raises(Locked) as caught, locked(tmp_path, "mnist eval"):
            pass
        assert f"process {os.getpid()} on " in caught.value.message
        assert "last sign of life " in caught.value.message
        assert f"{tmp_path}/.mutex names it (flock: " in caught.value.message
        assert "if that process is dead, remove the file" in str(caught.value.hint)
    with locked(tmp_path, "mnist eval"):
        pass
    assert not (tmp_path / ".mutex").exists()


@pytest.mark.usefixtures("no_flock", "empty")
def test_the_commands_work_without_flock(tiny_mirror: Path) -> None:
    mnist(
        "run",
        "--dataset",
        "tiny",
        "--mirror",
        str(tiny_mirror),
        "--set",
        "preprocess.validation_size=10",
        "--to",
        "preprocess",
    )
    mnist("verify")
    assert not list(Path("artifacts").glob(".mutex*"))


@pytest.mark.usefixtures("no_flock")
def test_who_waits_gets_it_when_it_is_given_back(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path, "second", wait=20):
            order.append("second")

    with locked(tmp_path, "first"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_machine_with_flock_respects_one_without(tmp_path: Path) -> None:
    file = MutexFile(tmp_path)
    assert file.acquire()
    with pytest.raises(Locked, match="another machine mounts the folder without flock"), locked(tmp_path, "mnist run"):
        pass
    file.release()
    with locked(tmp_path, "mnist run"):
        pass


HOLD = """
import sys, time
from pathlib import Path
from mnist_cli.pipeline.mutex_file import MutexFile
assert MutexFile(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


def killed_holder(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert not MutexFile(folder).acquire()
    holder.kill()
    holder.communicate()


needs_proc = pytest.mark.skipif(system.machine_identity() is None, reason="needs /proc, to know who is dead")


@needs_proc
@pytest.mark.usefixtures("no_flock")
def test_a_killed_holder_of_this_machine_is_no_hindrance(tmp_path: Path) -> None:
    killed_holder(tmp_path)
    with locked(tmp_path, "mnist run"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == []


@needs_proc
def test_of_many_who_find_a_dead_holder_one_gets_it(tmp_path: Path) -> None:
    for _ in range(20):
        killed = MutexFile(tmp_path)
        assert killed.acquire()
        edit(tmp_path, process=f"{system.process_identity(os.getpid())}0")  # another start: a number used again
        rivals = [MutexFile(tmp_path) for _ in range(8)]
        got: list[MutexFile] = []
        begin = threading.Barrier(len(rivals))

        def compete(rival: MutexFile, begin: threading.Barrier = begin, got: list[MutexFile] = got) -> None:
            begin.wait()
            for _ in range(50):
                if rival.acquire():
                    got.append(rival)
                    return

        threads = [threading.Thread(target=compete, args=(rival,)) for rival in rivals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].release()


@needs_proc
def test_a_slow_heir_does_not_remove_the_mutex_of_a_quick_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one saw the dead holder, and sleeps before it acts; meanwhile another has taken the mutex."""
    dead = MutexFile(tmp_path)
    assert dead.acquire()
    edit(tmp_path, process=f"{system.process_identity(os.getpid())}0")
    slow, quick, look = MutexFile(tmp_path), MutexFile(tmp_path), MutexFile._is_dead

    def sleepy(self: MutexFile, holder: dict[str, object]) -> bool:
        found = look(self, holder)
        if self is slow:
            assert not quick.acquire()  # it buries
            assert quick.acquire()
        return found

    monkeypatch.setattr(MutexFile, "_is_dead", sleepy)
    assert not slow.acquire()
    assert not MutexFile(tmp_path).acquire()
    assert f"process {os.getpid()}" in quick.holder()
    quick.release()
    assert list(tmp_path.iterdir()) == []


def edit(folder: Path, **changes: object) -> None:
    path = folder / ".mutex"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"process": "another-boot/pid:[1]/1/2"},  # another machine, or this one before it started again
        {"process": None},  # a system that cannot tell
        {"pid": 999_999_999},  # of another machine
        {"pid": "x", "process": 7, "token": "../../etc"},
    ],
)
def test_a_holder_that_may_be_alive_keeps_it(tmp_path: Path, changes: dict[str, object]) -> None:
    holder = MutexFile(tmp_path)
    assert holder.acquire()
    if "pid" in changes and "process" not in changes:
        changes["process"] = f"elsewhere/{changes['pid']}/1"
    edit(tmp_path, **changes)
    assert not MutexFile(tmp_path).acquire()
    assert not MutexFile(tmp_path).acquire()
    assert (tmp_path / ".mutex").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff" * 5000, b'{"token": null}'])
@pytest.mark.usefixtures("no_flock")
def test_a_half_written_file_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".mutex").write_bytes(content)
    with pytest.raises(Locked, match=r"\.mutex names it"), locked(tmp_path, "mnist run"):
        pass
    assert (tmp_path / ".mutex").read_bytes() == content


def test_the_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutex_file, "_BEAT", 0.02)
    holder = MutexFile(tmp_path)
    assert holder.acquire()
    os.utime(holder.path, (1, 1))
    end = time.monotonic() + 10
    while holder.path.stat().st_mtime < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert holder.path.stat().st_mtime > 2
    holder.release()


def test_what_a_person_took_away_and_gave_another_is_not_removed(tmp_path: Path) -> None:
    first, second = MutexFile(tmp_path), MutexFile(tmp_path)
    assert first.acquire()
    (tmp_path / ".mutex").unlink()
    assert second.acquire()
    first.release()
    assert (tmp_path / ".mutex").exists()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_that_cannot_be_synced_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_bytes(tmp_path / "x", b"x")
    assert (tmp_path / "x").read_bytes() == b"x"


def test_a_folder_on_a_broken_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error") as caught:
        files.sync_folder(tmp_path)
    assert caught.value.filename == str(tmp_path)
