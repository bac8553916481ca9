"""What the shell offers after TAB: stages, configuration keys and the values that a key may have.

Typer asks these functions (`mnist --install-completion` sets the shell up). They run at every TAB, so they import as
little as they can, and whatever is wrong in the folder is no reason to print into somebody's command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mnist_cli.config.keys import KEYS

STAGES = ("fetch", "preprocess", "train", "eval")  # the registry's, without importing it for --help


def stage_names(incomplete: str) -> list[str]:
    """Return the stages that begin with what is there."""
    return _beginning(incomplete, STAGES)


def config_keys(incomplete: str) -> list[tuple[str, str]]:
    """Return the configuration keys that begin with what is there, each with its meaning."""
    return [(path, key.meaning) for path, key in KEYS.items() if path.startswith(incomplete)]


def values_of(path: str, incomplete: str) -> list[str]:
    """Return the words that a configuration key may have as its value; none where it is a number."""
    from mnist_cli.datasets import DATASETS
    from mnist_cli.distribution import STRATEGIES
    from mnist_cli.optimizers import OPTIMIZERS, SCHEDULES

    words: dict[str, Iterable[str]] = {
        "dataset": DATASETS,
        "train.optimizer": OPTIMIZERS,
        "train.schedule": SCHEDULES,
        "train.strategy": STRATEGIES,
        "train.device": ("auto", "cpu", "gpu"),
        "train.batch_size": ("full",),
        "eval.split": ("test", "validation", "train"),
    }
    return _beginning(incomplete, words.get(path, ()))


def run_names(incomplete: str) -> list[str]:
    """Return the ids of the runs that are kept, and the words for some of them, that begin with what is there."""
    from pathlib import Path

    from mnist_cli.runs.names import LATEST, PREVIOUS, PUBLISHED, run_ids

    # Options are not read while the shell completes: a folder that --artifacts names is not looked into.
    root = Path(os.environ.get("MNIST_ARTIFACTS") or "artifacts")
    return _beginning(incomplete, (LATEST, PREVIOUS, PUBLISHED, *run_ids(root)))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
