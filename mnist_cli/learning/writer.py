"""Writing beside the work: a thread that takes what it is handed, little of the time, and drops what is too old."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Writer(Generic[T]):
    """Hands items to `write` in a thread of its own, one at a time.

    However fast they come: after a write the thread rests, and then takes the newest. An error of `write` drops what
    still waits, and is raised by the next call of `submit` or `wait`.

    Args:
        write: called with each item.
        limit: how many items may wait; one more pushes out the oldest.
        rest: how long to rest after a write, as a multiple of the time that it took.
    """

    def __init__(self, write: Callable[[T], None], limit: int, rest: float) -> None:
        self._write = write
        self._rest = rest
        self._waiting: deque[T] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._busy = self._hurry = False
        self._rested = 0.0  # when it will have, by the monotonic clock
        self._error: BaseException | None = None

    def submit(self, item: T) -> None:
        """Let the item be written soon.

        Raises:
            Exception: what writing an earlier item raised.
        """
        with self._changed:
            self._raise()
            self._waiting.append(item)
            if not self._busy:
                self._busy = True
                # One for each burst of items, so that none is left over that would have to be ended. Daemon, so that
                # a disk that hangs does not keep a process that was told to leave.
                threading.Thread(target=self._work, name="write-checkpoints", daemon=True).start()

    def wait(self) -> None:
        """Return when everything that waits is written, which is done without rests.

        Raises:
            Exception: what writing raised.
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
            self._rested = ended + self._rest * (ended - started)

    def _next(self) -> T | None:
        """Return the item to write now, or None when there is none: the thread then ends."""
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
        """Rest to the end; return False if there was no need, or someone came to wait."""
        has_rested = False
        while not self._hurry and (left := self._rested - time.monotonic()) > 0:
            self._changed.wait(left)
            has_rested = True
        return has_rested and not self._hurry
