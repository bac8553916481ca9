"""The parameters of a training run, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mnist_cli.errors import ConfigError
from mnist_cli.text import printable

Resume = Literal["auto", "require", "never"]
MAX_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; the attributes are the keys under `train:` in the configuration, and the seed.

    Attributes:
        steps: training steps.
        epochs: passes over the training split; replaces `steps` when it is not None.
        batch_size: examples in a step, or "full" for the whole training split.
        learning_rate: what a gradient is multiplied with.
        seed: seed of the order of the examples.
        device: where to train.
        validate_every: steps between two records in the history.
        checkpoint_every: steps between two checkpoints; None: no matter how many.
        checkpoint_seconds: seconds between two checkpoints, at least; None: no matter how many.
        keep_checkpoints: how many are kept when the run is done.

    Raises:
        ConfigError: a value is out of its range; every one that is, is named.
    """

    steps: int
    epochs: int | None
    batch_size: int | Literal["full"]
    learning_rate: float
    seed: int
    device: Literal["auto", "cpu", "gpu"]
    validate_every: int
    checkpoint_every: int | None
    checkpoint_seconds: float | None
    keep_checkpoints: int

    def __post_init__(self) -> None:
        problems = []
        for name, lowest in (("steps", 1), ("validate_every", 1), ("keep_checkpoints", 0)):
            if not _is_whole(getattr(self, name), lowest):
                problems.append(self._problem(f"train.{name}", f"a whole number from {lowest} on"))
        for name in ("epochs", "checkpoint_every"):
            if getattr(self, name) is not None and not _is_whole(getattr(self, name), 1):
                problems.append(self._problem(f"train.{name}", "a whole number from 1 on, or None"))
        if self.checkpoint_seconds is not None and not _is_positive(self.checkpoint_seconds):
            problems.append(self._problem("train.checkpoint_seconds", "a number above 0, or None"))
        if self.batch_size != "full" and not _is_whole(self.batch_size, 1):
            problems.append(self._problem("train.batch_size", "a whole number from 1 on, or full"))
        if not _is_positive(self.learning_rate):
            problems.append(self._problem("train.learning_rate", "a number above 0"))
        if not _is_whole(self.seed, 0) or self.seed > MAX_SEED:
            problems.append(self._problem("seed", f"a whole number from 0 to {MAX_SEED}"))
        if self.device not in ("auto", "cpu", "gpu"):
            problems.append(self._problem("train.device", "auto, cpu or gpu"))
        if problems:
            raise ConfigError(problems)

    def batch(self, examples: int) -> int:
        """Return the examples in a step, of a training split with so many."""
        return examples if self.batch_size == "full" else self.batch_size

    def total_steps(self, examples: int) -> int:
        """Return the steps of the whole run; the last one may run into the epoch after."""
        return self.steps if self.epochs is None else math.ceil(self.epochs * examples / self.batch(examples))

    def _problem(self, key: str, expected: str) -> str:
        return f"{key}: expected {expected}; received {printable(getattr(self, key.removeprefix('train.')), 80)}"


def check_resume(how: object) -> None:
    """Refuse what is no way to treat checkpoints.

    Raises:
        ConfigError: it is none of "auto", "require" and "never".
    """
    if how not in get_args(Resume):
        raise ConfigError([f"resume: expected auto, require or never; received {printable(how, 80)}"])


def _is_whole(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
