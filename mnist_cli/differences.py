"""Differences between two dictionaries, old → new: why a stage is stale, or how a run differs from the lock or from
another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mnist_cli.text import printable

ABSENT = "(not used)"


@dataclass(frozen=True, slots=True)
class Reason:
    """A difference, or another reason why something is not as expected.

    Attributes:
        what: a configuration key, an input, a file or a fact.
        old: the value before, or None if there was none. Both are None if no value changed.
        new: the value now.
        note: more about the old value, such as where it came from.
        follows: whether it follows from another reason, so that a one-line summary can omit it.
    """

    what: str
    old: Any = None
    new: Any = None
    note: str = ""
    follows: bool = False

    @property
    def text(self) -> str:
        """The reason in words."""
        what = printable(self.what, 1000)
        if self.old is None and self.new is None:
            return what
        return f"{what} {_short(self.old)}{self.note} → {_short(self.new)}"

    def __str__(self) -> str:
        return self.text


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Reason]:
    """Yield a reason for each name whose values differ; a missing value is None.

    Args:
        old, new: name → value.
        prefix: put before each name.
    """
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Reason(f"{prefix}{name}", old.get(name), new.get(name))


def in_words(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the differences in one line."""
    return ", ".join(map(str, differences(old, new)))


def _short(value: Any) -> str:
    if value is None:
        return ABSENT
    text = printable(value)
    is_digest = len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
    return f"{text[:12]}…" if is_digest else text
