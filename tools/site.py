"""Hooks of mkdocs: formulas become MathML when the site is built, and links to files outside docs/ become text.

MathML needs no program and no fonts from elsewhere in the reader's browser. GitHub renders the same formulas by itself.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)\s]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page whose links to files of the repository that the site does not hold are their text alone."""
    return _OUTSIDE.sub(r"\1", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Return the HTML of a page with MathML in the place of LaTeX."""

    def formula(match: re.Match[str]) -> str:
        tag, kind, latex = match.groups()
        made = convert(html.unescape(latex), display="block" if kind == "[" else "inline")
        return f'<{tag} class="arithmatex">{made}</{tag}>'

    return _FORMULA.sub(formula, content)
