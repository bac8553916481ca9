"""`mnist train --workers N`: several processes on this machine train together, for trying out `multiworker`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NoReturn

from mnist_cli.cli import session
from mnist_cli.cli.terminal import is_terminal, say, write
from mnist_cli.errors import Interrupted, WorkerLost
from mnist_cli.learning.distributed.rendezvous import PATIENCE_VARIABLE

# For the others to hear of a lost worker by themselves, which takes TensorFlow seconds, and to say so.
_HEARING = 15.0
# Then a worker has written its checkpoint, or is hung.
_GRACE = 20.0
_PATIENCE = "60"  # seconds, for processes of one machine to start
_SHOW_CURSOR = "\x1b[?25h"
_TERMINATED = 128 + signal.SIGTERM


def run_workers(count: int, *, as_json: bool = False) -> NoReturn:
    """Run this command in so many processes and leave when all are done; the first one, the chief, tells the results.

    Args:
        count: how many.
        as_json: whether what the chief tells is one document.

    Raises:
        WorkerLost: one ended before its time; the others were ended too.
        SystemExit: with the chief's exit code, or after a signal, which the workers were given too.
    """
    addresses = _free_addresses(count)
    with _told_by_chief(as_json) as output:
        workers = [_start(addresses, index, output if index == 0 else subprocess.DEVNULL) for index in range(count)]
        try:
            _watch(workers)
        except Interrupted as stop:
            for worker in workers:
                worker.send_signal(stop.exit_code - 128)
            _wait(workers)
            raise SystemExit(stop.exit_code) from None
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.kill()
                    worker.wait()
            if is_terminal(sys.stderr):  # a chief that was killed had hidden the cursor for its bar
                sys.stderr.write(_SHOW_CURSOR)
                sys.stderr.flush()


@contextlib.contextmanager
def _told_by_chief(as_json: bool) -> Iterator[int | None]:
    """Give where the chief's standard output goes: lines appear at once, a document only if it is the one.

    A chief that is ended because another worker was lost tells of an interruption; this process knows better.
    """
    if not as_json:
        yield None
        return
    with tempfile.TemporaryFile() as held:
        try:
            yield held.fileno()
        except SystemExit:
            held.seek(0)
            write(held.read().decode(sys.stdout.encoding, "backslashreplace"), flush=True)
            raise


def _watch(workers: list[subprocess.Popen[bytes]]) -> NoReturn:
    while any(worker.poll() is None for worker in workers) and not any(worker.poll() for worker in workers):
        time.sleep(0.05)
    lost = next((index for index, worker in enumerate(workers) if worker.poll()), None)
    if lost is None:
        raise SystemExit(0)
    _wait(workers, _HEARING)
    # Those that train have heard of the loss and said so; those that still wait for the others would wait on.
    for worker in workers:
        worker.terminate()
    _wait(workers)
    chief, code = workers[0].poll(), workers[lost].returncode
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    if chief is not None and chief > 0 and (lost == 0 or chief != _TERMINATED):
        if lost != 0 and code < 0:  # the chief has told of a loss, and did not know whose
            say("note:", f"it was worker {lost} of {len(workers)}, which ended with {how}")
        raise SystemExit(chief)
    raise WorkerLost(
        f"worker {lost} of {len(workers)} ended with {how}; the others were ended too",
        hint="the same command goes on from the newest checkpoint",
    )


def _wait(workers: list[subprocess.Popen[bytes]], seconds: float = _GRACE) -> None:
    end = time.monotonic() + seconds
    while any(worker.poll() is None for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)


def _start(addresses: list[str], index: int, output: int | None) -> subprocess.Popen[bytes]:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    quiet = [] if index == 0 else ["--quiet"]
    arguments = [*_without_workers(session.typed), "--strategy", "multiworker", "--device", "cpu", *quiet]
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_cli.cli.local_worker", json.dumps(session.typed), *arguments],
        env={PATIENCE_VARIABLE: _PATIENCE, **os.environ, "TF_CONFIG": json.dumps(cluster)},
        # It closes when this process ends, and then the worker does.
        stdin=subprocess.PIPE,
        stdout=output,
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
