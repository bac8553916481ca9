"""The parameters that belong to no stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_cli.config.declarations import Section, parameter
from mnist_cli.config.kinds import Kind, Wrong, whole
from mnist_cli.datasets import DATASETS


def _known(name: Any) -> str:
    if not isinstance(name, str) or name not in DATASETS:
        raise Wrong
    return name


_NAMES = tuple(DATASETS)
_DATASET = Kind(" or ".join(_NAMES), "NAME", _known, {"type": "string", "enum": [*_NAMES]}, _NAMES)


@dataclass(frozen=True, kw_only=True)
class GeneralSettings(Section):
    """What more than one stage goes by, and how much is kept."""

    dataset: str = parameter(
        "mnist",
        _DATASET,
        "Which data set: mnist, or synthetic (rendered digits, no network)",
        option="--dataset",
    )
    seed: int = parameter(
        0,
        whole(0, 2**63 - 1),
        "Fixes the order of the training examples, and the synthetic digits",
        option="--seed",
    )
    keep_runs: int = parameter(100, whole(1), "How many runs stay in artifacts/runs, the newest ones", counts=False)
