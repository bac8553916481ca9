"""Waiting for TensorFlow, which may wait for a worker that is gone: with a deadline, and with signals."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from mnist_cli.errors import Interrupted, WorkerLost
from mnist_cli.learning.distributed import waiting
from mnist_cli.learning.distributed.waiting import wait_interruptibly
from mnist_cli.signals import StopRequest, deferred_signals, raise_on_signals


@pytest.fixture
def forever() -> Iterator[threading.Event]:
    """An event that is not set until the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Let this test change what signals do."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def signal_soon(number: int) -> None:
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()


def test_what_the_work_returns_or_raises_arrives() -> None:
    assert wait_interruptibly(lambda: 7, None, StopRequest()) == 7

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        wait_interruptibly(fail, 10, StopRequest())


def test_work_that_does_not_end_in_time_means_that_a_worker_is_lost(forever: threading.Event) -> None:
    with pytest.raises(WorkerLost, match=r"in every worker within 0\.3 s"):
        wait_interruptibly(forever.wait, 0.3, StopRequest())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_at_once_even_if_a_library_has_taken_it(
    forever: threading.Event, number: signal.Signals
) -> None:
    raise_on_signals()
    # As TensorFlow does with SIGTERM, which Python then does not receive.
    ignore = ctypes.c_void_p(1)  # SIG_IGN
    ctypes.CDLL(None).signal(int(number), ignore)
    signal_soon(number)
    with pytest.raises(Interrupted) as stopped:
        wait_interruptibly(forever.wait, 30, StopRequest())
    assert stopped.value.exit_code == 128 + number


def test_a_signal_that_asks_to_stop_gives_the_others_a_moment_and_no_more(
    forever: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_GRACE", 0.5)
    with deferred_signals() as stop:
        signal_soon(signal.SIGTERM)
        wait_interruptibly(lambda: time.sleep(0.4), None, stop)
        started = time.monotonic()
        with pytest.raises(Interrupted) as stopped:
            wait_interruptibly(forever.wait, None, stop)
        assert time.monotonic() - started < 10
    assert stopped.value.exit_code == 143
