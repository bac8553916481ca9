"""The kinds of values of parameters: what each accepts, how errors describe it, and its JSON schema."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_cli.text import printable, without_secrets

# A place within a value: keys of mappings and indexes of lists; empty for the whole value.
KeyPath = tuple[str | int, ...]


class Wrong(ValueError):
    """A value is not of the expected kind.

    Args:
        problems: the place and the text of each problem; None stands for what the kind expects.
    """

    def __init__(self, problems: Sequence[tuple[KeyPath, str | None]] = (((), None),)) -> None:
        super().__init__("not of the expected kind")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        expected: the accepted values, as an error describes them.
        metavar: the word for the value in `--help`.
        check: returns the value in the form in which it is kept, or raises Wrong.
        schema: its JSON schema.
        words: values that shell completion offers.
        resolve: makes relative paths in a value relative to the folder of the file that sets it, or None.
    """

    expected: str
    metavar: str
    check: Callable[[Any], Any]
    schema: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    resolve: Callable[[Any, Path], Any] | None = None


def whole(low: int, high: int | None = None, metavar: str = "N") -> Kind:
    """Whole numbers from `low` to `high`, inclusive; None: no upper bound."""

    def check(value: Any) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            raise Wrong
        return value

    expected = f"a whole number from {low} up" if high is None else f"a whole number from {low} to {_power(high)}"
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return Kind(expected, metavar, check, {"type": "integer", **bounds})


def whole_or_share() -> Kind:
    """Whole numbers from 0 on, or numbers between 0 and 1: a share of the total."""

    def check(value: Any) -> int | float:
        if isinstance(value, float) and 0 < value < 1:
            return value
        if type(value) is not int or value < 0:
            raise Wrong
        return value

    schema = {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]
    }
    return Kind("a whole number from 0 up, or a share above 0 and below 1", "N|SHARE", check, schema)


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
        # YAML allows 10**400, which is too large for a float.
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
    """One of several words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Wrong
        return value

    expected = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    return Kind(expected, metavar, check, {"type": "string", "enum": [*words]}, tuple(words))


def name_or_file(names: Sequence[str], example: str) -> Kind:
    """One of several names, or a YAML file such as `example`, which is read after all else has been checked."""
    expected = f"{', '.join(names)}, or a file such as {example}"

    def check(value: Any) -> str:
        if isinstance(value, str) and (value in names or value.endswith((".yaml", ".yml"))):
            return value
        import difflib  # imported only after a mistake

        near = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) else []
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise Wrong([((), f"expected {expected}; received {shown(value)}{meant}")])

    def resolve(value: Any, folder: Path) -> Any:
        return value if value in names or not isinstance(value, str) else located(value, folder)

    schema = {"anyOf": [{"type": "string", "enum": [*names]}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    return Kind(expected, "NAME", check, schema, tuple(names), resolve)


def matching(pattern: str, expected: str, metavar: str, words: tuple[str, ...] = (), *, describe: bool = True) -> Kind:
    """Texts that fully match a regular expression."""

    def check(value: Any) -> str:
        import re  # imported only for a value that is set

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
    """Lists of texts, kept as tuples; `check_item` raises ValueError for a wrong item."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Wrong
        right: dict[int, str] = {}
        for index, item in enumerate(value):
            with contextlib.suppress(ValueError):
                if isinstance(item, str):
                    right[index] = check_item(item)
        if wrong := [index for index in range(len(value)) if index not in right]:
            raise Wrong([((index,), None) for index in wrong])
        return tuple(right.values())

    return Kind(expected, metavar, check, {"type": "array", "items": {"type": "string"}}, resolve=resolve)


def table(kinds: Mapping[str, Kind], expected: str, required: Sequence[str] = ()) -> Kind:
    """Mappings with known keys, each with a kind of value; kept as dicts of the keys that are present."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Wrong
        problems: list[tuple[KeyPath, str | None]] = []
        right: dict[str, Any] = {}
        for key, item in value.items():
            if key not in kinds:
                problems.append(((key,), _unknown(str(key), kinds)))
                continue
            try:
                right[key] = kinds[key].check(item)
            except Wrong as wrong:
                ours = f"expected {kinds[key].expected}; received {shown(item)}"
                problems += [((key, *path), problem or ours) for path, problem in wrong.problems]
        absent = [key for key in required if key not in value]
        problems += [((), f"missing key '{key}'") for key in absent]
        if problems:
            raise Wrong(problems)
        return right

    return Kind(expected, "KEYS", check, {"type": "object"})


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


def located(value: Any, folder: Path) -> Any:
    """Make a path relative to the file that names it; addresses and paths below a home folder are unchanged."""
    is_relative = isinstance(value, str) and "://" not in value and value[:1] != "~"
    return str(folder / value) if is_relative else value


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as messages show it: `train.steps`, `fetch.mirrors[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return printable(text, 100)


def shown(value: Any) -> str:
    """Return a value as error messages show it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing (null)", True: "true", False: "false"}[value]
    if isinstance(value, str):
        is_address = "://" in value
        return f"'{printable(without_secrets(value, is_address=is_address), 60)}'"
    if isinstance(value, dict | list | tuple):
        return "keys and values" if isinstance(value, dict) else "a list"
    return printable(value, 60)


def _unknown(key: str, known: Iterable[str]) -> str:
    import difflib  # imported only after a mistake

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"unknown key; did you mean '{near[0]}'?" if near else f"unknown key; expected one of {', '.join(known)}"


def _range(low: float | None, above: float | None, high: float | None, below: float | None) -> str:
    if high is None and below is None:
        return f"a finite number from {low:g} up" if above is None else f"a finite number above {above:g}"
    if above is not None:
        return f"a number above {above:g}" + (f" and below {below:g}" if high is None else f", up to {high:g}")
    return f"a number from {low:g} to below {below:g}" if high is None else f"a number from {low:g} to {high:g}"


def _power(high: int) -> str:
    """Return 10^9 for 1000000000, and 2^63 - 1 for one less than a power of two."""
    text = str(high)
    if len(text) > 4 and text.strip("0") == "1":
        return f"10^{len(text) - 1}"
    if high > 10**6 and (high + 1) & high == 0:
        return f"2^{high.bit_length()} - 1"
    return text
