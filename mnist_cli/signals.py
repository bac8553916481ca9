"""SIGINT, SIGTERM and SIGHUP: an exception at once where work can be dropped, a request to stop where it cannot."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from mnist_cli import system
from mnist_cli.errors import Interrupted

# A terminal that is closed sends a hang-up, which Windows does not have.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *system.HANG_UP)


class StopRequest:
    """Whether a signal has asked the work to stop, and which one."""

    signal_number: int | None = None


_received: list[int] = []


def raise_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread; for the entry point to call."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background job
            signal.signal(number, _raise_interrupted)


@contextlib.contextmanager
def deferred_signals() -> Iterator[StopRequest]:
    """Inside the block the first of these signals only sets `signal_number`; the second raises `Interrupted`.

    One that is ignored stays so, as for a shell's background job. In a thread other than the main one no handler can
    be set, and the request stays empty.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def remember(number: int, _frame: FrameType | None) -> None:
        if request.signal_number is not None:
            raise Interrupted(number)
        request.signal_number = number

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, remember) for number in heard}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def take_signals_back() -> None:
    """Let this process's handlers hear signals again, where a library has put its own in their place.

    TensorFlow does so with SIGTERM when its servers start. In a thread other than the main one nothing happens.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if callable(handler := signal.getsignal(number)):  # Python's view, which the library did not change
                signal.signal(number, handler)


def received_signal() -> int | None:
    """Return the number of the last signal that raised `Interrupted`, if there was one."""
    return _received[-1] if _received else None


def _raise_interrupted(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    raise Interrupted(number)
