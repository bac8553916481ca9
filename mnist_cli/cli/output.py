"""Print results to stdout and everything else to stderr; with `--json` exactly one document."""

from __future__ import annotations

import json
import sys
from typing import Any

from mnist_cli.cli.progress import BarProgress, LineProgress
from mnist_cli.cli.terminal import is_terminal, say, styled, wrapped, write
from mnist_cli.errors import Interrupted, MnistError
from mnist_cli.progress import Progress
from mnist_cli.text import lines


class Output:
    """Prints for one command.

    Args:
        as_json: print one JSON document at the end instead of lines.
        quiet: print no results, notes or progress; errors and JSON are still printed.
        name: the document's name in cli/documents; a command that prints another one sets the attribute.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, name: str = "failure") -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.name = name
        self._parts: dict[str, Any] = {}
        self._in_lines = False
        self._text = ""

    def line(self, text: str = "", **style: Any) -> None:
        """Print one line of a text result; a terminal gets as many lines as it needs."""
        for part in wrapped(lines(text), sys.stdout):
            self._write(styled(part, sys.stdout, **style))

    def drawing(self, line: str) -> None:
        """Print one line that has its own colours; it must hold no text from outside."""
        self._write(line)

    def columns(self, *cells: tuple[Any, ...]) -> None:
        """Print cells beside each other: (text, width) or (text, width, colour).

        The last cell may have several lines, or more words than the terminal is wide: it continues below itself.
        """
        *front, last = cells
        indent = sum(max(len(cell[0]), cell[1]) + 1 for cell in front)
        parts = wrapped(lines(last[0]), sys.stdout, indent)
        padded = [
            styled(cell[0].ljust(cell[1]), sys.stdout, **({"fg": cell[2]} if len(cell) > 2 else {}))
            for cell in (*front, (parts[0], *last[1:]))
        ]
        self._write(" ".join(padded).rstrip())
        for part in parts[1:]:
            self._write(" " * indent + part)

    def _write(self, line: str) -> None:
        if not self.as_json and not self.quiet:
            write(line + "\n")

    def document(self, **parts: Any) -> None:
        """Add parts to the JSON document, which is printed when the command ends, even if it fails.

        Args:
            parts: fields of the document: dictionaries, or objects with the attributes of the field's model.
        """
        self._parts |= parts

    def append(self, name: str, item: object) -> None:
        """Append an item to a list in the JSON document."""
        self._parts.setdefault(name, []).append(item)

    def record(self, name: str, **parts: Any) -> None:
        """Print a document at once, as one line of JSON; an error that ends the command becomes another line.

        Raises:
            MnistError: the document does not match its model.
        """
        self._in_lines = True
        if self.as_json:
            write(_rendered(name, parts), flush=True)

    def note(self, text: str) -> None:
        """Print information on stderr."""
        if not self.quiet:
            say("note:", text, fg="cyan")

    def warn(self, text: str) -> None:
        """Print a warning, something to act on, on stderr."""
        if not self.quiet:
            say("warning:", text, fg="yellow")

    def fail(self, error: MnistError | Interrupted) -> None:
        """Report the error that ended the command."""
        from mnist_cli.cli import github  # imported only for failures

        self.document(error=error)
        try:
            self.render()
        except MnistError:  # the collected results do not match their model
            self._parts = {"error": error}
            self.render()
        if not self.as_json:
            say("error:", error.message, fg="red")
            if error.hint:
                say("hint:", error.hint, fg="green")
        github.annotate_failure(error)

    def render(self) -> None:
        """Make the JSON document, if --json asked for it.

        Raises:
            MnistError: the document does not match its model.
        """
        if self.as_json and not self._in_lines:
            self._text = _rendered(self.name, self._parts, indent=2)
        elif self.as_json and self._parts:
            self._text = _rendered("failure", self._parts)

    def finish(self) -> None:
        """Print the JSON document."""
        write(self._text, flush=self._in_lines)

    def progress(self) -> Progress:
        """Return what shows the progress of a long job: a bar on a terminal, lines elsewhere."""
        if self.quiet:
            return Progress()
        return BarProgress() if is_terminal(sys.stderr) else LineProgress()


def _rendered(name: str, parts: dict[str, Any], indent: int | None = None) -> str:
    from mnist_cli.cli.documents import content  # imported only for JSON

    return lines(json.dumps(content(name, parts), indent=indent, ensure_ascii=False, allow_nan=False)) + "\n"
