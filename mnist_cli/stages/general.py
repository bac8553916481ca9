"""The parameters that do not belong to a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli import recipes
from mnist_cli.config.declarations import Config, Conflict, Section, parameter
from mnist_cli.config.kinds import Kind, located, whole
from mnist_cli.datasets import DATASETS, find_dataset
from mnist_cli.errors import ConfigError
from mnist_cli.formats.byte_stream import content_digest

_NAMES = tuple(DATASETS)


_SUFFIXES = (".yaml", ".yml")


def _checked(value: Any) -> Any:
    # A file is read later, once everything else is known to be valid.
    if not isinstance(value, str) or (value not in DATASETS and not value.endswith(_SUFFIXES)):
        from mnist_cli.datasets.description import read_own  # slow, and only needed for a user's own data set

        read_own(value, Path())
    return value


def _resolve(value: Any, folder: Path) -> Any:
    """Make the paths in a user's description relative to the file that holds it."""
    if isinstance(value, Mapping):
        mirrors = value.get("mirrors")
        several = {"mirrors": [located(mirror, folder) for mirror in mirrors]} if isinstance(mirrors, list) else {}
        return {**value, **{key: located(value[key], folder) for key in ("files", "images") if key in value}, **several}
    is_path = isinstance(value, str) and value.endswith(_SUFFIXES) and value not in DATASETS
    return located(value, folder) if is_path else value


_DATASET = Kind(
    f"{', '.join(_NAMES)}, a file such as digits.yaml, or files: or images: with a folder",
    "NAME",
    _checked,
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
        "The data set: mnist, synthetic (needs no network), another one of `mnist dataset list`, or your own",
        option="--dataset",
    )
    recipe: str = parameter(
        "tutorial",
        recipes.KIND,
        f"A set of defaults: {', '.join(recipes.RECIPES)}, or your own recipe.yaml",
        option="--recipe",
        layer=recipes.file_of,
    )
    seed: int = parameter(
        0,
        whole(0, 2**63 - 1),
        "Fixes the order of the training examples, and the synthetic digits",
        option="--seed",
    )
    keep_runs: int = parameter(100, whole(1), "How many of the newest runs to keep in artifacts/runs", counts=False)

    def conflicts(self, config: Config | None) -> Iterator[Conflict]:  # noqa: ARG002  # it looks at no other section
        """Yield every mistake in the file that describes a user's data set."""
        try:
            if not isinstance(self.dataset, str) or self.dataset not in DATASETS:
                find_dataset(self.dataset)
        except ConfigError as error:
            yield from (Conflict("dataset", problem.removeprefix("dataset: ")) for problem in error.problems)


def data_identity(config: Config) -> str:
    """Return what identifies the data in a key: the name of a shipped data set, or the content of a user's files.

    Raises:
        ConfigError: the description of the data set is wrong.
        InputError: a user's folder is missing, or does not hold a data set.
        OSError: a file cannot be read.
    """
    return find_dataset(config.value("dataset")).identity(config.digest_of or content_digest)


def check_seed(seed: object) -> None:
    """Check a seed given in a Python call as the configuration would.

    Raises:
        ConfigError: it is not a whole number from 0 to 2^63 - 1.
    """
    GeneralSettings(seed=seed)  # type: ignore[arg-type]  # this call checks the type
