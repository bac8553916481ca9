"""The terminal, or the pipe or file in its place: colours, labelled messages, and output that cannot be written."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO

import typer

from mnist_cli.text import lines

PALETTE = 256
_CLOSED_PIPE = 128 + 13  # what a shell reports for a program that SIGPIPE ended


class OutputLost(Exception):
    """Standard output cannot be written; `exit_code` says how that ends the command."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror}")
        self.closed_pipe = isinstance(error, BrokenPipeError)
        self.exit_code = _CLOSED_PIPE if self.closed_pipe else 1


def write(text: str, *, flush: bool = False) -> None:
    """Write to standard output.

    Raises:
        OutputLost: it cannot be written; from then on it leads nowhere, so that nothing fails on it again.
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
    """Print a labelled message on stderr; a stderr that cannot be written is nobody's problem."""
    with contextlib.suppress(OSError):
        # In one piece, so that a stderr that fails in between leaves no half of a line.
        sys.stderr.write(f"{styled(label, sys.stderr, bold=True, **style)} {lines(text)}\n")
        sys.stderr.flush()


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Return `text` with terminal colours if `stream` shows them, and without any control character of its own."""
    return typer.style(lines(text), **style) if style and shows_colour(stream) else lines(text)


def shows_colour(stream: TextIO) -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set (no-color.org) or it is a dumb one."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def colours_of(stream: TextIO) -> int:
    """Return how many colours pictures may have: 2^24 where COLORTERM says so, the 256 of xterm's palette, or 0."""
    if not shows_colour(stream):
        return 0
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return 1 << 24
    return PALETTE if os.environ.get("TERM", "").endswith("256color") else 0


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at `stream`: a terminal that can move its cursor, outside of CI."""
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not in_ci
