"""Open a written page in the browser."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.cli.output import Output
from mnist_cli.text import printable


def show_page(path: Path, output: Output) -> None:
    """Open a page in the browser; if there is none, say so."""
    import webbrowser  # imported only for --open

    if not webbrowser.open(path.resolve().as_uri()):
        output.note(f"no browser could be opened: open {printable(path)} by hand")
