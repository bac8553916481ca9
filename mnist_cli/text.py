"""Text from outside, made safe to print: nothing in it moves a terminal, and no password is shown.

File names, URLs, headers and YAML may hold anything: escape sequences that clear a terminal or write its
clipboard, line feeds that forge a second message, and marks that reverse the reading order. Rich passes raw
escape characters through, so everything that did not come from our own source goes through here first.

Addresses of mirrors may hold secrets: a user and a password, or a query with a token or a signature. They are taken
out of every text here, so that it does not matter which library, message or file quoted the address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

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
    return _escaped(raw, keep="")


def isolated(name: str) -> str:
    """Return a name that does not reorder the text around it where its letters run from right to left.

    Only for pages and pictures: a terminal shows the marks as they are.
    """
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in name):
        return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
    return name


def lines(text: str) -> str:
    """Return lines of text with every other invisible or control character written as an escape, as JSON does it.

    The last thing that happens to what is printed: `printable` made single names and values safe before, and shorter.
    """
    return _escaped(text, keep="\n")


def _escaped(text: str, keep: str) -> str:
    if text.isascii() and text.replace("\n", "" if keep else "\n").isprintable():
        return text
    return "".join(
        _escape(character)
        if unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in keep
        else character
        for character in text
    )


def _escape(character: str) -> str:
    # Beyond 16 bits in two halves, which is how JSON reads it back.
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


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


def first_of(problems: Sequence[str], limit: int = 20) -> list[str]:
    """Return as many problems as somebody reads, and how many more there are."""
    more = len(problems) - limit
    return [*problems[:limit], f"and {more} more"] if more > 0 else [*problems]


def signed(value: float) -> str:
    """Return a number with its sign and two digits behind the point; what rounds to nothing is `0.00`, without one."""
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def file_size(count: float) -> str:
    """Return a number of bytes as people read it: `812 B`, `28.9 kB`, `9.9 MB` (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def percent(fraction: float) -> str:
    """Return 0.9201 as `92.01 %`."""
    return f"{100 * fraction:.2f} %"


def short(loss: float) -> str:
    """Return a loss as people read it: `0.3094`, `2.55e+29`."""
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.3g}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return names as a sentence has them: `a, b and c`."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
