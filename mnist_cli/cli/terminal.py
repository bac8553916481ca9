"""Write to the terminal, pipe or file: colours, labelled messages, lines that fit, lost output."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import typer

from mnist_cli.text import lines

PALETTE = 256
_NARROW = 20  # columns; in fewer, text is left to the terminal
_QUOTED = re.compile(r"(?<!\w)'[^']+'(?!\w)")
_CLOSED_PIPE = 128 + 13  # the exit code that a shell reports after SIGPIPE


class OutputLost(Exception):
    """Standard output cannot be written; the command ends with `exit_code`."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror}")
        self.closed_pipe = isinstance(error, BrokenPipeError)
        self.exit_code = _CLOSED_PIPE if self.closed_pipe else 1


def write(text: str, *, flush: bool = False) -> None:
    """Write to standard output.

    Raises:
        OutputLost: it cannot be written; later writes then go nowhere and do not fail.
    """
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise OutputLost(error) from None


def say(label: str, text: str, **style: Any) -> None:
    """Print a labelled message on stderr; do nothing if stderr cannot be written."""
    shown = "\n".join(wrapped(lines(text), sys.stderr, len(label) + 1))
    with contextlib.suppress(OSError):
        # In one write, so that a stderr that fails midway does not get half a line.
        sys.stderr.write(f"{styled(label, sys.stderr, bold=True, **style)} {shown}\n")
        sys.stderr.flush()


def wrapped(text: str, stream: TextIO, indent: int = 0) -> list[str]:
    """Return the lines of a text; on a terminal, broken between words to fit its width.

    Text in quotes, such as a command to copy, is not broken.

    Args:
        text: may hold several lines.
        stream: where it is printed.
        indent: columns that are already taken.
    """
    width = shutil.get_terminal_size().columns - indent
    found = text.split("\n")
    if width < _NARROW or not is_terminal(stream):
        return found
    return [part for line in found for part in _broken(line, width)]


def _broken(line: str, width: int) -> Iterator[str]:
    while len(line) > width:
        quoted = [match.span() for match in _QUOTED.finditer(line)]
        ends = [
            match.start()
            for match in re.finditer(r"(?<=\S) (?!%)", line)
            if not any(start < match.start() < end for start, end in quoted)
        ]
        at = max((end for end in ends if end <= width), default=min(ends, default=None))
        if at is None:
            break
        yield line[:at]
        line = line[at:].lstrip()
    yield line


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Return `text` in colour if `stream` shows colours, with its own control characters escaped."""
    return typer.style(lines(text), **style) if style and shows_colour(stream) else lines(text)


def shows_colour(stream: TextIO) -> bool:
    """Whether to use colours: on a terminal that is not dumb, unless NO_COLOR is set (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def colours_of(stream: TextIO) -> int:
    """Return how many colours pictures may use: 2^24 if COLORTERM says so, xterm's 256, or 0.

    Pictures in colour are made of half blocks, so the stream must be able to encode these.
    """
    if not shows_colour(stream) or not encodes("▀", stream):
        return 0
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return 1 << 24
    return PALETTE if os.environ.get("TERM", "").endswith("256color") else 0


def encodes(text: str, stream: TextIO) -> bool:
    """Whether a stream's encoding has all characters of a text."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can move its cursor, outside CI."""
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not in_ci
