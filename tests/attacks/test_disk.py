"""The disk that loses what was not synced: checked with traces that are written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.disk import Disk, State


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "model").write_bytes(b"old")
    return folder


def states(root: Path, *calls: str) -> list[State]:
    """Return what may be left, in the order of the calls, of which R stands for the folder."""
    trace = root.with_name("trace")
    trace.write_text("".join(f"7 {call.replace('R', str(root))}\n" for call in calls), encoding="latin-1")
    return [state for possible in Disk(root).replay(trace) for state in possible]


def contents(root: Path, name: str, *calls: str) -> set[bytes | None]:
    return {state.get(name) for state in states(root, *calls)}


OPENED = 'openat(AT_FDCWD</>, "R/run/.new", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 3<R/run/.new>'
WRITTEN = 'write(3<R/run/.new>, "ne\\167!", 4) = 4'
SYNCED = "fsync(3<R/run/.new>) = 0"
RENAMED = 'rename("R/run/.new", "R/run/model") = 0'
FOLDER_SYNCED = "fsync(4<R/run>) = 0"


def test_what_is_synced_and_renamed_is_the_old_file_or_the_new_one(root: Path) -> None:
    assert contents(root, "run/model", OPENED, WRITTEN, SYNCED, RENAMED, FOLDER_SYNCED) == {b"old", b"new!"}


def test_a_name_may_reach_the_disk_before_bytes_that_were_not_synced(root: Path) -> None:
    assert contents(root, "run/model", OPENED, WRITTEN, RENAMED, FOLDER_SYNCED) == {b"old", b"", b"ne", b"new!"}


def test_what_its_folder_has_synced_stays(root: Path) -> None:
    after = states(root, OPENED, WRITTEN, SYNCED, RENAMED, FOLDER_SYNCED, 'unlink("R/run/other") = -1 ENOENT')
    assert [state["run/model"] for state in after[-4:]] == [b"new!"] * 4


def test_what_is_moved_into_a_folder_that_is_removed_may_be_gone(root: Path) -> None:
    """So an evaluation was lost once: it was moved into a temporary folder, which the next run swept."""
    calls = ('mkdir("R/tmp", 0777) = 0', 'rename("R/run/model", "R/tmp/model") = 0')
    assert any("run/model" not in state and "tmp/model" in state for state in states(root, *calls))


def test_a_removed_name_may_come_back_until_its_folder_is_synced(root: Path) -> None:
    assert contents(root, "run/model", 'unlink("R/run/model") = 0') == {b"old", None}
    assert contents(root, "run/model", 'unlink("R/run/model") = 0', FOLDER_SYNCED) == {b"old", None}
    last = states(root, 'unlink("R/run/model") = 0', FOLDER_SYNCED)[-1]
    assert "run/model" not in last


def test_a_disk_holds_what_all_calls_leave(root: Path) -> None:
    calls = (
        OPENED,
        'pwrite64(3<R/run/.new>, "abc", 3, 2) = 3',
        "lseek(3<R/run/.new>, 1, SEEK_SET) = 1",
        'write(3<R/run/.new>, "z", 1 <unfinished ...>',
        "<... write resumed>) = 1",
        'writev(3<R/run/.new>, [{iov_base="12", iov_len=2}, {iov_base="3", iov_len=1}], 2) = 3',
        "ftruncate(3<R/run/.new>, 6) = 0",
    )
    assert b"\0z123\0" in contents(root, "run/.new", *calls)


def test_a_trace_that_does_not_show_all_bytes_is_refused(root: Path) -> None:
    with pytest.raises(AssertionError, match="showed 1 of 4"):
        states(root, OPENED, 'write(3<R/run/.new>, "a"..., 4) = 4')
