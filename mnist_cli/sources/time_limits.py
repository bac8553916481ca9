"""The time limits of a fetch: for one answer, for everything, and for a server that drips."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mnist_cli.sources.failures import DeadlineExceeded, MirrorError

T = TypeVar("T")

# Long enough to tolerate lost Wi-Fi or a TCP slow start, short enough to leave a dripping server soon.
SPEED_WINDOW = 10.0
# If a server asks to wait longer, another mirror is quicker.
LONGEST_PAUSE = 30.0
_FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock, sleep and random numbers of a fetch; tests replace them.

    Attributes:
        now: monotonic seconds.
        sleep: waits a number of seconds.
        random: a number in [0, 1).
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


SYSTEM_CLOCK = Clock()


@dataclass
class TimeLimits:
    """The time limits of one fetch, counted from the creation of this object.

    Attributes:
        timeout: seconds without any data from the server.
        deadline: seconds for everything: all files, mirrors, tries and pauses.
        min_speed: bytes per second below which a mirror is abandoned.
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
            DeadlineExceeded: none are left.
        """
        left = self._end - self.clock.now()
        if left <= 0:
            raise DeadlineExceeded
        return left

    def check(self) -> None:
        """Raise DeadlineExceeded if no time is left."""
        self.remaining()

    def wait(self, receive: Callable[[float], T], limit: float) -> T:
        """Return the result of `receive(seconds)`, within `limit` seconds and the deadline.

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

        Half of the time is random, so that many machines do not retry in step.

        Returns:
            False, without waiting, if the server asks for too long or the deadline would pass.
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

    A read time-out cannot do that: one byte before each time-out keeps a connection alive for ever.

    Args:
        time_limits: the time limits of the fetch.
        missing: bytes to come, if another mirror can take over when this one would miss the deadline; else None.
    """

    def __init__(self, time_limits: TimeLimits, missing: int | None = None) -> None:
        self._now = time_limits.clock.now
        self._time_limits = time_limits
        self._missing = missing
        self._begin = self._now()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._in_window = 0

    def add(self, count: int) -> None:
        """Count bytes that have just arrived.

        Raises:
            MirrorError: the last full window was slower than `min_speed`, or than the deadline requires.
            DeadlineExceeded: the time is up.
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
        speed, least, why = self._in_window / SPEED_WINDOW, self._time_limits.min_speed, ""
        if self._missing is not None and (needed := self._missing / self._time_limits.remaining()) > least:
            least, why = needed, " to finish by the deadline"
        if speed < least:
            raise MirrorError(f"too slow: {speed:,.0f} B/s, expected at least {least:,.0f} B/s{why}", down=True)
