"""The parameters that belong to no stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Config, Misfit, Section, parameter
from mnist_cli.config.kinds import Kind, Wrong, whole
from mnist_cli.datasets import DATASETS, find_dataset
from mnist_cli.errors import ConfigError

_NAMES = tuple(DATASETS)
_FOLDERS = ("files", "images")


def _name_or_description(value: Any) -> Any:
    # Whether there is such a data set is asked together with all else that can be wrong with one.
    if not isinstance(value, str | Mapping):
        raise Wrong
    return value


def _resolve(value: Any, folder: Path) -> Any:
    """Make the paths in a user's description relative to the file that holds it."""
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
    """The parameters that several stages share, and how much is kept."""

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
        """Give everything that is wrong with a user's description of a data set."""
        if isinstance(self.dataset, str) and self.dataset in DATASETS:
            return
        try:
            find_dataset(self.dataset)
        except ConfigError as error:
            for problem in error.problems:
                yield Misfit("dataset", problem.removeprefix("dataset: "))


def data_identity(config: Config) -> str:
    """Return what identifies the data in a key: the name of a shipped data set, or the content of a user's own.

    Raises:
        ConfigError: the description of the data set is wrong.
        InputError: a user's folder is missing, or not what a data set needs.
        OSError: a file cannot be read.
    """
    return find_dataset(config.value("dataset")).identity(_digest)


def _digest(path: Path) -> str:
    status = path.stat()
    return _content_digest(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=1_000_000)
def _content_digest(path: Path, *_fingerprint: int) -> str:
    """Remember the digest of a file for as long as it does not seem to have changed; several stages ask for it."""
    from mnist_cli.formats.byte_stream import content_sha256

    return content_sha256(path)
