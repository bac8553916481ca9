"""Writing in the background: a thread that takes only a little of the time and drops items that are too old."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Writer(Generic[T]):
    """Passes items to `write` in its own thread, one at a time.

    After a write the thread idles, then it writes the newest item and drops the older ones. An error in `write` drops
    all waiting items and is raised by the next call of `submit` or `wait`.

    Args:
        write: called with each item.
        limit: number of items that may wait; one more pushes out the oldest.
        idle: how long to idle after a write, as a multiple of the time that the write took.
    """

    def __init__(self, write: Callable[[T], None], limit: int, idle: float) -> None:
        self._write = write
        self._idle = idle
        self._waiting: deque[T] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._busy = self._hurry = False
        self._idle_until = 0.0  # by the monotonic clock
        self._error: BaseException | None = None

    def submit(self, item: T) -> None:
        """Queue the item to be written soon.

        Raises:
            Exception: the error of writing an earlier item.
        """
        with self._changed:
            self._raise()
            self._waiting.append(item)
            if not self._busy:
                self._busy = True
                # One thread for each burst of items, so that none has to be ended. Daemon, so that a disk that hangs
                # does not keep the process from exiting.
                threading.Thread(target=self._work, name="write-checkpoints", daemon=True).start()

    def wait(self) -> None:
        """Wait until all items are written, without idling in between.

        Raises:
            Exception: the error of a write.
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            try:
                while self._busy:
                    self._changed.wait()
            finally:
                self._hurry = False
            self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self) -> None:
        while (item := self._next()) is not None:
            started = time.monotonic()
            try:
                self._write(item)
            except BaseException as error:  # noqa: BLE001  # raised again in the thread that submitted it
                with self._changed:
                    self._error = error
                    self._waiting.clear()
            ended = time.monotonic()
            self._idle_until = ended + self._idle * (ended - started)

    def _next(self) -> T | None:
        """Return the item to write now, or None if there is none; the thread then ends."""
        with self._changed:
            if self._waiting and self._sleep():
                newest = self._waiting.pop()
                self._waiting.clear()
                return newest
            if self._waiting:
                return self._waiting.popleft()
            self._busy = False
            self._changed.notify_all()
            return None

    def _sleep(self) -> bool:
        """Idle until the time is up; return False if that was not necessary or `wait` cut it short."""
        has_idled = False
        while not self._hurry and (left := self._idle_until - time.monotonic()) > 0:
            self._changed.wait(left)
            has_idled = True
        return has_idled and not self._hurry
