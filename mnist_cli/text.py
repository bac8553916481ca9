"""Make text from outside safe to print: it cannot control the terminal, and it shows no password.

File names, URLs, headers and YAML may contain anything: escape sequences that clear a terminal or write its
clipboard, line feeds that forge a second message, and marks that reverse the reading order. Rich passes raw
escape characters through, so every text that is not from our own source passes through here first.

Addresses of mirrors may contain secrets: a user and a password, or a query with a token or a signature. They are
removed from every text here, whichever library, message or file quoted the address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

HIDDEN = "***"
# Broad on purpose: a password that is not percent-encoded may contain / ? # and :, so everything up to the last @ goes.
_USER = re.compile(r"(?<=://)\S*@")
_USER_WITHOUT_SCHEME = re.compile(r"[^\s:/@'\"\[(=,]+:(?!//)[^\s@]+@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S+|(?<=\S)\?[\w.~%-]+=\S*")

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: object, limit: int = 300) -> str:
    """Return `text` on one line, with every invisible or control character written as an escape.

    Args:
        text: anything; its `str` is used.
        limit: maximum length in characters; a longer text is cut in the middle.

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
    """Return a name that does not reorder the text around it, even if it is written from right to left.

    For pages and pictures only: a terminal would show the marks.
    """
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in name):
        return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
    return name


def lines(text: str) -> str:
    """Return text with line feeds kept and every other invisible or control character escaped as in JSON.

    This is the last step before printing; `printable` has already made single names and values safe and short.
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
    # Beyond 16 bits as a surrogate pair, as JSON reads it back.
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def without_secrets(text: str, *, is_address: bool = False) -> str:
    """Return `text` with users, passwords and queries of addresses replaced by ***.

    Args:
        text: any text; an address in it ends at a blank.
        is_address: whether all of `text` is one address, including blanks.
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
    """Return the first problems, and a last line that counts the others."""
    more = len(problems) - limit
    return [*problems[:limit], f"and {more} more"] if more > 0 else [*problems]


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; what rounds to zero is `0.00`, without a sign."""
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def file_size(count: float) -> str:
    """Format a number of bytes: `812 B`, `28.9 kB`, `9.9 MB` (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def percent(fraction: float) -> str:
    """Return 0.9201 as `92.01 %`."""
    return f"{100 * fraction:.2f} %"


def short(loss: float) -> str:
    """Format a loss: `0.3094`, `2.55e+29`."""
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.3g}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return names as a sentence has them: `a, b and c`."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
