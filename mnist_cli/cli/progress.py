"""Show the progress of long jobs: a bar on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from mnist_cli.cli.terminal import say
from mnist_cli.progress import Progress
from mnist_cli.text import file_size

if TYPE_CHECKING:
    from rich.console import Console

_LINE_INTERVAL = 10.0  # seconds between two lines in a log
_BAR, _SHORTEST_BAR = 24, 6  # characters of a bar


class _Forgiving:
    """A stream that ignores write errors, so that a closed terminal does not end the work before SIGHUP does."""

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


class _Task:
    """One job: how much is done, and how long the rest will take."""

    def __init__(self, label: str, total: int | None, unit: str, clock: Callable[[], float]) -> None:
        self.label, self.total, self.unit = label, total, unit
        self._clock = clock
        self._started = clock()
        self._first: int | None = None

    def parts(self, done: int, detail: str) -> list[str]:
        """Return `500 of 1,000 steps`, `1:40 left`, and the parts of the detail, which commas separate."""
        if self._first is None:  # a resumed job starts with work that took no time now
            self._first = done
        amount = f"{self._amount(done)} of {self._amount(self.total)}" if self.total else self._amount(done)
        amount += "" if self.unit == "B" else f" {self.unit}"
        return list(filter(None, (amount, *self._pace(done), *detail.split(", "))))

    def _pace(self, done: int) -> Iterator[str]:
        if not self.total or self._first is None or done <= self._first:
            return
        per_second = (done - self._first) / max(self._clock() - self._started, 1e-9)
        minutes, seconds = divmod(round((self.total - done) / per_second), 60)
        yield f"{minutes}:{seconds:02} left"
        if self.unit == "B":
            yield f"{file_size(per_second)}/s"

    def _amount(self, count: int) -> str:
        return file_size(count) if self.unit == "B" else f"{count:,}"


class LineProgress(Progress):
    """Print `train: 4,000 of 50,000 steps (1:02 left, loss 0.31)` on stderr every ten seconds; nothing for short jobs.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._task = _Task("", None, "", clock)
        self._last = 0.0

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Start the interval between lines."""
        self._task = _Task(label, total, unit, self._clock)
        self._last = self._clock()

    def update(self, done: int, detail: str = "") -> None:
        """Print a line if the interval has passed."""
        amount, *rest = self._task.parts(done, detail)
        if self._clock() - self._last >= _LINE_INTERVAL:
            self._last = self._clock()
            details = f" ({', '.join(rest)})" if rest else ""
            _Forgiving(sys.stderr).write(f"{self._task.label}: {amount}{details}\n")

    def note(self, message: str) -> None:
        """Print the note."""
        say("note:", message, fg="cyan")

    def warn(self, message: str) -> None:
        """Print the warning."""
        say("warning:", message, fg="yellow")


class BarProgress(Progress):
    """Show a bar on stderr with amount, time left and detail; it disappears when the task ends.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self._clock = clock
        self._console = Console(file=cast("IO[str]", _Forgiving(sys.stderr)), highlight=False)
        self._bar: _Bar | None = None

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Show a new bar."""
        self.finish()
        self._bar = _Bar(self._console, _Task(label, total, unit, self._clock))

    def update(self, done: int, detail: str = "") -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(done, detail)

    def finish(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, message: str) -> None:
        """Print the note above the bar."""
        self._above("[bold cyan]note:[/]", message)

    def warn(self, message: str) -> None:
        """Print the warning above the bar."""
        self._above("[bold yellow]warning:[/]", message)

    def _above(self, label: str, message: str) -> None:
        from rich.text import Text

        self._console.print(label, Text(message))


class _Bar:
    """One Rich progress bar. It shrinks for the words beside it; when it is short, the last words are dropped."""

    def __init__(self, console: Console, task: _Task) -> None:
        from rich import progress as rich_progress

        self._console, self._of = console, task
        self._column = rich_progress.BarColumn(bar_width=_BAR)
        columns = [
            rich_progress.TextColumn("{task.description}", markup=False),
            self._column,
            rich_progress.TextColumn("{task.fields[words]}", markup=False),
        ]
        self._progress = rich_progress.Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(task.label, total=task.total, words="")
        self._progress.start()

    def update(self, done: int, detail: str) -> None:
        parts = self._of.parts(done, detail)
        free = self._console.width - len(self._of.label) - 3  # spaces between the columns, and one at the end
        while len(parts) > 1 and len(", ".join(parts)) > free - _SHORTEST_BAR:
            parts.pop()
        words = ", ".join(parts)
        self._column.bar_width = max(1, min(_BAR, free - len(words)))
        self._progress.update(self._task, completed=done, words=words)

    def stop(self) -> None:
        self._progress.stop()
