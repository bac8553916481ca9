"""The text of the lesson, from which the page and docs/tutorial.md are made.

It is Markdown with marks, each on its own line:

    <!-- section: NAME -->    the next heading begins a section of the page
    <!-- figure: NAME -->     a figure: live on the page, a picture in the document
    <!-- docs -->             until the next docs, page, mnist, other or end mark: for the document only
    <!-- page -->             likewise: for the page only; may contain Jinja expressions
    <!-- mnist -->            likewise: for the document, and for a page of MNIST, whose digits and numbers it has
    <!-- other -->            likewise: for a page of other data, in place of what is for MNIST; may contain Jinja
    <!-- end -->              for all again
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

_MARK = re.compile(r"^<!-- (?:(section|figure): ([\w-]+)|(docs|page|mnist|other|end)) -->\n", re.MULTILINE)
# Which readers get what follows a mark: the document, the page of MNIST, and the page of other data.
_READERS = {
    "docs": ("docs",),
    "page": ("page", "other"),
    "mnist": ("docs", "page"),
    "other": ("other",),
    "end": ("docs", "page", "other"),
}


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
    """Return the text in pieces, without those for other audiences.

    Args:
        audience: `docs`, `page` for the page of MNIST, or `other` for that of other data.
    """
    source = (resources.files("mnist_cli.lesson") / "text" / "lesson.md").read_text(encoding="utf-8")
    found: list[Piece] = []
    mark_before = "end"
    start = 0
    for mark in [*_MARK.finditer(source), None]:
        text = source[start : mark.start() if mark else len(source)].strip("\n")
        if text and audience in _READERS[mark_before]:
            found.append(Piece("text", text))
        if mark is None:
            break
        if mark[1]:
            found.append(Piece(mark[1], mark[2]))
        else:
            mark_before = mark[3]
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
    # A formula is an indented block, without a language: it is wrapped. Blocks of code can be scrolled with the keys.
    for plain, made in (("<pre><code>", '<pre class="formula"><code>'), ("<pre><code ", '<pre tabindex="0"><code ')):
        rendered = rendered.replace(plain, made)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", rendered)
