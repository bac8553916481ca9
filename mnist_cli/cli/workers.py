"""`mnist train --workers N`: several workers on this machine train together, to try out `multiworker`.

They are processes in a network of their own, which nobody else can reach. Where the system does not allow that, they
are replicas in one process, because TensorFlow's servers would be open to everybody. The bits are the same.
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

# Seconds for the other workers to notice a lost worker, which TensorFlow takes its time for, and to report it.
_NOTICE = 15.0
# Seconds for a worker to write its checkpoint; after that it hangs.
_GRACE = 20.0
_PATIENCE = "60"  # seconds for the processes of one machine to start
_SHOW_CURSOR = "\x1b[?25h"
_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Worker:
    """One of the processes.

    Attributes:
        process: running or ended.
        errors: its stderr; None for the chief, which shares the stderr of this process.
    """

    process: Child
    errors: BinaryIO | None = None

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the signal number that ended it; None while it runs."""
        return self.process.poll()

    def print_errors(self) -> None:
        """Print its stderr on the stderr of this process."""
        if self.errors is not None:
            self.errors.seek(0)
            with contextlib.suppress(OSError):
                sys.stderr.write(self.errors.read().decode(errors="backslashreplace"))
                sys.stderr.flush()


def run_workers(count: int, note: Callable[[str], None], *, as_json: bool = False) -> NoReturn:
    """Run this command with several workers and exit when all are done; the first, the chief, prints the results.

    Args:
        count: number of workers.
        note: prints information.
        as_json: whether the chief prints one JSON document.

    Raises:
        WorkerLost: one ended too early; the others were stopped too.
        Interrupted: a signal came before the chief could report it.
        SystemExit: with the chief's exit code, or after a signal that was passed on to the workers.
    """
    network = make_network()
    if network is None:
        note(f"this system allows no private network: one process trains as {count} replicas, with the same bits")
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_output_of_chief(as_json))
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
            if (workers[0].code or 0) > 0:  # the chief has reported it
                raise SystemExit(stop.exit_code) from None
            raise


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.code is None:
            worker.process.kill()
            worker.process.wait()
    if is_terminal(sys.stderr):  # a killed chief has left the cursor hidden
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()


@contextlib.contextmanager
def _output_of_chief(as_json: bool) -> Iterator[BinaryIO | None]:
    """Yield where the chief's standard output goes: None for lines, which appear at once, or a file for a document.

    A chief that is stopped because another worker was lost reports an interruption. This process knows the real cause,
    so it drops that document.
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
    """Pass Ctrl-Z, which reaches this process alone, on to the workers; `fg` or `bg` resumes all."""
    if system.JOB_CONTROL is None or signal.getsignal(system.JOB_CONTROL[0]) is signal.SIG_IGN:
        yield
        return
    suspended, stopped, resumed = system.JOB_CONTROL

    def stop(_number: int, _frame: FrameType | None) -> None:
        _signal(workers, stopped)
        os.kill(os.getpid(), stopped)

    def resume(_number: int, _frame: FrameType | None) -> None:
        _signal(workers, resumed)

    numbers = (suspended, resumed)
    before = [signal.signal(number, handler) for number, handler in zip(numbers, (stop, resume), strict=True)]
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
    _wait(workers, _NOTICE)
    # Workers that train have noticed and reported the loss; those that wait for others would wait forever.
    _signal(workers, signal.SIGTERM)
    _wait(workers)
    _report_loss(workers, lost)


def _report_loss(workers: list[Worker], lost: int) -> NoReturn:
    """Report the cause once: the chief has reported what it knows, others may know more."""
    chief, code = workers[0].code, workers[lost].code or 0
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    is_reported = chief is not None and chief > 0 and (lost == 0 or chief != _TERMINATED)
    if not is_reported or code not in (chief, WorkerLost.exit_code):
        workers[lost].print_errors()
    if is_reported:
        if lost != 0 and code < 0:  # the chief did not know which worker was lost
            say("note:", f"worker {lost} of {len(workers)} ended with {how}")
        raise SystemExit(chief)
    raise WorkerLost(
        f"worker {lost} of {len(workers)} ended with {how}; the others were stopped",
        hint="run the same command to resume from the newest checkpoint",
    )


def _wait(workers: list[Worker], seconds: float = _GRACE) -> None:
    end = time.monotonic() + seconds
    while any(worker.code is None for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)


def _commands(count: int, *, is_private: bool) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield options and environment variables for each process."""
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
    """Start a process; with `errors`, its results are discarded."""
    return children.start(
        "mnist_cli.cli.local_worker",
        json.dumps(session.typed),
        json.dumps(network),
        *_without_workers(session.typed),
        *options,
        "--device",
        "cpu",
        env={**os.environ, **variables},
        # It closes when this process ends, and that ends the worker.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if errors else output,
        stderr=errors,
        pass_fds=network,
        # So that Ctrl-C reaches them once, through this process, and not from the terminal too.
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
    """Return loopback addresses with ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
