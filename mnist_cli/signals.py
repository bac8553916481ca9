"""Handle SIGINT, SIGTERM and SIGHUP: raise at once where work can be dropped, else request a stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from mnist_cli import system
from mnist_cli.errors import Interrupted

# Closing a terminal sends a hang-up, which Windows does not have.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *system.HANG_UP)


class StopRequest:
    """Records whether a signal has asked the work to stop, and which one."""

    signal_number: int | None = None


_received: list[int] = []


def raise_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread; the entry point calls this."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background job
            signal.signal(number, _raise_interrupted)


@contextlib.contextmanager
def deferred_signals() -> Iterator[StopRequest]:
    """Defer signals inside the block: the first one only sets `signal_number`, the second raises `Interrupted`.

    An ignored signal stays ignored, as in a shell's background job. Only the main thread can set handlers; in other
    threads the request stays empty.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def remember(number: int, _frame: FrameType | None) -> None:
        if request.signal_number is not None:
            raise Interrupted(number)
        request.signal_number = number

    active = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, remember) for number in active}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def reinstall_signal_handlers() -> None:
    """Reinstall this process's signal handlers where a library has replaced them.

    TensorFlow replaces that of SIGTERM when its servers start. Outside the main thread this does nothing.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if callable(handler := signal.getsignal(number)):  # Python's view, which the library did not change
                signal.signal(number, handler)


def received_signal() -> int | None:
    """Return the number of the last signal that raised `Interrupted`, or None."""
    return _received[-1] if _received else None


def _raise_interrupted(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    raise Interrupted(number)
