"""Progress of long jobs: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from mnist_cli.cli.terminal import say
from mnist_cli.progress import Progress
from mnist_cli.text import file_size

if TYPE_CHECKING:
    from rich.console import Console

_LINE_INTERVAL = 10.0  # seconds between two lines in a log
_NARROW = 72  # columns; below, a percentage and a bar are all that fits


class _Forgiving:
    """A stream that takes everything: a terminal that was closed does not end the work before the hang-up does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LineProgress(Progress):
    """Prints `train: 4,000 of 50,000 steps (loss 0.31)` on stderr at long intervals; short jobs print nothing.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._label, self._total, self._unit = "", None, ""  # type: tuple[str, int | None, str]
        self._started = self._last = 0.0
        self._first: int | None = None

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin to count the interval."""
        self._label, self._total, self._unit = label, total, unit
        self._started = self._last = self._clock()
        self._first = None

    def update(self, done: int, detail: str = "") -> None:
        """Print a line if the last one was long ago."""
        if self._first is None:  # what a resumed job finds done took no time now
            self._first = done
        if self._clock() - self._last >= _LINE_INTERVAL:
            self._last = self._clock()
            detail = ", ".join(filter(None, (detail, self._time_left(done))))
            amount = (
                f"{_amount(done, self._unit)} of {_amount(self._total, self._unit)}"
                if self._total
                else _amount(done, self._unit)
            )
            unit = "" if self._unit == "B" else f" {self._unit}"
            _Forgiving(sys.stderr).write(f"{self._label}: {amount}{unit}{f' ({detail})' if detail else ''}\n")

    def _time_left(self, done: int) -> str:
        if not self._total or self._first is None or done <= self._first:
            return ""
        seconds = (self._clock() - self._started) * (self._total - done) / (done - self._first)
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes}:{seconds:02} left"

    def note(self, message: str) -> None:
        """Print the note."""
        say("note:", message, fg="cyan")

    def warn(self, message: str) -> None:
        """Print the warning."""
        say("warning:", message, fg="yellow")


class BarProgress(Progress):
    """A bar with amount, speed and time left on stderr, gone when the task ends."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=cast("IO[str]", _Forgiving(sys.stderr)), highlight=False)
        self._bar: _Bar | None = None

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Show a new bar."""
        self.finish()
        self._bar = _Bar(self._console, label, total, unit)

    def update(self, done: int, detail: str = "") -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(done, detail)

    def finish(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, message: str) -> None:
        """Print the note above the bar."""
        self._console.print("[bold cyan]note:[/]", _plain(message))

    def warn(self, message: str) -> None:
        """Print the warning above the bar."""
        self._console.print("[bold yellow]warning:[/]", _plain(message))


class _Bar:
    """One Rich progress bar."""

    def __init__(self, console: Console, label: str, total: int | None, unit: str) -> None:
        from rich import progress as rich_progress

        amount: list[rich_progress.ProgressColumn] = (
            [rich_progress.DownloadColumn(), rich_progress.TransferSpeedColumn()]
            if unit == "B"
            else [rich_progress.MofNCompleteColumn(), rich_progress.TextColumn("{task.fields[unit]}")]
        )
        columns: list[rich_progress.ProgressColumn] = [
            rich_progress.TextColumn("{task.description}", markup=False),
            rich_progress.BarColumn(bar_width=24),
            *amount,
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.fields[detail]}", markup=False),
        ]
        if total is None:
            columns = [rich_progress.TextColumn("{task.description}", markup=False), rich_progress.BarColumn(24)]
        elif console.width < _NARROW:
            columns = [rich_progress.TaskProgressColumn(), rich_progress.BarColumn(bar_width=None)]
        self._progress = rich_progress.Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(label, total=total, unit=unit, detail="")
        self._progress.start()

    def update(self, done: int, detail: str) -> None:
        self._progress.update(self._task, completed=done, detail=detail)

    def stop(self) -> None:
        self._progress.stop()


def _plain(message: str) -> object:
    from rich.text import Text

    return Text(message)


def _amount(count: int | None, unit: str) -> str:
    if count is None:
        return "?"
    return file_size(count) if unit == "B" else f"{count:,}"
