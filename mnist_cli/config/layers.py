"""The layers of a configuration: their values, where each was set, and all problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnist_cli.config.declarations import Config, Conflict, Declarations, explained
from mnist_cli.config.kinds import KeyPath, Wrong, dotted
from mnist_cli.config.yaml_document import Place
from mnist_cli.errors import ConfigError

PROBLEM_LIMIT = 20  # about a screenful


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: at a place in a file, or on the command line.

    Attributes:
        source: the file's name, or an option such as `--set`.
        place: line and column from 1, or None outside a file.
    """

    source: str
    place: Place | None = None

    def __str__(self) -> str:
        return self.source if self.place is None else f"{self.source}:{self.place[0]}:{self.place[1]}"


@dataclass
class Layers:
    """The values so far, where each was set, and all problems."""

    declarations: Declarations
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    inner_origins: dict[KeyPath, Origin] = field(default_factory=dict)  # of parts of a value, by its path and theirs
    problems: list[tuple[Origin, str]] = field(default_factory=list)

    def put(self, path: str, value: Any, origin: Origin) -> None:
        """Set a value, overriding the layers below."""
        self.values[path] = value
        self.origins[path] = origin

    def put_below(self, other: Layers) -> dict[str, Any]:
        """Add a layer below all others; return key → value of what others override."""
        self.problems += other.problems
        overridden = {}
        for path, value in other.values.items():
            declared = self.declarations.keys[path]
            if path in self.values or declared.replaces in self.values:
                if self.values.get(path) != value:
                    overridden[path] = value
                continue
            self.put(path, value, other.origins[path])
            self.inner_origins |= {key: place for key, place in other.inner_origins.items() if key[0] == path}
        return overridden

    def drop_replaced(self, typed: set[str]) -> None:
        """Let the typed one of two parameters win: `--steps` even if the file sets `epochs`."""
        for path, declared in self.declarations.keys.items():
            if declared.replaces is None or declared.replaces not in typed:
                continue
            if path in typed and self.values[path] is not None:
                message = f"{declared.replaces} and {path}: expected one of them; received both"
                self.problems.append((self.origins[path], message))
            else:
                self.put(path, None, self.origins[declared.replaces])

    def config(self) -> Config:
        """Return the configuration that the layers make, and add its problems to the others.

        An invalid value is left out when the others are compared, and nothing is reported that depends on it.
        """
        right: dict[str, Any] = {}
        wrong = set()
        for path, value in self.values.items():
            try:
                right[path] = self.declarations.keys[path].kind.check(value)
            except Wrong as mistake:
                wrong.add(path)
                self.problems += self._invalid(path, mistake)
        config = self.declarations.of_checked(right)
        for conflict in self.declarations.conflicts(config):
            if wrong.isdisjoint({conflict.path, *conflict.owners}):
                self.problems.append((self._origin_of(conflict), f"{conflict.path}: {conflict.problem}"))
        return config

    def _origin_of(self, conflict: Conflict) -> Origin:
        blamed = (conflict.path, *conflict.owners)
        return next((self.origins[path] for path in blamed if path in self.origins), Origin("the defaults"))

    def _invalid(self, path: str, mistake: Wrong) -> Iterator[tuple[Origin, str]]:
        declared, origin = self.declarations.keys[path], self.origins[path]
        for inner, problem in explained(mistake, declared, self.values[path]):
            # The parameter's own option already names the key.
            name = dotted(inner if origin.source == declared.option else (path, *inner))
            yield self._nearest(path, inner), f"{name}: {problem}" if name else problem

    def _nearest(self, path: str, inner: KeyPath) -> Origin:
        """Return where a part of a value was set, or the nearest part around it."""
        origin = self.origins[path]
        while inner and (path, *inner) not in self.inner_origins:
            inner = inner[:-1]
        # A typed value that overrides the file has no place in it.
        return origin if origin.place is None else self.inner_origins.get((path, *inner), origin)

    def error(self, mistakes: Sequence[ConfigError] = ()) -> ConfigError:
        """Return one error with all problems: those of the file by place, then those of the command line.

        Args:
            mistakes: typed settings that could not be read at all.
        """
        ordered = sorted(self.problems, key=lambda problem: problem[0].place or (float("inf"), 0))
        return shortened_config_error([f"{origin}: {message}" for origin, message in ordered], mistakes)


def shortened_config_error(problems: Sequence[str], mistakes: Sequence[ConfigError] = ()) -> ConfigError:
    """Return one error with at most PROBLEM_LIMIT problems, those of `mistakes` last."""
    typed = [problem for mistake in mistakes for problem in mistake.problems]
    lines = list(dict.fromkeys([*problems, *typed]))
    if len(lines) > PROBLEM_LIMIT:
        lines = [*lines[:PROBLEM_LIMIT], f"and {len(lines) - PROBLEM_LIMIT} more problems"]
    return ConfigError(lines, hint=next((mistake.hint for mistake in mistakes if mistake.hint), None))
