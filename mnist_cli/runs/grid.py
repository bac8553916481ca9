"""The points of a sweep: every combination of the values that keys are to take, each a checked configuration."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Config
from mnist_cli.config.layers import cut_to_a_screen
from mnist_cli.config.loading import Override, load_config
from mnist_cli.config.template import yaml_value
from mnist_cli.config.yaml_document import read_yaml
from mnist_cli.errors import ConfigError, UsageError
from mnist_cli.stages.stage import MODEL, STORE, Pipeline
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


def swept_stages(pipeline: Pipeline) -> list[str]:
    """Return the stages whose parameters a sweep may vary: those behind the first store, up to the training.

    What comes before decides which examples the points are compared on.
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
    """Return a point for every combination of values, the last key changing first; equal trainings count once.

    Args:
        pipeline: the stages.
        axes: of two for one key the later counts.
        file: the configuration file, as for `load_config`.
        mistakes: what was typed and could not be read; reported with all the others.
        digest_of: as in `Config`.

    Raises:
        UsageError: no key of training has a value.
        ConfigError: with the problems of all points; or a key is not one of training.
    """
    chosen: dict[str, Axis] = {}
    for axis in axes:
        chosen.pop(axis.path, None)  # the later one counts, also for its place
        chosen[axis.path] = axis
    varied = [axis.path for axis in chosen.values() if len(axis.values) > 1] or [
        path for path in chosen if _is_swept(pipeline, path)
    ]
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
    """Return one error with all problems; where several keys vary, with the first point that has it."""
    lines = []
    for problem, where in problems.items():
        lines.append(f"{problem} (first at {printable(where[0])})" if dimensions > 1 else problem)
    return cut_to_a_screen(lines, mistakes)


def _check(pipeline: Pipeline, points: list[Point], varied: list[str]) -> None:
    """Refuse what cannot be swept, or what gives nothing to choose by."""
    first, swept = points[0].config, swept_stages(pipeline)
    allowed = " and ".join([", ".join(["seed", *(f"{name}.*" for name in swept[:-1])]), f"{swept[-1]}.*"])
    problems = [
        f"{path}: a sweep varies {allowed}; expected one value" for path in varied if not _is_swept(pipeline, path)
    ]
    for name in itertools.takewhile(lambda name: name not in swept, pipeline.stages):
        stage = pipeline.stages[name]
        if any(stage.parameters(point.config) != stage.parameters(first) for point in points) and not problems:
            problems.append("seed: the data set is made from it; expected one value")
    for name in swept:
        for point in points:
            problems += pipeline.stages[name].not_in_sweep(point.config)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _is_swept(pipeline: Pipeline, path: str) -> bool:
    return path == "seed" or path.partition(".")[0] in swept_stages(pipeline)
