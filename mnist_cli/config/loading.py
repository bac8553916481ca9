"""From pipeline.yaml, earlier overrides and the command line to one validated configuration.

Layers, each over the one before: defaults, the file, overrides kept from earlier commands, the command line. All
problems of all layers are reported at once, each with the place that it came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.config.config import Config
from mnist_cli.config.keys import KEYS, SECTIONS
from mnist_cli.config.layers import PROBLEM_LIMIT, Layers, Origin, shown, unknown_key
from mnist_cli.config.validation import validate
from mnist_cli.config.yaml_document import SIZE_LIMIT, Document, Place, read_yaml
from mnist_cli.errors import ConfigError
from mnist_cli.text import printable

DEFAULT_FILE = Path("pipeline.yaml")
# The customary name of a file without anything in it; no other device is read.
NO_FILE = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Override:
    """One value from the command line.

    Attributes:
        path: the key, as typed.
        value: the value, already read.
        source: what was typed to give it, such as `--set` or `--steps`.
    """

    path: str
    value: Any
    source: str


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where each of its values came from.

    Attributes:
        config: the validated values.
        origins: key → `default`, `pipeline.yaml:14:3`, `--set` or the like.
        overrides: the keys that were set by neither the file nor the defaults, with their values.
        file: the configuration file that was read, if there was one.
    """

    config: Config
    origins: dict[str, str]
    overrides: dict[str, Any]
    file: Path | None


def parse_override(text: str, source: str = "--set") -> Override:
    """Read `KEY=VALUE`, the value as YAML (`0.3`, `full`, `[a, b]`).

    Raises:
        ConfigError: there is no `=`, or the value is not YAML.
    """
    return read_override(*split_setting(text, source), source)


def split_setting(text: str, source: str = "--set") -> tuple[str, str]:
    """Return key and value of `KEY=VALUE`, both as text.

    Raises:
        ConfigError: there is no `=`.
    """
    path, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(
            [f"{source} {printable(text)}: expected KEY=VALUE; received no '='"],
            hint=f"for example: {source} train.learning_rate=0.3",
        )
    return path.strip(), value


def read_override(path: str, text: str, source: str) -> Override:
    """Read the value of one key from the text that was typed for it.

    Raises:
        ConfigError: the text is not YAML.
    """
    if not path:
        raise ConfigError([f"{source} ={printable(text)}: expected KEY=VALUE; received no key"])
    document = read_yaml(text.encode(errors="surrogateescape"))
    if document.problems:
        raise ConfigError([f"{source} {printable(path)}={printable(text)}: {document.problems[0][1]}"])
    return Override(path, document.content, source)


def load_config(
    file: Path | None = None,
    overrides: Sequence[Override] = (),
    kept: Mapping[str, Any] | None = None,
    mistakes: Sequence[ConfigError] = (),
) -> LoadedConfig:
    """Read, merge and validate the configuration.

    Args:
        file: the YAML file; None means `pipeline.yaml` in the current folder, if there is one.
        overrides: from the command line; of two for one key the later counts.
        kept: key → value, overrides that earlier stages were run with.
        mistakes: what was typed and could not be read as an override; reported with all the others.

    Raises:
        ConfigError: with every problem there is.
    """
    layers = Layers()
    found = _read_file(layers, file)
    for path, value in (kept or {}).items():
        layers.values[path] = value
        layers.origins[path] = Origin("the earlier command")
    _choose_length(layers, set(kept or {}))
    for override in overrides:
        if override.path in KEYS:
            layers.values[override.path] = override.value
            layers.origins[override.path] = Origin(override.source)
        else:
            layers.problems.append(
                (Origin(override.source), f"{printable(override.path)}: {unknown_key(override.path)}")
            )
    _choose_length(layers, {override.path for override in overrides})
    config = validate(layers)
    if layers.problems or mistakes or config is None:
        raise layers.error(mistakes)
    given = {override.path for override in overrides} | set(kept or {})
    return LoadedConfig(
        config=config,
        origins={path: str(layers.origins.get(path, "default")) for path in KEYS},
        overrides={path: config.value(path) for path in KEYS if path in given},
        file=found,
    )


def _read_file(layers: Layers, file: Path | None) -> Path | None:
    """Add the file's layer; return the file that was read."""
    path = DEFAULT_FILE if file is None else file
    if path == NO_FILE:
        return path
    try:
        with files.open_regular(path) as stream:
            text = stream.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        if file is None:
            return None
        raise ConfigError([f"{printable(path)}: there is no such file"], hint="run 'mnist config init'") from None
    except OSError as error:
        raise ConfigError([f"{printable(path)}: cannot be read: {error.strerror}"]) from None
    name, document = printable(path), read_yaml(text)
    layers.problems += [(Origin(name, place), message) for place, message in document.problems]
    if isinstance(document.content, dict):
        _FileLayer(layers, document, name).add()
        _resolve_mirrors(layers, path.parent)
    elif document.content is not None:
        layers.problems.append((Origin(name, (1, 1)), f"expected keys and values; received {shown(document.content)}"))
    return path


class _FileLayer:
    """Adds what a YAML document says to the layers, key by key."""

    def __init__(self, layers: Layers, document: Document, name: str) -> None:
        self._layers = layers
        self._document = document
        self._name = name
        self._unknown_keys = 0

    def add(self) -> None:
        for key, value in self._document.content.items():
            if key not in SECTIONS:
                self._add_key((key,), value)
            elif isinstance(value, dict):
                for inner, inner_value in value.items():
                    self._add_key((key, inner), inner_value)
            elif value is not None:  # `train:` with all its keys commented out is an empty section
                self._problem(self._document.places[(key,)], f"{key}: expected keys; received {shown(value)}")

    def _add_key(self, path: tuple[str, ...], value: Any) -> None:
        dotted = ".".join(path)
        if dotted not in KEYS or "." in path[-1]:
            self._problem(self._document.key_places[path], f"{printable(dotted)}: {self._unknown(path)}")
            return
        self._layers.values[dotted] = value
        self._layers.origins[dotted] = Origin(self._name, self._document.places[path])
        for index in range(len(value) if isinstance(value, list) else 0):
            place = self._document.places[(*path, index)]
            self._layers.item_origins[dotted, index] = Origin(self._name, place)

    def _unknown(self, path: tuple[str, ...]) -> str:
        section, _, name = path[-1].partition(".")
        if len(path) == 1 and path[0] in KEYS:
            return f"unknown key; write '{name}:' under '{section}:'"
        # The nearest key takes a while to find, and further problems than these are not shown.
        self._unknown_keys += 1
        return unknown_key(".".join(path)) if self._unknown_keys <= PROBLEM_LIMIT else "unknown key"

    def _problem(self, place: Place, message: str) -> None:
        self._layers.problems.append((Origin(self._name, place), message))


def _choose_length(layers: Layers, typed: set[str]) -> None:
    """Let the length of the training that was typed count: `--steps` also where the file says `epochs`."""
    if {"train.steps", "train.epochs"} <= typed and layers.values["train.epochs"] is not None:
        message = "train.steps and train.epochs: expected one of them; received both"
        layers.problems.append((layers.origins["train.epochs"], message))
    elif "train.steps" in typed:
        layers.values["train.epochs"] = None
        layers.origins["train.epochs"] = layers.origins["train.steps"]


def _resolve_mirrors(layers: Layers, folder: Path) -> None:
    """Make the file's relative mirror folders relative to the file, wherever the command is run from."""
    mirrors = layers.values.get("fetch.mirrors")
    if isinstance(mirrors, list) and folder != Path():
        layers.values["fetch.mirrors"] = [
            str(folder / mirror)
            if isinstance(mirror, str) and "://" not in mirror and not mirror.startswith("~")
            else mirror
            for mirror in mirrors
        ]
