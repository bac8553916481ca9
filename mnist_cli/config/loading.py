"""Merge pipeline.yaml, earlier overrides and the command line into one validated configuration.

The layers, each overriding the one before: defaults, the recipe, the file, overrides kept from earlier commands, the
command line. All problems of all layers are reported at once, each with its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.config.declarations import Config, Declarations
from mnist_cli.config.kinds import shown
from mnist_cli.config.layers import PROBLEM_LIMIT, Layers, Origin
from mnist_cli.config.yaml_document import SIZE_LIMIT, Document, Place, read_yaml
from mnist_cli.errors import ConfigError
from mnist_cli.text import printable

DEFAULT_FILE = Path("pipeline.yaml")
# The usual name for an empty file; no other device is read.
NO_FILE = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Override:
    """One value from the command line.

    Attributes:
        path: the key, as typed.
        value: the parsed value.
        source: the option that set it, such as `--set` or `--steps`.
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
        overrides: key → value of what was set neither by the file nor by default.
        file: the configuration file that was read, or None.
        overridden: key → the recipe's value, where the file sets another.
    """

    config: Config
    origins: dict[str, str]
    overrides: dict[str, Any]
    file: Path | None
    overridden: dict[str, Any] = field(default_factory=dict)


def split_setting(text: str, source: str = "--set") -> tuple[str, str]:
    """Return key and value of `KEY=VALUE`, both as text.

    Raises:
        ConfigError: `=` is missing.
    """
    path, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(
            [f"{source} {printable(text)}: expected KEY=VALUE; received no '='"],
            hint=f"for example: {source} train.learning_rate=0.3",
        )
    return path.strip(), value


def read_override(path: str, text: str, source: str) -> Override:
    """Parse the text that was typed as the value of a key.

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
    declarations: Declarations,
    file: Path | None = None,
    overrides: Sequence[Override] = (),
    kept: Mapping[str, Any] | None = None,
    mistakes: Sequence[ConfigError] = (),
    digest_of: Callable[[Path], str] | None = None,
) -> LoadedConfig:
    """Read, merge and validate the configuration.

    Args:
        declarations: all parameters.
        file: the YAML file; None means `pipeline.yaml` in the current folder, if there is one.
        overrides: from the command line; the last one for a key wins.
        kept: key → value of the overrides of earlier stages.
        mistakes: typed overrides that could not be parsed; reported with the other problems.
        digest_of: as in `Config`.

    Raises:
        ConfigError: with every problem.
    """
    layers = Layers(declarations)
    found = _read_file(layers, file)
    for path, value in (kept or {}).items():
        layers.put(path, value, Origin("an earlier command"))
    layers.drop_replaced(set(kept or {}))
    for override in overrides:
        if override.path in declarations.keys:
            layers.put(override.path, override.value, Origin(override.source))
        else:
            problem = f"{printable(override.path)}: {declarations.unknown(override.path)}"
            layers.problems.append((Origin(override.source), problem))
    layers.drop_replaced({override.path for override in overrides})
    hidden = _put_recipes_below(layers)
    config = replace(layers.config(), digest_of=digest_of)
    if layers.problems or mistakes:
        raise layers.error(mistakes)
    given = {override.path for override in overrides} | set(kept or {})
    return LoadedConfig(
        config=config,
        origins={path: str(layers.origins.get(path, "default")) for path in declarations.keys},
        overrides={path: config.value(path) for path in declarations.keys if path in given},
        file=found,
        overridden={path: value for path, value in hidden.items() if _is_of_file(layers, path)},
    )


def _is_of_file(layers: Layers, path: str) -> bool:
    """Return whether the configuration file sets a value, or the one that it would replace."""
    found = (layers.origins.get(each or "") for each in (path, layers.declarations.keys[path].replaces))
    return any(origin is not None and origin.place is not None for origin in found)


def _put_recipes_below(layers: Layers) -> dict[str, Any]:
    """Add the files that values name as layers below all others; return key → value of what others override."""
    overridden: dict[str, Any] = {}
    for path, declared in layers.declarations.keys.items():
        value = layers.values.get(path, declared.default)
        file = declared.layer(value) if declared.layer and value != declared.default else None
        if file is None:  # a wrong value is reported with the others
            continue
        layer = Layers(layers.declarations)
        _read_file(layer, file)
        if path in layer.values:
            del layer.values[path]
            problem = f"{path}: a {path} cannot name another {path}; remove it"
            layer.problems.append((layer.origins[path], problem))
        if file != Path(value):  # one of the package is shown by its name
            layer.origins = dict.fromkeys(layer.origins, Origin(f"{path} {value}"))
            layer.inner_origins = {}
        overridden |= layers.put_below(layer)
    return overridden


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
        _FileLayer(layers, document, name, path.parent).add()
    elif document.content is not None:
        layers.problems.append((Origin(name, (1, 1)), f"expected keys and values; received {shown(document.content)}"))
    return path


class _FileLayer:
    """Adds the keys of a YAML document to the layers."""

    def __init__(self, layers: Layers, document: Document, name: str, folder: Path) -> None:
        self._layers = layers
        self._declared = layers.declarations
        self._document = document
        self._name = name
        self._folder = folder
        self._unknown_keys = 0

    def add(self) -> None:
        for key, value in self._document.content.items():
            if key not in self._declared.sections:
                self._add_key((key,), value)
            elif isinstance(value, dict):
                for inner, inner_value in value.items():
                    self._add_key((key, inner), inner_value)
            elif value is not None:  # `train:` with all its keys commented out is an empty section
                self._problem(self._document.places[(key,)], f"{key}: expected keys; received {shown(value)}")

    def _add_key(self, path: tuple[str, ...], value: Any) -> None:
        dotted = ".".join(path)
        if dotted not in self._declared.keys or "." in path[-1]:
            self._problem(self._document.key_places[path], f"{printable(dotted)}: {self._unknown(path)}")
            return
        resolve = self._declared.keys[dotted].kind.resolve
        if resolve is not None and self._folder != Path():
            value = resolve(value, self._folder)
        self._layers.put(dotted, value, Origin(self._name, self._document.places[path]))
        if isinstance(value, list | dict):
            for inner, place in self._document.places.items():
                if inner[: len(path)] == path:
                    self._layers.inner_origins[dotted, *inner[len(path) :]] = Origin(self._name, place)

    def _unknown(self, path: tuple[str, ...]) -> str:
        section, _, name = path[-1].partition(".")
        if len(path) == 1 and path[0] in self._declared.keys:
            return f"unknown key; write '{name}:' under '{section}:'"
        # Finding the nearest key is slow, and further problems are not shown.
        self._unknown_keys += 1
        is_shown = self._unknown_keys <= PROBLEM_LIMIT
        return self._declared.unknown(".".join(path)) if is_shown else "unknown key"

    def _problem(self, place: Place, message: str) -> None:
        self._layers.problems.append((Origin(self._name, place), message))
