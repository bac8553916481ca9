"""The parameters that belong to no stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Config, Misfit, Section, parameter
from mnist_cli.config.kinds import Kind, Wrong, whole
from mnist_cli.datasets import DATASETS, find_dataset
from mnist_cli.errors import ConfigError
from mnist_cli.formats.byte_stream import content_digest

_NAMES = tuple(DATASETS)
_FOLDERS = ("files", "images")


def _name_or_description(value: Any) -> Any:
    # Whether there is such a data set is asked together with all else that can be wrong with one.
    if not isinstance(value, str | Mapping):
        raise Wrong
    return value


def _resolve(value: Any, folder: Path) -> Any:
    """Make the paths of a data set of one's own relative to the file that names them."""
    if isinstance(value, Mapping):
        named = {key: value[key] for key in _FOLDERS if isinstance(value.get(key), str) and value[key][:1] != "~"}
        return {**value, **{key: str(folder / path) for key, path in named.items()}}
    is_path = isinstance(value, str) and value.endswith((".yaml", ".yml")) and value not in DATASETS
    return str(folder / value) if is_path else value


_DATASET = Kind(
    f"{', '.join(_NAMES)}, a file such as digits.yaml, or files: or images: with a folder",
    "NAME",
    _name_or_description,
    {"anyOf": [{"type": "string", "enum": [*_NAMES]}, {"type": "string", "pattern": r"\.ya?ml$"}, {"type": "object"}]},
    _NAMES,
    _resolve,
)


@dataclass(frozen=True, kw_only=True)
class GeneralSettings(Section):
    """What more than one stage goes by, and how much is kept."""

    dataset: str | Mapping[str, Any] = parameter(
        "mnist",
        _DATASET,
        "Which data set: mnist, synthetic (needs no network), another of `mnist dataset list`, or your own",
        option="--dataset",
    )
    seed: int = parameter(
        0,
        whole(0, 2**63 - 1),
        "Fixes the order of the training examples, and the synthetic digits",
        option="--seed",
    )
    keep_runs: int = parameter(100, whole(1), "How many runs stay in artifacts/runs, the newest ones", counts=False)

    def misfits(self, config: Config | None) -> Iterator[Misfit]:  # noqa: ARG002  # it looks at no other section
        """Give everything that is wrong with the description of a data set of one's own."""
        if isinstance(self.dataset, str) and self.dataset in DATASETS:
            return
        try:
            find_dataset(self.dataset)
        except ConfigError as error:
            for problem in error.problems:
                yield Misfit("dataset", problem.removeprefix("dataset: "))


def data_identity(config: Config) -> str:
    """Return what says in a key which data are used: a shipped data set's name, or the content of one's own.

    Raises:
        ConfigError: the description of the data set is wrong.
        InputError: a folder of one's own is not there, or not what a data set needs.
        OSError: a file cannot be read.
    """
    return find_dataset(config.value("dataset")).identity(config.digest_of or content_digest)
