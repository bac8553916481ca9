"""From pipeline.yaml, earlier overrides and the command line to one validated configuration.

Layers, each over the one before: defaults, the file, overrides kept from earlier commands, the command line. All
problems of all layers are reported at once, each with the place that it came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mnist_cli.distribution import unusable_device
from mnist_cli.errors import ConfigError
from mnist_cli.optimizers import unused_parameters
from mnist_cli.pipeline.config import Config
from mnist_cli.pipeline.keys import KEYS, SECTIONS
from mnist_cli.pipeline.layers import Layers, Origin, shown, unknown_key
from mnist_cli.pipeline.yaml_document import SIZE_LIMIT, Document, Place, read_yaml
from mnist_cli.text import printable

DEFAULT_FILE = Path("pipeline.yaml")


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
    file: Path | None = None, overrides: Sequence[Override] = (), kept: Mapping[str, Any] | None = None
) -> LoadedConfig:
    """Read, merge and validate the configuration.

    Args:
        file: the YAML file; None means `pipeline.yaml` in the current folder, if there is one.
        overrides: from the command line; of two for one key the later counts.
        kept: key → value, overrides that earlier stages were run with.

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
    config = _validate(layers)
    if config is not None:
        _refuse_unused(layers, config)
    if layers.problems or config is None:
        raise layers.error()
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
    try:
        with path.open("rb") as stream:
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
        if dotted not in KEYS:
            self._problem(self._document.key_places[path], f"{printable(dotted)}: {unknown_key(dotted)}")
            return
        self._layers.values[dotted] = value
        self._layers.origins[dotted] = Origin(self._name, self._document.places[path])
        for index in range(len(value) if isinstance(value, list) else 0):
            place = self._document.places[(*path, index)]
            self._layers.item_origins[dotted, index] = Origin(self._name, place)

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


def _refuse_unused(layers: Layers, config: Config) -> None:
    """Add a problem for each value that is set and would do nothing, or could do nothing."""
    train = config.train
    unused = unused_parameters(train.chosen_optimizer(), train.chosen_schedule())
    problems = {f"train.{name}": f"{why}; expected null" for name, why in unused.items()}
    if config.preprocess.validation_size == 0:
        needy = {"train.early_stopping": train.early_stopping is not None, "train.select": train.select == "best"}
        problems |= {path: "needs preprocess.validation_size above 0" for path, is_set in needy.items() if is_set}
    if problem := unusable_device(train.device, train.strategy):
        problems["train.device"] = problem
    layers.problems += [(layers.origins[path], f"{path}: {problem}") for path, problem in problems.items()]


def _validate(layers: Layers) -> Config | None:
    nested: dict[str, Any] = {}
    for path, value in layers.values.items():
        section, _, name = path.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            layers.problems.append(_invalid(layers, detail["loc"]))
    return None


def _invalid(layers: Layers, location: tuple[int | str, ...]) -> tuple[Origin, str]:
    """Say what is wrong with the value at a pydantic location; equal for all branches of a union."""
    path = str(location[0]) if location[0] in KEYS else ".".join(map(str, location[:2]))
    origin, value, name = layers.origins[path], layers.values[path], path
    index = location[2] if len(location) > 2 else None
    if isinstance(index, int) and isinstance(value, list):
        origin = layers.item_origins.get((path, index), origin)
        value, name = value[index], f"{path}[{index}]"
    problem = f"expected {KEYS[path].expected}; received {shown(value)}"
    # An option of its own names the key already.
    return origin, problem if origin.source == KEYS[path].option else f"{name}: {problem}"
