"""The one text of the lesson, which becomes the page and docs/tutorial.md.

Markdown with marks, each on a line of its own:

    <!-- section: NAME -->    the heading after it begins a section of the page
    <!-- figure: NAME -->     a figure, live on the page and a picture in the document
    <!-- docs -->             until the next mark of these three: for the document only
    <!-- page -->             for the page only; may hold expressions of Jinja
    <!-- end -->              for both again
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

_MARK = re.compile(r"^<!-- (?:(section|figure): ([\w-]+)|(docs|page|end)) -->\n", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """A stretch of the text that ends where a mark stands.

    Attributes:
        kind: `text`, `figure` or `section`.
        content: Markdown, or the name that the mark has.
    """

    kind: str
    content: str


def pieces(audience: str) -> list[Piece]:
    """Return the text in pieces, without what is for the other audience.

    Args:
        audience: `page` or `docs`.
    """
    source = (resources.files("mnist_cli.lesson") / "text" / "lesson.md").read_text(encoding="utf-8")
    found: list[Piece] = []
    reader = "end"  # whom the text is for; "end": everybody
    start = 0
    for mark in [*_MARK.finditer(source), None]:
        text = source[start : mark.start() if mark else len(source)].strip("\n")
        if text and reader in ("end", audience):
            found.append(Piece("text", text))
        if mark is None:
            break
        if mark[1]:
            found.append(Piece(mark[1], mark[2]))
        else:
            reader = mark[3]
        start = mark.end()
    return found


def as_document(pictures: Mapping[str, str]) -> str:
    """Return the text as one Markdown document.

    Args:
        pictures: name of a figure → Markdown in its place; a figure without one is left out.
    """
    texts = [
        pictures.get(piece.content, "") if piece.kind == "figure" else piece.content
        for piece in pieces("docs")
        if piece.kind != "section"
    ]
    return "\n\n".join(text for text in texts if text) + "\n"


def as_html(markdown: str) -> str:
    """Return Markdown as HTML in which nothing but our own marks can be a tag."""
    from markdown_it import MarkdownIt

    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    # A block of code that is wider than the page is scrolled with the keys, too.
    return rendered.replace("<pre>", '<pre tabindex="0">')
