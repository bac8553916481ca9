"""Commands in processes that start in milliseconds: forks of a warm one that has imported everything, TensorFlow too.

The fixture `warm` is one such process for the whole session: `warm.run("status", folder=folder)` gives what the command
did. It knows the data set `tiny`, and `warm.register` makes others known. Each fork runs the whole command line, from
the signal handlers to the exit code. TensorFlow may be forked as long as it has done nothing: each child starts its own
threads. That the modules are there already has a second use: a child that gives up root's rights need not be able to
read the folder in which Python is installed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.command_line import Printed
from tests.support.data import register_dataset, write_tiny_dataset

DEADLINE = 120.0  # seconds; whatever takes longer hangs


@dataclass(frozen=True)
class Order:
    """One command to start.

    Attributes:
        arguments: what is typed behind `mnist`.
        folder: the current folder.
        output: where stdout goes: a file, or a device such as /dev/full.
        errors: the file that stderr goes to.
        gated: the process waits for `Warm.open_gate` before it does anything.
        user: number of the user and group to become, or None.
        file_size: bytes that a file may have at most (RLIMIT_FSIZE), or None.
    """

    arguments: tuple[str, ...]
    folder: str
    output: str
    errors: str
    gated: bool = False
    user: int | None = None
    file_size: int | None = None


@dataclass
class Process(Printed):
    """A command that was started.

    Attributes:
        pid: its process.
        order: how it was started.
        code: exit code, or minus the number of the signal that ended it; None while it runs.
    """

    pid: int
    order: Order
    code: int | None = field(default=None)

    @property
    def out(self) -> str:
        """What it printed."""
        return Path(self.order.output).read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def err(self) -> str:
        """What it reported."""
        return Path(self.order.errors).read_text(encoding="utf-8", errors="surrogateescape")


class Warm:
    """The process that is forked, and its children.

    Args:
        scratch: a folder for what the commands print, and for the data set `tiny`.
    """

    def __init__(self, scratch: Path) -> None:
        self.mirror = scratch / "tiny"
        write_tiny_dataset(self.mirror)
        self._scratch = scratch
        self._count = 0
        environment = {**os.environ, "MNIST_MIRRORS": "", "NO_COLOR": "1"}
        environment.pop("MNIST_ARTIFACTS", None)
        command = [sys.executable, "-W", "ignore", "-m", "tests.support.warm", str(self.mirror)]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        self._ask({"do": "greet"})

    def register(self, name: str, folder: Path) -> None:
        """Make the four files in a folder a data set of this name, for commands that start from now on."""
        self._ask({"do": "register", "name": name, "folder": str(folder)})

    def change(self, module: str, name: str, value: object) -> None:
        """Give a name of a module another value, for commands that start from now on."""
        self._ask({"do": "change", "module": module, "name": name, "value": value})

    def start(self, *arguments: str, folder: Path, output: str | None = None, **options: Any) -> Process:
        """Start `mnist ARGUMENTS` in a folder; options are those of `Order`."""
        self._count += 1
        printed, errors = (str(self._scratch / f"{self._count}.{name}") for name in ("out", "err"))
        order = Order(arguments, str(folder), output or printed, errors, **options)
        return Process(self._ask({"do": "start", "order": asdict(order)}), order)

    def open_gate(self, process: Process) -> None:
        """Let a gated process begin."""
        self._ask({"do": "open", "pid": process.pid})

    def wait(self, process: Process) -> Process:
        """Wait for the end of a process; one that hangs is killed.

        Raises:
            TimeoutError: it was still there at the deadline.
        """
        deadline = time.monotonic() + DEADLINE
        while not self.has_ended(process):
            if time.monotonic() > deadline:
                self.kill(process)
                raise TimeoutError(f"mnist {' '.join(process.order.arguments)} hangs:\n{process.err}")
        return process

    def has_ended(self, process: Process) -> bool:
        """Look whether a process has ended, and how."""
        if process.code is None:
            process.code = self._ask({"do": "poll", "pid": process.pid})
        return process.code is not None

    def kill(self, process: Process) -> None:
        """Send SIGKILL; a process that has ended is not there to be hit, as its number stays taken until `wait`."""
        os.kill(process.pid, signal.SIGKILL)

    def run(self, *arguments: str, folder: Path, **options: Any) -> Process:
        """Start a command and wait for its end."""
        return self.wait(self.start(*arguments, folder=folder, **options))

    def close(self) -> None:
        """End the process; its children end by themselves."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(question), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())


@contextlib.contextmanager
def warm_process(scratch: Path) -> Iterator[Warm]:
    """Give a warm process, and end it."""
    process = Warm(scratch)
    try:
        yield process
    finally:
        process.close()


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Commands in real processes that start in milliseconds."""
    # Not pytest's own folder: nobody else may look into that one.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with warm_process(Path(name)) as process:
            yield process


# What follows runs in the warm process.

_gates: dict[int, int] = {}


def _serve(mirror: str) -> None:
    _import_everything()
    _register({"name": "tiny", "folder": mirror})
    _rehearse("tiny", mirror)
    answers = {
        "greet": lambda _: 0,
        "register": _register,
        "change": _change,
        "start": _start,
        "open": _open,
        "poll": _poll,
    }
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answers[question["do"]](question)), flush=True)


def _import_everything() -> None:
    import mnist_cli
    from mnist_cli.learning.tensorflow_setup import import_tensorflow
    from mnist_cli.maps.softmax import tables

    tables()  # a file of the package, which another user may be unable to read

    import_tensorflow()
    for name in ("filelock", "h5py", "PIL.ImageDraw", "requests"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(mnist_cli.__path__, "mnist_cli."):
        importlib.import_module(module.name)


def _rehearse(name: str, mirror: str) -> None:
    """Import what a run and an error import on the way: a child tries both, and tells."""
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nothing:  # noqa: PTH123
            os.chdir(folder)
            sys.stdout = sys.stderr = nothing
            from mnist_cli.cli.app import run_command_line

            settings = ["--set", "preprocess.validation_size=10", "--set", "train.steps=10"]
            run_command_line(["run", "--dataset", name, "--mirror", mirror, *settings])
            run_command_line(["eval", "--artifacts", "missing", "--debug"])
        os.write(writes, json.dumps(sorted(sys.modules)).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        names = json.load(told)
    os.waitpid(pid, 0)
    for module in names:
        if module not in sys.modules:
            with contextlib.suppress(ImportError):  # a name that is no module's own
                importlib.import_module(module)


def _register(question: dict[str, Any]) -> int:
    register_dataset(Path(question["folder"]), pytest.MonkeyPatch(), question["name"])
    return 0


def _change(question: dict[str, Any]) -> int:
    setattr(importlib.import_module(question["module"]), question["name"], question["value"])
    return 0


def _start(question: dict[str, Any]) -> int:
    order = Order(**question["order"])
    waits, opens = os.pipe()
    ready, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(opens)
        os.close(ready)
        try:
            _become(order, waits, tells)
        except BaseException:  # noqa: BLE001  # told, not raised: the child must not go on as a second server
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(99)  # the command line leaves by itself
    os.close(waits)
    os.close(tells)
    os.read(ready, 1)  # what it does before its gate is no part of the command, and not to be traced
    os.close(ready)
    if order.gated:
        _gates[pid] = opens
    else:
        os.close(opens)
    return pid


def _become(order: Order, gate: int, ready: int) -> None:
    """Turn this process into `mnist ARGUMENTS`, as far as it can tell."""
    from mnist_cli.__main__ import main

    for number, path, mode in (
        (0, os.devnull, os.O_RDONLY),
        (1, order.output, os.O_WRONLY | os.O_CREAT),
        (2, order.errors, os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, mode, 0o644), number)
    for held in _gates.values():
        os.close(held)
    os.chdir(order.folder)
    if order.file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_size, order.file_size))
    if order.user is not None:
        os.setgroups([])
        os.setgid(order.user)
        os.setuid(order.user)
    sys.argv = ["mnist", *order.arguments]
    os.close(ready)
    select.select([gate], [], [])  # not a read: those are counted, and made to fail
    os.close(gate)
    main()


def _open(question: dict[str, Any]) -> int:
    os.close(_gates.pop(question["pid"]))
    return 0


def _poll(question: dict[str, Any]) -> int | None:
    """Return the exit code of a child, after a moment if need be, or None if it goes on."""
    end = time.monotonic() + 0.02
    while True:
        pid, status = os.waitpid(question["pid"], os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.001)


if __name__ == "__main__":
    _serve(sys.argv[1])
