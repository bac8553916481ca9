"""Whether the values of a configuration are right, each by itself and beside the others.

Both are asked at once: a value that is wrong by itself is left out where the others are compared, and what depends on
it is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from mnist_cli.config.config import Config, TrainConfig
from mnist_cli.config.keys import KEYS
from mnist_cli.config.layers import Layers, Origin, shown
from mnist_cli.distribution import unusable_device
from mnist_cli.optimizers import Optimizer, excess_warmup, unused_parameters


def validate(layers: Layers) -> Config | None:
    """Return the configuration that the layers make; what is wrong with it is added to their problems."""
    config, locations = _modelled(layers.values)
    wrong = set()
    for location in locations:
        path = _path(location)
        wrong.add(path)
        layers.problems.append(_invalid(layers, path, location))
    comparable = config or _modelled({path: value for path, value in layers.values.items() if path not in wrong})[0]
    if comparable is not None:
        for path, message, owners in _misfits(comparable):
            if wrong.isdisjoint({path, *owners}):
                layers.problems.append((layers.origins[path], f"{path}: {message}"))
    return config


def _modelled(values: Mapping[str, Any]) -> tuple[Config | None, list[tuple[int | str, ...]]]:
    """Return the configuration, or None and where it is wrong."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    try:
        return Config.model_validate(nested), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [detail["loc"] for detail in details]


def _misfits(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Give each value that is set and would do nothing, or could do nothing: its path, why, and the paths to blame."""
    train = config.train
    of_optimizer = {field.name for field in fields(Optimizer)}
    for name, why in unused_parameters(train.chosen_optimizer(), train.chosen_schedule()).items():
        owner = "train.optimizer" if name in of_optimizer else "train.schedule"
        yield f"train.{name}", f"{why}; expected null", (owner,)
    if config.preprocess.validation_size == 0:
        needy = {"train.early_stopping": train.early_stopping is not None, "train.select": train.select == "best"}
        for path in (path for path, is_set in needy.items() if is_set):
            yield path, "needs preprocess.validation_size above 0", ("preprocess.validation_size",)
    if problem := unusable_device(train.device, train.strategy):
        yield "train.device", problem, ("train.strategy",)
    yield from _excess(train)


def _excess(train: TrainConfig) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    # How many steps an epoch has is known when the store is; training asks again then.
    problem = excess_warmup(train.chosen_schedule(), train.steps) if train.epochs is None else None
    if problem:
        yield "train.warmup_steps", problem, ("train.schedule", "train.steps", "train.epochs")


def _path(location: tuple[int | str, ...]) -> str:
    return str(location[0]) if location[0] in KEYS else ".".join(map(str, location[:2]))


def _invalid(layers: Layers, path: str, location: tuple[int | str, ...]) -> tuple[Origin, str]:
    """Say what is wrong with the value at a pydantic location; equal for all branches of a union."""
    origin, value, name = layers.origins[path], layers.values[path], path
    index = location[2] if len(location) > 2 else None
    if isinstance(index, int) and isinstance(value, list):
        origin = layers.item_origins.get((path, index), origin)
        value, name = value[index], f"{path}[{index}]"
    problem = f"expected {KEYS[path].expected}; received {shown(value)}"
    # An option of its own names the key already.
    return origin, problem if origin.source == KEYS[path].option else f"{name}: {problem}"
