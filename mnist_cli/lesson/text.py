"""The text of the lesson, from which the page and docs/tutorial.md are made.

It is Markdown with marks, each on its own line:

    <!-- section: NAME -->    the next heading begins a section of the page
    <!-- figure: NAME -->     a figure: live on the page, a picture in the document
    <!-- docs -->             until the next docs, page or end mark: for the document only
    <!-- page -->             likewise: for the page only; may contain Jinja expressions
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
    """A piece of the text, or a mark.

    Attributes:
        kind: `text`, `figure` or `section`.
        content: Markdown, or the name in the mark.
    """

    kind: str
    content: str


def pieces(audience: str) -> list[Piece]:
    """Return the text in pieces, without those for the other audience.

    Args:
        audience: `page` or `docs`.
    """
    source = (resources.files("mnist_cli.lesson") / "text" / "lesson.md").read_text(encoding="utf-8")
    found: list[Piece] = []
    reader = "end"  # the audience of the text; "end": both
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
        pictures: name of a figure → Markdown that replaces it; other figures are left out.
    """
    texts = [
        pictures.get(piece.content, "") if piece.kind == "figure" else piece.content
        for piece in pieces("docs")
        if piece.kind != "section"
    ]
    return "\n\n".join(text for text in texts if text) + "\n"


def as_html(markdown: str) -> str:
    """Return Markdown as HTML; HTML in the Markdown is escaped."""
    from markdown_it import MarkdownIt

    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    # So that wide blocks of code can be scrolled with the keys.
    return rendered.replace("<pre>", '<pre tabindex="0">')
