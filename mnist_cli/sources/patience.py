"""How long a fetch waits: for one answer, for the whole, and for a server that drips."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mnist_cli.sources.failures import DeadlineExceeded, MirrorError

T = TypeVar("T")

# Long enough to forgive a lost Wi-Fi or a new TCP slow start, short enough to leave a dripping server soon.
SPEED_WINDOW = 10.0
# A server that asks for more than this is not waited for: another mirror is quicker.
LONGEST_PAUSE = 30.0
_FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, the waiting and the chance that a fetch needs; tests give others.

    Attributes:
        now: monotonic seconds.
        sleep: waits so many seconds.
        random: a number in [0, 1).
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


SYSTEM_CLOCK = Clock()


@dataclass
class Patience:
    """The bounds of one fetch, counted from when this is made.

    Attributes:
        timeout: seconds without a sign of the server.
        deadline: seconds for everything: all files, mirrors, tries and pauses.
        min_speed: bytes a second below which a mirror is given up.
    """

    timeout: float
    deadline: float
    min_speed: float
    clock: Clock = SYSTEM_CLOCK
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.clock.now() + self.deadline

    def remaining(self) -> float:
        """Return the seconds left, more than zero.

        Raises:
            DeadlineExceeded: none are.
        """
        left = self._end - self.clock.now()
        if left <= 0:
            raise DeadlineExceeded
        return left

    def check(self) -> None:
        """Raise DeadlineExceeded when no time is left."""
        self.remaining()

    def wait(self, receive: Callable[[float], T], limit: float) -> T:
        """Return what `receive(seconds)` gives, within `limit` seconds and the deadline.

        Raises:
            TimeoutError: `receive` raised it after `limit` seconds.
            DeadlineExceeded: the deadline came first.
        """
        left = self.remaining()
        try:
            return receive(min(limit, left))
        except TimeoutError:
            if left <= limit:
                raise DeadlineExceeded from None
            raise

    def pause(self, tries: int, retry_after: float | None) -> bool:
        """Wait before the next try: as long as the server asks, else about 0.5, 1, 2, … seconds.

        Half of the time is left to chance, so that many machines do not come back in step.

        Returns:
            False, without waiting, when the server asks for too long or the deadline would pass.
        """
        seconds = _FIRST_PAUSE * 2 ** (tries - 1) * (0.5 + 0.5 * self.clock.random())
        if retry_after is not None:
            seconds = retry_after
        if seconds > LONGEST_PAUSE or seconds >= self.remaining():
            return False
        self.clock.sleep(seconds)
        return True


class SpeedGauge:
    """Watches the speed of one answer over a sliding window of SPEED_WINDOW seconds.

    A read time-out does not do that: one byte before each time-out keeps a connection for ever.

    Args:
        patience: the bounds of the fetch.
        missing: bytes to come, where another mirror can take over from one that would not bring them by the deadline.
    """

    def __init__(self, patience: Patience, missing: int | None = None) -> None:
        self._now = patience.clock.now
        self._patience = patience
        self._missing = missing
        self._begin = self._now()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._in_window = 0

    def add(self, count: int) -> None:
        """Count bytes that came just now.

        Raises:
            MirrorError: the last full window brought less than `min_speed` a second, or than the deadline asks for.
            DeadlineExceeded: the time is over.
        """
        now = self._now()
        self._arrivals.append((now, count))
        self._in_window += count
        while self._arrivals[0][0] <= now - SPEED_WINDOW:
            self._in_window -= self._arrivals.popleft()[1]
        if self._missing is not None:
            self._missing -= count
        if now - self._begin < SPEED_WINDOW:
            return
        speed, least, why = self._in_window / SPEED_WINDOW, self._patience.min_speed, ""
        if self._missing is not None and (needed := self._missing / self._patience.remaining()) > least:
            least, why = needed, " to be done by the deadline"
        if speed < least:
            raise MirrorError(f"too slow: {speed:,.0f} B/s, expected at least {least:,.0f} B/s{why}", down=True)
