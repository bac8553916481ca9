"""The kinds of values that a parameter may have: what is accepted, how an error says it, and its JSON schema."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Wrong(ValueError):
    """A value is not of its kind.

    Args:
        items: the places of the items that are wrong, where not all of a list is.
    """

    def __init__(self, items: Sequence[int] = ()) -> None:
        super().__init__("not of its kind")
        self.items = items


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        expected: the values that it may have, as an error says it.
        metavar: the word for the value in `--help`.
        check: returns the value as it is kept, or raises Wrong.
        schema: its JSON schema.
        words: values that a shell can complete.
        resolve: makes relative paths in a value of a file relative to the folder of that file, or None.
    """

    expected: str
    metavar: str
    check: Callable[[Any], Any]
    schema: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    resolve: Callable[[Any, Path], Any] | None = None


def whole(low: int, high: int | None = None, metavar: str = "N") -> Kind:
    """Whole numbers from `low` on, up to `high` (included)."""

    def check(value: Any) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            raise Wrong
        return value

    expected = f"a whole number from {low} up" if high is None else f"a whole number from {low} to {_power(high)}"
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return Kind(expected, metavar, check, {"type": "integer", **bounds})


def number(
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    metavar: str = "NUMBER",
) -> Kind:
    """Finite numbers: from `low` or above `above`, up to `high` or below `below`; kept as floats."""
    bounds = {"minimum": low, "exclusiveMinimum": above, "maximum": high, "exclusiveMaximum": below}

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong
        # 10**400 is a number of YAML that no float is.
        if not abs(value) <= 1.8e308 or not math.isfinite(value):
            raise Wrong
        if (low is not None and value < low) or (above is not None and value <= above):
            raise Wrong
        if (high is not None and value > high) or (below is not None and value >= below):
            raise Wrong
        return float(value)

    return Kind(
        _range(low, above, high, below),
        metavar,
        check,
        {"type": "number", **{name: bound for name, bound in bounds.items() if bound is not None}},
    )


def one_of(words: Sequence[str], metavar: str = "NAME") -> Kind:
    """One of some words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Wrong
        return value

    expected = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    return Kind(expected, metavar, check, {"type": "string", "enum": [*words]}, tuple(words))


def matching(pattern: str, expected: str, metavar: str, words: tuple[str, ...] = (), *, describe: bool = True) -> Kind:
    """Texts that match a regular expression as a whole."""

    def check(value: Any) -> str:
        import re  # only a value that is set pays for it

        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Wrong
        return value

    schema = {"type": "string", "pattern": f"^({pattern})$"} if describe else {"type": "string"}
    return Kind(expected, metavar, check, schema, words)


def boolean() -> Kind:
    """True or false."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise Wrong
        return value

    return Kind("true or false", "BOOL", check, {"type": "boolean"}, ("true", "false"))


def listed(
    check_item: Callable[[str], str],
    expected: str,
    metavar: str,
    resolve: Callable[[Any, Path], Any] | None = None,
) -> Kind:
    """Lists of texts, kept as tuples; `check_item` raises ValueError for an item that is wrong."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Wrong
        right: dict[int, str] = {}
        for index, item in enumerate(value):
            with contextlib.suppress(ValueError):
                if isinstance(item, str):
                    right[index] = check_item(item)
        if wrong := [index for index in range(len(value)) if index not in right]:
            raise Wrong(wrong)
        return tuple(right.values())

    return Kind(expected, metavar, check, {"type": "array", "items": {"type": "string"}}, resolve=resolve)


def optional(kind: Kind) -> Kind:
    """Values of a kind, or nothing (null)."""

    def check(value: Any) -> Any:
        return None if value is None else kind.check(value)

    schema = {"anyOf": [kind.schema, {"type": "null"}]}
    return Kind(f"{kind.expected}, or null", kind.metavar, check, schema, kind.words)


def or_word(kind: Kind, word: str) -> Kind:
    """Values of a kind, or one word."""

    def check(value: Any) -> Any:
        return word if value == word else kind.check(value)

    schema = {"anyOf": [kind.schema, {"type": "string", "const": word}]}
    return Kind(f"{kind.expected}, or {word}", f"{kind.metavar}|{word}", check, schema, (*kind.words, word))


def _range(low: float | None, above: float | None, high: float | None, below: float | None) -> str:
    if high is None and below is None:
        return f"a finite number from {low:g} up" if above is None else f"a finite number above {above:g}"
    if above is not None:
        return f"a number above {above:g}, up to {high:g}"
    return f"a number from {low:g} to below {below:g}" if high is None else f"a number from {low:g} to {high:g}"


def _power(high: int) -> str:
    """Return 10^9 for 1000000000, and 2^63 - 1 for what is one below a power of two."""
    text = str(high)
    if len(text) > 4 and text.strip("0") == "1":
        return f"10^{len(text) - 1}"
    if high > 10**6 and (high + 1) & high == 0:
        return f"2^{high.bit_length()} - 1"
    return text
