"""`mnist train --workers N`: several workers on this machine train together, for trying out `multiworker`.

They are processes in a network of their own, which nobody else reaches. Where the system does not allow that, they are
replicas in one process, as TensorFlow's servers would be open to everybody; the bits are the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO, NoReturn

from mnist_cli import children, system
from mnist_cli.children import Child
from mnist_cli.cli import session
from mnist_cli.cli.terminal import is_terminal, say, write
from mnist_cli.errors import Interrupted, WorkerLost
from mnist_cli.learning.distributed.own_network import close_network, make_network
from mnist_cli.learning.distributed.setting import CPU_DEVICES_VARIABLE, PATIENCE_VARIABLE, TOKEN_VARIABLE

# For the others to hear of a lost worker by themselves, which takes TensorFlow seconds, and to say so.
_HEARING = 15.0
# Then a worker has written its checkpoint, or is hung.
_GRACE = 20.0
_PATIENCE = "60"  # seconds, for processes of one machine to start
_SHOW_CURSOR = "\x1b[?25h"
_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Worker:
    """One of the processes.

    Attributes:
        process: it runs or ran.
        errors: what it printed on stderr; None for the chief, which prints on this process's.
    """

    process: Child
    errors: BinaryIO | None = None

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it; None while it runs."""
        return self.process.poll()

    def tell_errors(self) -> None:
        """Print what it printed on stderr."""
        if self.errors is not None:
            self.errors.seek(0)
            with contextlib.suppress(OSError):
                sys.stderr.write(self.errors.read().decode(errors="backslashreplace"))
                sys.stderr.flush()


def run_workers(count: int, note: Callable[[str], None], *, as_json: bool = False) -> NoReturn:
    """Run this command by so many workers and leave when all are done; the first one, the chief, tells the results.

    Args:
        count: how many.
        note: says something worth knowing.
        as_json: whether what the chief tells is one document.

    Raises:
        WorkerLost: one ended before its time; the others were ended too.
        Interrupted: a signal came before the chief could tell of it.
        SystemExit: with the chief's exit code, or after a signal, which the workers were given too.
    """
    network = make_network()
    if network is None:
        note(f"no network of their own for processes here: one process trains as {count} replicas, to the same bits")
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_told_by_chief(as_json))
        workers: list[Worker] = []
        stack.callback(_end, workers)
        for index, (options, variables) in enumerate(_commands(count, is_private=network is not None)):
            errors = stack.enter_context(tempfile.TemporaryFile()) if index else None
            process = _start(options, variables, network or (), output if index == 0 else None, errors)
            workers.append(Worker(process, errors))
        close_network(network or ())
        stack.enter_context(_stopped_together(workers))
        try:
            _watch(workers)
        except Interrupted as stop:
            _signal(workers, stop.exit_code - 128)
            _wait(workers)
            if (workers[0].code or 0) > 0:  # it has told of it
                raise SystemExit(stop.exit_code) from None
            raise


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.code is None:
            worker.process.kill()
            worker.process.wait()
    if is_terminal(sys.stderr):  # a chief that was killed had hidden the cursor for its bar
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()


@contextlib.contextmanager
def _told_by_chief(as_json: bool) -> Iterator[BinaryIO | None]:
    """Give where the chief's standard output goes: lines appear at once, a document only if it is the one.

    A chief that is ended because another worker was lost tells of an interruption; this process knows better.
    """
    if not as_json:
        yield None
        return
    with tempfile.TemporaryFile() as held:
        try:
            yield held
        except SystemExit:
            held.seek(0)
            write(held.read().decode(sys.stdout.encoding, "backslashreplace"), flush=True)
            raise


@contextlib.contextmanager
def _stopped_together(workers: list[Worker]) -> Iterator[None]:
    """Let Ctrl-Z, which reaches this process alone, stop the workers too, and `fg` or `bg` let all go on."""
    if system.JOB_CONTROL is None or signal.getsignal(system.JOB_CONTROL[0]) is signal.SIG_IGN:
        yield
        return
    suspended, stopped, resumed = system.JOB_CONTROL

    def stop(_number: int, _frame: FrameType | None) -> None:
        _signal(workers, stopped)
        os.kill(os.getpid(), stopped)

    def go_on(_number: int, _frame: FrameType | None) -> None:
        _signal(workers, resumed)

    numbers = (suspended, resumed)
    before = [signal.signal(number, handler) for number, handler in zip(numbers, (stop, go_on), strict=True)]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _signal(workers: list[Worker], number: int) -> None:
    for worker in workers:
        worker.process.send_signal(number)


def _watch(workers: list[Worker]) -> NoReturn:
    while any(worker.code is None for worker in workers) and not any(worker.code for worker in workers):
        time.sleep(0.05)
    lost = next((index for index, worker in enumerate(workers) if worker.code), None)
    if lost is None:
        raise SystemExit(0)
    _wait(workers, _HEARING)
    # Those that train have heard of the loss and said so; those that still wait for the others would wait on.
    _signal(workers, signal.SIGTERM)
    _wait(workers)
    _tell_of_loss(workers, lost)


def _tell_of_loss(workers: list[Worker], lost: int) -> NoReturn:
    """Say once what went wrong: the chief has said what it knows, and others may know more."""
    chief, code = workers[0].code, workers[lost].code or 0
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    is_told = chief is not None and chief > 0 and (lost == 0 or chief != _TERMINATED)
    if not is_told or code not in (chief, WorkerLost.exit_code):
        workers[lost].tell_errors()
    if is_told:
        if lost != 0 and code < 0:  # the chief has told of a loss, and did not know whose
            say("note:", f"it was worker {lost} of {len(workers)}, which ended with {how}")
        raise SystemExit(chief)
    raise WorkerLost(
        f"worker {lost} of {len(workers)} ended with {how}; the others were ended too",
        hint="the same command goes on from the newest checkpoint",
    )


def _wait(workers: list[Worker], seconds: float = _GRACE) -> None:
    end = time.monotonic() + seconds
    while any(worker.code is None for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)


def _commands(count: int, *, is_private: bool) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield what each process is given: options, and variables of the environment."""
    if not is_private:
        yield ["--strategy", "mirrored"], {CPU_DEVICES_VARIABLE: str(count), "TF_CONFIG": ""}
        return
    addresses, token = _free_addresses(count), secrets.token_hex(16)
    for index in range(count):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}, "private": True}
        quiet = ["--quiet"] if index else []
        yield (
            ["--strategy", "multiworker", *quiet],
            {
                PATIENCE_VARIABLE: os.environ.get(PATIENCE_VARIABLE, _PATIENCE),
                TOKEN_VARIABLE: token,
                "TF_CONFIG": json.dumps(cluster),
            },
        )


def _start(
    options: Sequence[str],
    variables: Mapping[str, str],
    network: Sequence[int],
    output: BinaryIO | None,
    errors: BinaryIO | None,
) -> Child:
    """Start a process; with `errors`, nobody reads its results."""
    return children.start(
        "mnist_cli.cli.local_worker",
        json.dumps(session.typed),
        json.dumps(network),
        *_without_workers(session.typed),
        *options,
        "--device",
        "cpu",
        env={**os.environ, **variables},
        # It closes when this process ends, and then the worker does.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if errors else output,
        stderr=errors,
        pass_fds=network,
        # A Ctrl-C reaches them once, through this process, and not a second time from the terminal.
        start_new_session=True,
    )


def _without_workers(typed: list[str]) -> list[str]:
    rest, skip = [], False
    for word in typed:
        if not skip and word != "--workers" and not word.startswith("--workers="):
            rest.append(word)
        skip = word == "--workers"
    return rest


def _free_addresses(count: int) -> list[str]:
    """Return addresses on loopback whose ports are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
