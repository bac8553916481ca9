"""The points of a sweep: every combination of the values that keys are to take, each a checked configuration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.config import Config
from mnist_cli.config.layers import PROBLEM_LIMIT
from mnist_cli.config.loading import Override, load_config
from mnist_cli.config.template import yaml_value
from mnist_cli.config.yaml_document import read_yaml
from mnist_cli.errors import ConfigError, UsageError
from mnist_cli.pipeline.registry import STAGES, upstream
from mnist_cli.text import printable


@dataclass(frozen=True)
class Axis:
    """A key and the values that it is to take.

    Attributes:
        path: the key, as typed.
        values: already read; one of them where the key is the same for all points.
        source: what was typed to give them, such as `--set`.
    """

    path: str
    values: tuple[Any, ...]
    source: str


@dataclass(frozen=True)
class Point:
    """One point of the grid.

    Attributes:
        varied: the keys that differ between points, with their values here.
        config: the whole configuration.
        overrides: all that the command line set, with the values here.
    """

    varied: dict[str, Any]
    config: Config
    overrides: dict[str, Any]

    def __str__(self) -> str:
        return " ".join(f"{path}={printable(yaml_value(value))}" for path, value in self.varied.items())


def read_axis(path: str, text: str, source: str) -> Axis:
    """Read the values of one key: YAML, with commas between them, as between the brackets of a list.

    So a comma that belongs to a value needs quotes or brackets: `[a, b],[c]` is two lists.

    Raises:
        ConfigError: the text is not YAML, or there is no key.
    """
    if not path:
        raise ConfigError([f"{source} ={printable(text)}: expected KEY=VALUE,VALUE; received no key"])
    document = read_yaml(f"[{text}]".encode(errors="surrogateescape"))
    if document.problems:
        raise ConfigError([f"{source} {printable(path)}={printable(text)}: {document.problems[0][1]}"])
    return Axis(path, tuple(document.content) or (None,), source)


def grid(axes: Sequence[Axis], file: Path | None, mistakes: Sequence[ConfigError] = ()) -> list[Point]:
    """Return a point for every combination of values, the last key changing first; equal trainings count once.

    Args:
        axes: of two for one key the later counts.
        file: the configuration file, as for `load_config`.
        mistakes: what was typed and could not be read; reported with all the others.

    Raises:
        UsageError: no key of training has a value.
        ConfigError: with the problems of all points; or a key is not one of training.
    """
    chosen: dict[str, Axis] = {}
    for axis in axes:
        chosen.pop(axis.path, None)  # the later one counts, also for its place
        chosen[axis.path] = axis
    varied = [axis.path for axis in chosen.values() if len(axis.values) > 1] or list(filter(_is_varied, chosen))
    if not varied and not mistakes:
        raise UsageError(
            "there is nothing to vary: expected values for at least one key of training",
            hint="for example: mnist sweep --set train.learning_rate=0.1,0.3,0.5",
        )
    points: dict[str, Point] = {}
    problems: dict[str, list[str]] = {}
    for values in itertools.product(*(axis.values for axis in chosen.values())):
        overrides = [
            Override(axis.path, value, axis.source) for axis, value in zip(chosen.values(), values, strict=True)
        ]
        settings = {override.path: override.value for override in overrides}
        here = {path: settings[path] for path in varied}
        try:
            loaded = load_config(file, overrides)
        except ConfigError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(" ".join(f"{path}={value}" for path, value in here.items()))
        else:
            point = Point(here, loaded.config, loaded.overrides)
            points.setdefault(repr(STAGES["train"].parameters(loaded.config)), point)
    if problems or mistakes:
        raise _error(problems, len(varied), mistakes)
    _check(list(points.values()), varied)
    return list(points.values())


def _error(problems: dict[str, list[str]], dimensions: int, mistakes: Sequence[ConfigError]) -> ConfigError:
    """Return one error with all problems; where several keys vary, with the first point that has it."""
    lines = [problem for mistake in mistakes for problem in mistake.problems]
    for problem, where in problems.items():
        lines.append(f"{problem} (first at {printable(where[0])})" if dimensions > 1 else problem)
    if len(lines) > PROBLEM_LIMIT:
        lines = [*lines[:PROBLEM_LIMIT], f"and {len(lines) - PROBLEM_LIMIT} more problems"]
    return ConfigError(lines, hint=next((mistake.hint for mistake in mistakes if mistake.hint), None))


def _check(points: list[Point], varied: list[str]) -> None:
    """Refuse what cannot be swept, or what gives nothing to choose by."""
    first = points[0].config
    problems = []
    for path in varied:
        if not _is_varied(path):
            problems.append(f"{path}: a sweep varies seed and train.*; expected one value")
    for stage in upstream(STAGES["train"]):
        if any(stage.parameters(point.config) != stage.parameters(first) for point in points) and not problems:
            problems.append(f"seed: the {first.dataset} digits are made from it; expected one value")
    if first.preprocess.validation_size == 0:
        problems.append("preprocess.validation_size: points are compared on the validation split; expected more than 0")
    if any(point.config.train.strategy == "multiworker" for point in points):
        problems.append("train.strategy: a sweep trains in one process; expected single or mirrored")
    if problems:
        raise ConfigError(problems)


def _is_varied(path: str) -> bool:
    return path == "seed" or path.startswith("train.")
