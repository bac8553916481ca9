"""Reads a page that the toolkit wrote: its elements, its text, and what is inside scripts."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The elements of a page with their attributes, its text, and what is inside scripts."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.raw: list[str] = []
        self.open: list[str] = []
        self.feed(content.decode())
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag}: an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.append(data)
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check_policy(self) -> None:
        """Assert that the Content-Security-Policy names exactly what is inlined."""
        [policy] = [meta["content"] for meta in self.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        inlined = [text for text in self.raw if not text.startswith("{")]
        for text in inlined:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert policy.count("sha256-") == len(inlined) == 2

    def check_references(self) -> None:
        """Assert that ids are unique and every reference has its target."""
        ids = Counter(attributes["id"] for _, attributes in self.elements if "id" in attributes)
        assert not [name for name, count in ids.items() if count > 1]
        for _, attributes in self.elements:
            for name in ("aria-labelledby", "aria-describedby", "for"):
                assert set(attributes.get(name, "").split()) <= set(ids)
            if (target := attributes.get("href", "")).startswith("#"):
                assert target[1:] in ids

    def check_attributes(self, *beside: str) -> None:
        """Assert that no attribute holds a script or style, or leads elsewhere, but to what may lie beside it."""
        for tag, attributes in self.elements:
            for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
                value = attributes.get(name, "#")
                assert value.startswith(("#", "data:", *beside)), (tag, name, value[:80])
            assert not any(name.startswith("on") or name == "style" for name in attributes), tag
