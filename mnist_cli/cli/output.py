"""What is printed: results to stdout, everything else to stderr, and with `--json` exactly one document."""

from __future__ import annotations

import json
import sys
from typing import Any

from mnist_cli.cli.progress import BarProgress, LineProgress
from mnist_cli.cli.terminal import is_terminal, say, styled, write
from mnist_cli.errors import Interrupted, MnistError
from mnist_cli.progress import Progress
from mnist_cli.text import lines


class Output:
    """Prints for one command.

    Args:
        as_json: print one JSON document at the end instead of lines.
        quiet: print no results, notes and progress; errors and JSON are printed all the same.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._document: dict[str, Any] = {}
        self._in_lines = False

    def line(self, text: str = "", **style: Any) -> None:
        """Print one line of a text result."""
        self._write(styled(text, sys.stdout, **style))

    def drawing(self, line: str) -> None:
        """Print one line that brings colours of its own, and nothing that came from outside."""
        self._write(line)

    def columns(self, *cells: tuple[Any, ...]) -> None:
        """Print one line of cells: (text, width) or (text, width, colour); the last cell takes what it needs."""
        padded = [
            styled(cell[0].ljust(cell[1]), sys.stdout, **({"fg": cell[2]} if len(cell) > 2 else {})) for cell in cells
        ]
        self._write(" ".join(padded).rstrip())

    def _write(self, line: str) -> None:
        if not self.as_json and not self.quiet:
            write(line + "\n")

    def document(self, content: dict[str, Any]) -> None:
        """Take a part of the JSON document; it is printed when the command ends, also when it fails."""
        self._document |= content

    def append(self, name: str, item: dict[str, Any]) -> None:
        """Take one more item of a list in the JSON document."""
        self._document.setdefault(name, []).append(item)

    def record(self, content: dict[str, Any]) -> None:
        """Print one line of JSON at once; with the first one the results become JSON lines instead of a document.

        What ends the command early is one more line then.
        """
        self._in_lines = True
        if self.as_json:
            write(lines(json.dumps(content, ensure_ascii=False, allow_nan=False)) + "\n", flush=True)

    def note(self, text: str) -> None:
        """Say something worth knowing on stderr."""
        if not self.quiet:
            say("note:", text, fg="cyan")

    def warn(self, text: str) -> None:
        """Say something to act on, on stderr."""
        if not self.quiet:
            say("warning:", text, fg="yellow")

    def fail(self, error: MnistError | Interrupted) -> None:
        """Report the error that ended the command."""
        from mnist_cli.cli import github  # only a failure pays for it

        self.document({"error": error.document()})
        if not self.as_json:
            say("error:", error.message, fg="red")
            if error.hint:
                say("hint:", error.hint, fg="green")
        github.tell_failure(error)

    def finish(self) -> None:
        """Print the JSON document, if that is what was asked for."""
        if self._in_lines:
            if self._document:
                self.record(self._document)
        elif self.as_json:
            write(lines(json.dumps(self._document, indent=2, ensure_ascii=False, allow_nan=False)) + "\n")

    def progress(self) -> Progress:
        """Return a listener that shows how a long job goes, as far as stderr is made for it."""
        if self.quiet:
            return Progress()
        return BarProgress() if is_terminal(sys.stderr) else LineProgress()
