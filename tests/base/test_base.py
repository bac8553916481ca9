"""The base modules: atomic files, safe text, the order of examples, signals."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_cli import files, signals, text
from mnist_cli.errors import InputError, Interrupted


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.00"), (-0.004, "0.00"), (0.004, "0.00"), (-0.006, "-0.01"), (1.5, "+1.50")]
)
def test_what_rounds_to_zero_has_no_sign(value: float, shown: str) -> None:
    assert text.signed(value) == shown


def test_a_published_file_is_there_whole_and_nothing_else_is(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="No space"), files.publish(target) as file:
        file.write(b"half of the new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_is_synced_before_its_name_and_the_folder_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def traced_fsync(descriptor: int) -> None:
        events.append("fsync")
        fsync(descriptor)

    def traced_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(Path, "replace", traced_replace)
    files.write_bytes(tmp_path / "a", b"x")
    assert events == ["fsync", "rename", "fsync"]


def test_an_error_of_the_disk_names_the_file_that_did_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="error") as caught:
        files.write_bytes(tmp_path / "a", b"content")
    assert caught.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError, match="error") as caught:
        files.sync_folder(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_folder_that_cannot_be_removed_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **_options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"")
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(OSError, match="error") as caught:
        files.remove(tmp_path / "folder", tmp_path)
    assert caught.value.filename == str(tmp_path / "folder")


def test_published_files_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_json_refuses_numbers_that_it_cannot_represent(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_sweeping_removes_leftovers_only(tmp_path: Path) -> None:
    files.temporary_beside(tmp_path / "a").write_bytes(b"half")
    for name in ("a", ".tmp-a", ".tmp-a-notes", "b.tmp-0123abcd"):
        (tmp_path / name).write_bytes(b"whole")
    files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-a", ".tmp-a-notes", "a", "b.tmp-0123abcd"]


def test_a_link_is_removed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "precious")
    files.remove(tmp_path / "root" / "link", tmp_path / "root")
    assert (tmp_path / "precious").is_dir()
    assert not list((tmp_path / "root").iterdir())


@pytest.mark.parametrize("remove", [files.remove, files.remove_atomically])
def test_nothing_is_removed_through_a_link(tmp_path: Path, remove: Callable[[Path, Path], None]) -> None:
    (tmp_path / "precious" / "folder").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="root/link: expected a folder; received a symbolic link"):
        remove(tmp_path / "root" / "link" / "folder", tmp_path / "root")
    assert (tmp_path / "precious" / "folder").is_dir()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]52;c;cm0=\x07", "\\u001b]52;c;cm0=\\u0007"),
        ("a\nb", "a\\u000ab"),
        ("\x9b31m", "\\u009b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("naïve Ünï 数字 😀 [/x]", "naïve Ünï 数字 😀 [/x]"),
    ],
)
def test_text_from_outside_cannot_control_a_terminal(hostile: str, shown: str) -> None:
    assert text.printable(hostile) == shown


def test_lines_keep_line_feeds_and_no_other_control_character() -> None:
    assert text.lines("a\n\x1b[2J\x7f\n") == "a\n\\u001b[2J\\u007f\n"


def test_escapes_in_lines_of_json_read_back_equal() -> None:
    document = {"a\x9b\u202e": "\x7f\U000e0041\U0001f600\r\n", "b": ["naïve"]}
    shown = text.lines(json.dumps(document, indent=2, ensure_ascii=False))
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == document


def test_long_text_is_cut_in_the_middle() -> None:
    shown = text.printable("a" * 500 + "b" * 500, limit=21)
    assert shown == "a" * 10 + "…" + "b" * 10


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (28881, "28.9 kB"), (9912422, "9.9 MB"), (3.2e9, "3.2 GB")]
)
def test_sizes_are_readable(size: float, shown: str) -> None:
    assert text.file_size(size) == shown


def test_the_first_signal_requests_a_stop_and_the_second_interrupts() -> None:
    with pytest.raises(Interrupted) as caught, signals.deferred_signals() as request:
        signal.raise_signal(signal.SIGTERM)
        assert request.signal_number == signal.SIGTERM
        signal.raise_signal(signal.SIGINT)
    assert caught.value.exit_code == 130


def test_deferring_restores_the_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals.deferred_signals():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.deferred_signals() as request:
            signal.raise_signal(signal.SIGINT)
        assert request.signal_number is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_hang_up_ends_a_command_as_sigterm_does(number: signal.Signals) -> None:
    with signals.deferred_signals() as request:
        signal.raise_signal(number)
    assert request.signal_number == number
    assert Interrupted(number).exit_code == 128 + number


def writer(target: Path) -> subprocess.Popen[str]:
    """Start a process that writes `target` for ever, and wait until it has begun."""
    program = (
        "import pathlib, sys, time\nfrom mnist_cli import files\n"
        "with files.publish(pathlib.Path(sys.argv[1])) as file:\n"
        "    print('begun', flush=True)\n    time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_the_next_writer_removes_what_a_dead_writer_left(tmp_path: Path) -> None:
    target = tmp_path / "pipeline.yaml"
    with writer(target) as alive, writer(target) as dead, writer(tmp_path / "other.yaml") as other:
        assert len(list(tmp_path.glob(".tmp-*"))) == 3
        for process in (dead, other):
            process.kill()
            process.wait()
        names = ("notes", ".tmp-pipeline.yaml-notes", ".tmp-pipeline.yaml-12345678.txt")
        for name in names:
            (tmp_path / name).write_text("mine", encoding="utf-8")
        (tmp_path / ".tmp-pipeline.yaml-12345678").symlink_to("notes")
        files.write_bytes(target, b"new")
        left = {path.name for path in tmp_path.iterdir()}
        assert left >= {*names, ".tmp-pipeline.yaml-12345678"}
        assert len([name for name in left if name.startswith(".tmp-other.yaml-")]) == 1, "that is another file"
        temporary = [name for name in left - {*names} if name.startswith(".tmp-pipeline.yaml-")]
        assert len(temporary) == 2, "one is a link, and one writer lives"
        alive.kill()


def test_sweeping_keeps_the_files_of_living_writers(tmp_path: Path) -> None:
    with writer(tmp_path / "report.html") as alive:
        files.sweep(tmp_path)
        assert len(list(tmp_path.glob(".tmp-report.html-*"))) == 1
        alive.kill()
        alive.wait()
        files.sweep(tmp_path)
        assert not list(tmp_path.iterdir())


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with files.publish(target) as first, files.publish(target) as second:
        first.write(b"first")
        second.write(b"second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refused)
    left = tmp_path / ".tmp-file-12345678"
    left.touch()
    files.write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert left.exists()
    files.sweep(tmp_path)
    assert not left.exists(), "the mutex says that nobody else writes"
