"""How the workers of a training find each other before TensorFlow does, and hear whether there is anything to train.

TensorFlow waits an hour for a worker that never comes, deaf to signals, and does not say which one. So they meet
first, at the addresses at which TensorFlow will listen: each worker listens at its own, the chief calls them one by one
and, when all are there, tells them its word. Each answers, so that the chief knows who
has heard it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from typing import Literal

from mnist_cli.errors import ConfigError, WorkerLost

# "train": TensorFlow takes over; "rest": the chief has nothing to train.
Word = Literal["train", "rest"]

PATIENCE_VARIABLE = "MNIST_WORKERS_PATIENCE"
_PATIENCE = 300.0  # seconds; in a cluster, machines and images come one after the other
_PAUSE = 0.1
_CALL = 2.0  # to connect, or to answer
_GREETING = b"mnist chief\n"
_WORDS: dict[bytes, Word] = {b"train\n": "train", b"rest\n": "rest"}
_ANSWER = b"here\n"


def patience() -> float:
    """Return for how many seconds workers wait for each other: MNIST_WORKERS_PATIENCE, else 300.

    Raises:
        ConfigError: it is not a number above 0.
    """
    text = os.environ.get(PATIENCE_VARIABLE, "")
    with contextlib.suppress(ValueError):
        if not text or 0 < float(text) < float("inf"):
            return float(text or _PATIENCE)
    raise ConfigError([f"{PATIENCE_VARIABLE}: expected seconds, above 0; received {text!r:.40}"])


def tell(word: Word, addresses: Sequence[str], seconds: float) -> None:
    """As the chief, call every other worker and tell them the word.

    Args:
        word: "train" is told when all are there, "rest" to each as it comes.
        addresses: the others' `host:port`.
        seconds: how long to try.

    Raises:
        WorkerLost: some did not answer; names them.
    """
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        calls: dict[str, socket.socket] = {}
        missing = list(addresses)
        while missing:
            calls = {address: call for address, call in calls.items() if _is_open(call)}
            for address in missing:
                if address not in calls and (call := _call(address)) is not None:
                    calls[address] = stack.enter_context(call)
            if word == "rest" or len(calls) == len(missing):
                missing = [each for each in missing if each not in calls or not _is_told(calls.pop(each), word)]
            if missing and time.monotonic() > end:
                raise _absent([address for address in missing if address not in calls], seconds)
            if missing:
                time.sleep(_PAUSE)


def listen(own: str, chief: str, seconds: float) -> Word:
    """As another worker, wait for the chief's word.

    Args:
        own: this worker's `host:port`; it listens on that port on every network.
        chief: the chief's, for the message.
        seconds: how long to wait.

    Raises:
        ConfigError: the port is taken.
        WorkerLost: the chief did not call.
    """
    end = time.monotonic() + seconds
    try:
        door = _door(int(own.rpartition(":")[2]))
    except (OSError, OverflowError) as error:
        raise ConfigError([f"{own}: expected a port for this worker that is free; received: {error}"]) from error
    with door:
        while (left := end - time.monotonic()) > 0:
            door.settimeout(left)
            with contextlib.suppress(OSError):  # it took too long, or the caller hung up
                call, _ = door.accept()
                with call:
                    if (word := _hear(call, end)) is not None:
                        return word
    raise _absent([chief], seconds)


def _door(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # known to the C library, but switched off in the kernel
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _call(address: str) -> socket.socket | None:
    """Return a connection to a worker that listens, or None."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError, OverflowError, UnicodeError):  # the last two: no such port, no such name
        call = socket.create_connection((host.strip("[]"), int(port)), timeout=_CALL)
        if _answers(call, _GREETING):
            return call
        call.close()
    return None


def _answers(call: socket.socket, line: bytes) -> bool:
    with contextlib.suppress(OSError):
        call.sendall(line)
        with call.makefile("rb") as file:
            return file.readline(len(_ANSWER)) == _ANSWER
    return False


def _is_told(call: socket.socket, word: Word) -> bool:
    return _answers(call, next(line for line, each in _WORDS.items() if each == word))


def _is_open(call: socket.socket) -> bool:
    """Tell whether the worker at the other end still waits."""
    call.setblocking(False)
    try:
        call.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        call.settimeout(_CALL)
        return True
    except OSError:
        return False
    return False  # it hung up: nobody speaks without being spoken to


def _hear(call: socket.socket, end: float) -> Word | None:
    """Return what the chief says, which may take until all are there; None if it is not the chief, or hangs up."""
    call.settimeout(_CALL)
    with call.makefile("rb") as file:
        if file.readline(len(_GREETING)) != _GREETING:
            return None
        call.sendall(_ANSWER)
        call.settimeout(max(_CALL, end - time.monotonic()))
        word = _WORDS.get(file.readline(max(map(len, _WORDS))))
    if word is not None:
        call.sendall(_ANSWER)
    return word


def _absent(addresses: Sequence[str], seconds: float) -> WorkerLost:
    return WorkerLost(
        f"expected every worker to start within {seconds:g} s; no answer from {', '.join(addresses)}",
        hint=f"start all workers, with the same addresses; {PATIENCE_VARIABLE}=SECONDS waits longer",
    )
