"""Running processes in turns, and what each costs: seconds on the clock and peak memory.

This process stays small on purpose. Until a child has replaced the program of its parent it shares the parent's
memory, and Linux counts that into the child's peak, so that no figure can be below what is resident here (about
25 MB). So nothing here imports NumPy or TensorFlow, and whatever needs them is a child too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mnist_cli.text import printable

TIMEOUT = 600.0  # seconds; the longest child, a report on 8.1 million images, takes about two hundred
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB on Linux


class BenchmarkError(Exception):
    """A child failed, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process cost, and what it said.

    Attributes:
        seconds: from start to exit.
        peak: the most memory it had resident, in bytes.
        output: what it wrote to standard output.
    """

    seconds: float
    peak: int
    output: str = field(default="", repr=False, compare=False)

    def document(self) -> Any:
        """Return the JSON document that the process wrote.

        Raises:
            BenchmarkError: it wrote something else.
        """
        try:
            return json.loads(self.output)
        except ValueError as error:
            raise BenchmarkError(f"expected a JSON document; received {printable(self.output, 80)!r}") from error


# What a child prints is kept in this process's memory, and that is where the next child's peak begins.
_OUTPUT_LIMIT = 1 << 16  # bytes; the largest JSON document has about 5,000

Runner = Callable[[Sequence[str], Path], Sample]


@dataclass(frozen=True, slots=True)
class Entrant:
    """One of the processes that are measured in turns.

    Attributes:
        name: what the table calls it.
        argv: the command.
        folder: where it runs each time; None: in a new, empty folder each time.
        prepare: is given the folder before the clock starts.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path | None = None
    prepare: Callable[[Path], object] | None = None


def race(entrants: Sequence[Entrant], *, repeats: int, run: Runner) -> dict[str, list[Sample]]:
    """Run the entrants in turns, A B C A B C …, `repeats` times after one round that is not counted.

    In turns, so that whatever else the machine does meets all of them alike; the first round warms the caches of
    files and bytecode.

    Returns:
        name → `repeats` samples, in the order in which they were taken.

    Raises:
        BenchmarkError: one of them failed.
    """
    samples: dict[str, list[Sample]] = {entrant.name: [] for entrant in entrants}
    for turn in range(repeats + 1):
        for entrant in entrants:
            with _folder_for(entrant) as folder:
                if entrant.prepare is not None:
                    entrant.prepare(folder)
                sample = run(entrant.argv, folder)
            if turn > 0:
                samples[entrant.name].append(sample)
    return samples


def run_child(argv: Sequence[str], folder: Path, *, timeout: float = TIMEOUT) -> Sample:
    """Run a command in `folder`, without input, and measure it.

    Raises:
        BenchmarkError: it cannot be started, exits with another code than 0, or is killed after `timeout` seconds.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=child_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        except OSError as error:
            raise BenchmarkError(f"{printable(argv[0])} cannot be started: {error.strerror}") from error
        with _killed_at_the_end(process, timeout):
            # wait4 gives this child's own figures; getrusage(RUSAGE_CHILDREN) only the maximum over all of them.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            command = printable(" ".join(argv), 120)
            raise BenchmarkError(f"{command}: exit code {process.returncode}: {_last_line(stderr)}")
        stdout.seek(0)
        output = stdout.read(_OUTPUT_LIMIT).decode(errors="replace")
    return Sample(seconds, usage.ru_maxrss * _MAXRSS_UNIT, output)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would change the comparison: bytecode is kept, no option comes from it."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("MNIST_")
    }


@contextmanager
def _folder_for(entrant: Entrant) -> Iterator[Path]:
    if entrant.folder is not None:
        yield entrant.folder
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)


@contextmanager
def _killed_at_the_end(process: subprocess.Popen[bytes], timeout: float) -> Iterator[None]:
    """Kill the process when the time is over, and when the block is left before it has ended."""
    # Not process.kill(): it waits for the child by itself, and wait4 would find it gone.
    alarm = threading.Timer(timeout, os.kill, (process.pid, signal.SIGKILL))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        if process.returncode is None:
            process.kill()
            process.wait()


def _last_line(stderr: IO[bytes]) -> str:
    stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, stderr.tell() - 4000))
    lines = stderr.read().decode(errors="replace").strip().splitlines()
    return printable(lines[-1]) if lines else "it said nothing"
