"""Calls that not every system has: only one module makes them, and the commands work without them."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mnist_cli
from mnist_cli import files, system
from tests.support.command_line import Result, environment
from tests.support.data import digit
from tests.support.own_data import write_photos
from tests.support.without_posix import CALLS, MODULES, SIGNALS

PACKAGE = Path(mnist_cli.__file__).parent
# The second is a program for Linux's namespaces, run as a child; where it fails, workers share one process.
ALLOWED = ("system.py", "own_network.py")


def test_only_one_module_calls_what_not_every_system_has() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert path.name in ALLOWED or imported.isdisjoint(MODULES), f"{path}: belongs in mnist_cli/system.py"
        called = {
            (node.value.id, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        missing = {("os", name) for name in CALLS} | {("signal", name) for name in SIGNALS}
        if path.name not in ALLOWED:
            assert called.isdisjoint(missing), f"{path}: {called & missing} belongs in mnist_cli/system.py"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few pictures to learn from, and one to predict."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_photos(folder / "photos", count=12)
    (folder / "pipeline.yaml").write_text(
        "dataset: {images: photos}\npreprocess: {validation_size: 4}\ntrain: {steps: 10, batch_size: 5}\n",
        encoding="utf-8",
    )
    Image.fromarray(digit()).save(folder / "seven.png")
    return folder


def without_posix(*arguments: str, cwd: Path) -> Result:
    program = [sys.executable, "-m", "tests.support.without_posix", *arguments]
    done = subprocess.run(program, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stdout + done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def test_the_commands_work_on_a_system_without_posix(elsewhere: Path) -> None:
    assert "eval        done" in without_posix("run", cwd=elsewhere).out
    assert "eval        fresh" in without_posix("status", cwd=elsewhere).out
    assert "seven.png: " in without_posix("predict", "seven.png", cwd=elsewhere).out
    assert "artifacts/report.html" in without_posix("report", cwd=elsewhere).out
    assert "train       ok" in without_posix("verify", cwd=elsewhere).out
    assert "artifacts/plots/weights.png" in without_posix("plot", "weights", cwd=elsewhere).out
    assert not (elsewhere / "artifacts" / ".mutex").exists()


@pytest.mark.exhaustive
def test_the_model_is_the_same_without_posix(elsewhere: Path, tmp_path: Path) -> None:
    for program in (["-m", "tests.support.without_posix"], ["-m", "mnist_cli"]):
        folder = str(tmp_path / program[1])
        subprocess.run(
            [sys.executable, *program, "run", "-q", "--artifacts", folder],
            cwd=elsewhere,
            env=environment(),
            timeout=240,
            check=True,
        )
    models = [path.read_bytes() for path in tmp_path.glob("*/train/model.h5")]
    assert len(models) == 2 and models[0] == models[1]


def test_reading_and_writing_at_a_position_are_the_same_without_their_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("preadv", "pwrite"):
        monkeypatch.delattr(os, name)
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        assert system.write_at(file.fileno(), memoryview(b"abcdef"), 0) == 6
        assert system.write_at(file.fileno(), memoryview(b"XY"), 2) == 2
        buffer = bytearray(5)
        assert system.read_at(file.fileno(), memoryview(buffer), 1) == 5
        assert buffer == b"bXYef"
        assert system.read_at(file.fileno(), memoryview(buffer), 4) == 2
        assert system.read_at(file.fileno(), memoryview(buffer), 6) == 0


class OpenElsewhere:
    """A `Path.replace` whose first calls fail as on Windows while a program has the file open."""

    def __init__(self, times: int, winerror: int | None = 32) -> None:
        self.left, self.winerror, self.replace = times, winerror, Path.replace

    def __call__(self, source: Path, target: Path) -> Path:
        if self.left:
            self.left -= 1
            error = PermissionError(errno.EACCES, "Permission denied", str(source))
            error.winerror = self.winerror  # type: ignore[attr-defined,unused-ignore]
            raise error
        return self.replace(source, target)

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "replace", lambda source, target: self(source, target))


def test_a_file_that_is_open_only_briefly_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_bytes(tmp_path / "x", b"old")
    OpenElsewhere(3).stand_in(monkeypatch)
    files.write_bytes(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_file_that_stays_open_is_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_RENAME_DEADLINE", 0.1)
    files.write_bytes(tmp_path / "x", b"old")
    OpenElsewhere(1000).stand_in(monkeypatch)
    with pytest.raises(PermissionError, match="in use by another program") as caught:
        files.write_bytes(tmp_path / "x", b"new")
    assert caught.value.filename2 == str(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_file_that_must_not_be_replaced_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = OpenElsewhere(1000, winerror=None)
    stand_in.stand_in(monkeypatch)
    with pytest.raises(PermissionError, match="Permission denied"):
        files.write_bytes(tmp_path / "x", b"new")
    assert stand_in.left == 999


def test_finding_a_process_sends_it_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.process_exists(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert not system.process_exists(ended.pid)
    assert not system.process_exists(1 << 40)


class Kernel:
    """The answers of Windows' kernel32 for a process."""

    def __init__(self, handle: int, state: int) -> None:
        self.handle, self.state, self.closed = handle, state, 0

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:
        return self.handle

    def WaitForSingleObject(self, handle: int, milliseconds: int) -> int:
        return self.state

    def CloseHandle(self, handle: int) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("kernel", "error", "exists"),
    [
        (Kernel(7, 0x102), 0, True),  # it does not end within 0 ms
        (Kernel(7, 0), 0, False),  # it has ended, and somebody still has a handle
        (Kernel(0, 0), 87, False),  # no such number
        (Kernel(0, 0), 5, True),  # another user's
    ],
)
def test_windows_finds_a_process_by_its_own_calls(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, error: int, exists: bool
) -> None:
    import ctypes

    monkeypatch.setattr(ctypes, "WinDLL", lambda *_arguments, **_options: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", lambda *_arguments: pytest.fail("this would send Ctrl-C"))
    assert system.process_exists(4711) is exists
    assert kernel.closed == bool(kernel.handle)


def test_every_system_has_the_signals_that_are_handled() -> None:
    """Windows has these two; the code must check for any other before it names it."""
    from mnist_cli.signals import _SIGNALS

    assert {signal.SIGINT, signal.SIGTERM} <= set(_SIGNALS)
