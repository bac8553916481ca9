"""The layers of a configuration as they pile up: values, where each stands, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mnist_cli.config.keys import KEYS, SECTIONS
from mnist_cli.config.yaml_document import Place
from mnist_cli.errors import ConfigError
from mnist_cli.text import printable, without_secrets

PROBLEM_LIMIT = 20  # more than a screen of problems helps nobody


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a place in a file, or what was typed.

    Attributes:
        source: the file's name, or an option such as `--set`.
        place: line and column from 1, or None where there are none.
    """

    source: str
    place: Place | None = None

    def __str__(self) -> str:
        return self.source if self.place is None else f"{self.source}:{self.place[0]}:{self.place[1]}"


@dataclass
class Layers:
    """The values so far, where each stands, and everything that is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    item_origins: dict[tuple[str, int], Origin] = field(default_factory=dict)
    problems: list[tuple[Origin, str]] = field(default_factory=list)

    def error(self, mistakes: Sequence[ConfigError] = ()) -> ConfigError:
        """Return one error with all problems: those of the file by place, then those of the command line.

        Args:
            mistakes: what was typed and could not be read at all.
        """
        ordered = sorted(self.problems, key=lambda problem: problem[0].place or (float("inf"), 0))
        typed = [problem for mistake in mistakes for problem in mistake.problems]
        lines = list(dict.fromkeys([*(f"{origin}: {message}" for origin, message in ordered), *typed]))
        if len(lines) > PROBLEM_LIMIT:
            lines = [*lines[:PROBLEM_LIMIT], f"and {len(lines) - PROBLEM_LIMIT} more problems"]
        return ConfigError(lines, hint=next((mistake.hint for mistake in mistakes if mistake.hint), None))


def unknown_key(path: str) -> str:
    """Return what to say of a key that there is not, with the nearest one that there is."""
    import difflib  # only a mistake pays for it

    if path in SECTIONS:
        first = next(key for key in KEYS if key.startswith(f"{path}."))
        return f"this is a section; set one of its keys, such as '{first}'"

    known = [*KEYS, *SECTIONS]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.7)
    if not near:  # `steps` for `train.steps`
        last_names = {name.rpartition(".")[2]: name for name in known}
        near = [last_names[name] for name in difflib.get_close_matches(path, last_names, n=1, cutoff=0.8)]
    return f"unknown key; did you mean '{near[0]}'?" if near else "unknown key; 'mnist config show' lists them"


def shown(value: Any) -> str:
    """Return a value as an error message says it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing (null)", True: "true", False: "false"}[value]
    if isinstance(value, str):
        is_address = "://" in value
        return f"'{printable(without_secrets(value, is_address=is_address), 60)}'"
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    return printable(value, 60)
