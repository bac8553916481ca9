"""The background writer: order, dropping, idling and errors."""

from __future__ import annotations

import threading

import pytest

from mnist_cli.learning import writer as writer_module
from mnist_cli.learning.writer import Writer


class Gate:
    """Writes items into a list; each write waits until it is let through."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, item: int) -> None:
        self.begun.set()
        assert self.open.wait(30)
        self.written.append(item)


def test_everything_that_may_wait_is_written_in_order() -> None:
    gate = Gate()
    gate.open.set()
    writer = Writer(gate, 5, 0.0)
    for item in range(3):
        writer.submit(item)
    writer.wait()
    assert gate.written == [0, 1, 2]


def test_submitting_does_not_wait_and_too_many_push_out_the_oldest() -> None:
    gate = Gate()
    writer = Writer(gate, 2, 0.0)
    writer.submit(0)
    assert gate.begun.wait(30)
    for item in range(1, 6):
        writer.submit(item)
    gate.open.set()
    writer.wait()
    assert gate.written == [0, 4, 5]


def test_waiting_ends_idling() -> None:
    gate = Gate()
    gate.open.set()
    writer = Writer(gate, 5, 1e12)
    for item in range(4):
        writer.submit(item)
    writer.wait()
    assert gate.written == [0, 1, 2, 3]


class Clock:
    """Replaces the module `time`: it stands still, and counts how often it was asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = threading.Semaphore(0)

    def monotonic(self) -> float:
        self.asked.release()
        return self.now


def test_after_idling_only_the_newest_waiting_item_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, gate, done = Clock(), Gate(), threading.Semaphore(0)
    monkeypatch.setattr(writer_module, "time", clock)

    def write(item: int) -> None:
        gate(item)
        clock.now += 1
        done.release()

    def wait_until_asked(times: int) -> None:
        for _ in range(times):
            assert clock.asked.acquire(timeout=30)

    writer = Writer(write, 5, 1000.0)
    writer.submit(0)
    assert gate.begun.wait(30)
    for item in range(1, 4):
        writer.submit(item)
    gate.open.set()
    wait_until_asked(3)  # before and after writing, and when it begins to idle, until 1001
    for now in (1000.5, 1001.0):
        with writer._changed:  # free once the writer idles
            assert gate.written == [0]
            clock.now = now
            writer._changed.notify_all()
        wait_until_asked(1)
    for _ in range(2):
        assert done.acquire(timeout=30)
    writer.wait()
    assert gate.written == [0, 3]


def test_an_error_drops_what_waits_and_is_raised_once() -> None:
    begun, fail = threading.Event(), threading.Event()
    written: list[int] = []

    def write(item: int) -> None:
        written.append(item)
        begun.set()
        if item == 0:
            assert fail.wait(30)
            raise OSError("full")

    writer = Writer(write, 5, 0.0)
    writer.submit(0)
    assert begun.wait(30)
    writer.submit(1)
    fail.set()
    with pytest.raises(OSError, match="full"):
        writer.wait()
    writer.submit(2)
    writer.wait()
    assert written == [0, 2]
