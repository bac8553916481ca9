"""The site builds without a warning, has every page, and loads nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT
from tools.site import on_page_content, on_page_markdown

PAGES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
# What a browser fetches by itself, and in which attribute its address stands.
_FETCHED = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def built(page: Path) -> str:
    return "index.html" if page.name == "README.md" else f"{page.stem}.html"


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        assert (site / built(page)).is_file()
        assert f'href="{built(page)}"' in home, page


def test_the_navigation_has_four_groups() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(text)["nav"]
    assert [*(next(iter(entry)) for entry in nav)] == ["Home", "Learn", "Use", "Reference", "Evidence"]


def test_every_page_can_be_searched(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert {document["location"].partition("#")[0] or "index.html" for document in index["docs"]} >= set(
        map(built, PAGES)
    )


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_formulas_are_mathml(site: Path, page: Path) -> None:
    source = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    formulas = re.findall(r"\$\$.*?\$\$|\$[^$\n]+\$", source, re.DOTALL)
    html = (site / built(page)).read_text(encoding="utf-8")
    assert html.count("<math ") == html.count('class="arithmatex"') == len(formulas)
    for formula in formulas:
        assert not re.search(r"\\[^A-Za-z]", formula), f"{formula}: GitHub takes the backslash away before punctuation"
    assert not re.search(r"<mi>&(amp;)?</mi>|\\(frac|sum|text|lfloor)", html), "a formula that latex2mathml cannot read"


class Fetched(HTMLParser):
    """The addresses that a browser fetches by itself for a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _FETCHED and given.get("rel") != "canonical":
            self.addresses.append(given.get(_FETCHED[tag]) or "")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        addresses = Fetched(html).addresses
        assert addresses
        assert not [address for address in addresses if re.match(r"(\w+:)?//", address)], page.name
        assert "mermaid" not in html, "the theme loads Mermaid from elsewhere"
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_a_formula_becomes_mathml_and_text_stays() -> None:
    made = on_page_content(r'<p>1 &lt; <span class="arithmatex">\(a &lt; b\)</span> \(x\)</p>')
    assert made.startswith('<p>1 &lt; <span class="arithmatex"><math ')
    assert made.endswith(r"</math></span> \(x\)</p>")


def test_a_link_out_of_the_pages_becomes_its_text() -> None:
    assert on_page_markdown("see [this](../a/b.py#c) and [that](that.md)") == "see this and [that](that.md)"
