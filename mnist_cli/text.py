"""Text from outside, made safe to print: nothing in it moves a terminal, and no password is shown.

File names, URLs, headers and YAML may hold anything: escape sequences that clear a terminal or write its
clipboard, line feeds that forge a second message, and marks that reverse the reading order. Rich passes raw
escape characters through, so everything that did not come from our own source goes through here first.
"""

from __future__ import annotations

import re
import unicodedata

HIDDEN = "***"
# Generous on purpose. A password that was not percent-encoded may hold any of / ? # : so all before the last @ counts.
_USER = re.compile(r"(?<=://)\S*@")
_USER_WITHOUT_SCHEME = re.compile(r"[^\s:/@'\"\[(=,]+:(?!//)[^\s@]+@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S+|(?<=\S)\?[\w.~%-]+=\S*")

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: object, limit: int = 300) -> str:
    """Return `text` on one line, with every invisible or control character written as an escape.

    Args:
        text: anything; its `str` is used.
        limit: length at most, in characters; a longer text is cut in the middle.

    Returns:
        A string without control (Cc), format (Cf: bidi overrides, zero-width), surrogate, private-use,
        unassigned and line-separator characters.
    """
    raw = without_secrets(str(text))
    if len(raw) > limit:
        half = (limit - 1) // 2
        raw = f"{raw[:half]}…{raw[-half:]}"
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character) in _HIDDEN_CATEGORIES else character
        for character in raw
    )


def without_secrets(text: str, *, is_address: bool = False) -> str:
    """Return `text` with users, passwords and queries of addresses replaced by ***.

    Args:
        text: any text, in which an address ends at a blank.
        is_address: whether all of `text` is one address, blanks and all.
    """
    if is_address:
        text = re.sub(r"\s", "_", text)
    if "@" in text:
        text = _USER.sub(f"{HIDDEN}@", text)
        text = _USER_WITHOUT_SCHEME.sub(f"{HIDDEN}@", text)
    if "?" in text or "#" in text:
        text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    return text


def plural(count: int, noun: str) -> str:
    """Return `1 image`, `2 images`, `10,000 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def file_size(count: float) -> str:
    """Return a number of bytes as people read it: `812 B`, `28.9 kB`, `9.9 MB` (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
