"""The points of a sweep: every combination of the values of its keys, each a checked configuration."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Config
from mnist_cli.config.layers import shortened_config_error
from mnist_cli.config.loading import Override, load_config
from mnist_cli.config.template import yaml_value
from mnist_cli.config.yaml_document import read_yaml
from mnist_cli.errors import ConfigError, UsageError
from mnist_cli.stages.stage import MODEL, STORE, Pipeline
from mnist_cli.text import printable


@dataclass(frozen=True)
class Axis:
    """A key and its values in a sweep.

    Attributes:
        path: the key, as typed.
        values: the values, already parsed; a single one if the key is the same for all points.
        source: the option that gave them, such as `--set`.
    """

    path: str
    values: tuple[Any, ...]
    source: str


@dataclass(frozen=True)
class Point:
    """One point of the grid.

    Attributes:
        varied: the keys that differ between points, with their values at this point.
        config: the whole configuration of this point.
        overrides: everything that the command line set, with the values at this point.
    """

    varied: dict[str, Any]
    config: Config
    overrides: dict[str, Any]

    def __str__(self) -> str:
        return " ".join(f"{path}={printable(yaml_value(value))}" for path, value in self.varied.items())


def read_axis(path: str, text: str, source: str) -> Axis:
    """Read the values of one key: YAML separated by commas, like the inside of a list.

    So a comma within a value needs quotes or brackets: `[a, b],[c]` is two lists.

    Raises:
        ConfigError: the text is not YAML, or the key is empty.
    """
    if not path:
        raise ConfigError([f"{source} ={printable(text)}: expected KEY=VALUE,VALUE; received no key"])
    document = read_yaml(f"[{text}]".encode(errors="surrogateescape"))
    if document.problems:
        raise ConfigError([f"{source} {printable(path)}={printable(text)}: {document.problems[0][1]}"])
    return Axis(path, tuple(document.content) or (None,), source)


def swept_stages(pipeline: Pipeline) -> list[str]:
    """Return the stages whose parameters a sweep may vary: those after the first store, up to the training.

    The stages before decide which examples the points are compared on.
    """
    names = list(pipeline.stages)
    first_store = next(name for name, stage in pipeline.stages.items() if STORE in stage.outputs.values())
    return names[names.index(first_store) + 1 : names.index(pipeline.maker(MODEL).name) + 1]


def grid(
    pipeline: Pipeline,
    axes: Sequence[Axis],
    file: Path | None,
    mistakes: Sequence[ConfigError] = (),
    digest_of: Callable[[Path], str] | None = None,
) -> list[Point]:
    """Return a point for every combination of values, the last key varying fastest; equal trainings count once.

    Args:
        pipeline: the stages.
        axes: the keys with their values; of two axes for one key the later counts.
        file: the configuration file, as for `load_config`.
        mistakes: errors in what was typed, to report with all others.
        digest_of: as in `Config`.

    Raises:
        UsageError: no key of training has a value.
        ConfigError: a point has problems (the error lists those of all points), or a key is not one of training.
    """
    chosen: dict[str, Axis] = {}
    for axis in axes:
        chosen.pop(axis.path, None)  # the later one counts, and also decides the order
        chosen[axis.path] = axis
    varied = [axis.path for axis in chosen.values() if len(axis.values) > 1] or [
        path for path in chosen if _is_swept(pipeline, path)
    ]
    if not varied and not mistakes:
        raise UsageError(
            "nothing to vary: expected values for at least one key of training; received none",
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
            loaded = load_config(pipeline.declarations, file, overrides, digest_of=digest_of)
        except ConfigError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(" ".join(f"{path}={value}" for path, value in here.items()))
        else:
            point = Point(here, loaded.config, loaded.overrides)
            swept = [pipeline.stages[name].parameters(loaded.config) for name in swept_stages(pipeline)]
            points.setdefault(repr(swept), point)
    if problems or mistakes:
        raise _error(problems, len(varied), mistakes)
    _check(pipeline, list(points.values()), varied)
    return list(points.values())


def _error(problems: dict[str, list[str]], dimensions: int, mistakes: Sequence[ConfigError]) -> ConfigError:
    """Return one error with all problems; if several keys vary, each with the first point that has it."""
    lines = []
    for problem, where in problems.items():
        lines.append(f"{problem} (first at {printable(where[0])})" if dimensions > 1 else problem)
    return shortened_config_error(lines, mistakes)


def _check(pipeline: Pipeline, points: list[Point], varied: list[str]) -> None:
    """Refuse keys and configurations that cannot be swept."""
    first, swept = points[0].config, swept_stages(pipeline)
    allowed = " and ".join([", ".join(["seed", *(f"{name}.*" for name in swept[:-1])]), f"{swept[-1]}.*"])
    problems = [
        f"{path}: expected one value, since a sweep varies only {allowed}"
        for path in varied
        if not _is_swept(pipeline, path)
    ]
    for name in itertools.takewhile(lambda name: name not in swept, pipeline.stages):
        stage = pipeline.stages[name]
        if any(stage.parameters(point.config) != stage.parameters(first) for point in points) and not problems:
            problems.append("seed: expected one value, since the data set is made from it")
    for name in swept:
        for point in points:
            problems += pipeline.stages[name].not_in_sweep(point.config)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _is_swept(pipeline: Pipeline, path: str) -> bool:
    return path == "seed" or path.partition(".")[0] in swept_stages(pipeline)
