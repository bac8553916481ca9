"""The parameters of a training run, checked."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mnist_cli.distribution import DEVICE_PATTERN, STRATEGIES, unusable_device
from mnist_cli.errors import ConfigError
from mnist_cli.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Schedule, excess_warmup, unused_parameters
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
        learning_rate: what a gradient is multiplied with; None: what suits the optimizer.
        optimizer: what else is done with the gradients.
        schedule: how the learning rate changes.
        l2: weight of the sum of W² that is added to the loss, or None.
        ema: decay of the moving average of W and b that becomes the model, or None for W and b themselves.
        early_stopping: records without a lower validation loss after which training ends, or None.
        select: whether the model is the one of the last step or of the record with the lowest validation loss.
        seed: seed of the order of the examples.
        device: where to train: auto, cpu, gpu, or gpu:N for a certain one.
        strategy: whether one device computes a step, or all of this machine's or of many machines' share it.
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
    learning_rate: float | None
    optimizer: Optimizer
    schedule: Schedule
    l2: float | None
    ema: float | None
    early_stopping: int | None
    select: Literal["last", "best"]
    seed: int
    device: str
    strategy: str
    validate_every: int
    checkpoint_every: int | None
    checkpoint_seconds: float | None
    keep_checkpoints: int

    def __post_init__(self) -> None:
        problems = []
        for name, lowest in (("steps", 1), ("validate_every", 1), ("keep_checkpoints", 0)):
            if not _is_whole(getattr(self, name), lowest):
                problems.append(self._problem(f"train.{name}", f"a whole number from {lowest} on"))
        for name in ("epochs", "checkpoint_every", "early_stopping"):
            if getattr(self, name) is not None and not _is_whole(getattr(self, name), 1):
                problems.append(self._problem(f"train.{name}", "a whole number from 1 on, or None"))
        if self.checkpoint_seconds is not None and not _is_positive(self.checkpoint_seconds):
            problems.append(self._problem("train.checkpoint_seconds", "a number above 0, or None"))
        if self.batch_size != "full" and not _is_whole(self.batch_size, 1):
            problems.append(self._problem("train.batch_size", "a whole number from 1 on, or full"))
        if self.learning_rate is not None and not _is_positive(self.learning_rate):
            problems.append(self._problem("train.learning_rate", "a number above 0, or None"))
        if self.l2 is not None and not _is_within(self.l2, 0, math.inf):
            problems.append(self._problem("train.l2", "a number from 0 on, or None"))
        if self.ema is not None and not _is_within(self.ema, 0, 1):
            problems.append(self._problem("train.ema", "a number from 0 to below 1, or None"))
        if self.select not in ("last", "best"):
            problems.append(self._problem("train.select", "last or best"))
        problems += _rule_problems(self.optimizer, self.schedule)
        if not _is_whole(self.seed, 0) or self.seed > MAX_SEED:
            problems.append(self._problem("seed", f"a whole number from 0 to {MAX_SEED}"))
        if not isinstance(self.device, str) or not re.fullmatch(DEVICE_PATTERN, self.device):
            problems.append(self._problem("train.device", "auto, cpu, gpu or gpu:N"))
        elif self.strategy not in STRATEGIES:
            problems.append(self._problem("train.strategy", ", ".join(STRATEGIES)))
        elif problem := unusable_device(self.device, self.strategy):
            problems.append(f"train.device: {problem}")
        if problems:
            raise ConfigError(problems)

    @property
    def rate(self) -> float:
        """The learning rate, or the one that suits the optimizer."""
        default = OPTIMIZERS[self.optimizer.name]["learning_rate"]
        return float(default if self.learning_rate is None else self.learning_rate)

    def check_length(self, examples: int) -> None:
        """Refuse a warm-up that is longer than the run over so many training examples.

        Raises:
            ConfigError: it is.
        """
        if problem := excess_warmup(self.schedule, self.total_steps(examples)):
            raise ConfigError([f"train.warmup_steps: {problem}"])

    def check_validation(self, examples: int) -> None:
        """Refuse settings that need a validation split, when it has no examples.

        Raises:
            ConfigError: names them.
        """
        wanted = {"train.early_stopping": self.early_stopping is not None, "train.select": self.select == "best"}
        if not examples and any(wanted.values()):
            raise ConfigError(
                [
                    f"{key}: expected a validation split; received an empty one"
                    for key, is_set in wanted.items()
                    if is_set
                ],
                hint="set preprocess.validation_size above 0 and preprocess again",
            )

    def identity(self, examples: int) -> dict[str, object]:
        """Return what decides the weights and the history of a run, beside data and runtime.

        The number of steps does not, except where the schedule is stretched over all of them.
        """
        decided: dict[str, object] = {
            "seed": self.seed,
            "train.batch_size": self.batch(examples),
            "train.learning_rate": self.rate,
            "train.validate_every": self.validate_every,
            "train.optimizer": self.optimizer.name,
            "train.schedule": self.schedule.name,
            "train.l2": self.l2 or None,
            "train.ema": self.ema,
            "train.early_stopping": self.early_stopping,
            "train.select": self.select,
            "train.strategy": self.strategy,
        }
        chosen = self.optimizer.parameters() | self.schedule.parameters(self.total_steps(examples))
        return decided | {f"train.{name}": value for name, value in chosen.items()}

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


# Name → from where to where (that itself left out); the whole numbers are marked.
_RANGES: dict[str, tuple[float, float]] = {
    "weight_decay": (0, math.inf),
    "momentum": (0, 1),
    "beta_1": (0, 1),
    "beta_2": (0, 1),
    "rho": (0, 1),
    "epsilon": (0, math.inf),
    "decay_steps": (1, 10**9 + 1),
    "decay_rate": (0, math.inf),
    "end_fraction": (0, math.inf),
    "power": (0, math.inf),
    "warmup_steps": (0, 10**9 + 1),
}
_WHOLE = ("decay_steps", "warmup_steps")


def _rule_problems(optimizer: Optimizer, schedule: Schedule) -> list[str]:
    problems = []
    for key, name, known in (("optimizer", optimizer.name, OPTIMIZERS), ("schedule", schedule.name, SCHEDULES)):
        if name not in known:
            problems.append(f"train.{key}: expected one of {', '.join(known)}; received {printable(name, 80)}")
    for name, value in (vars(optimizer) | vars(schedule)).items():
        if name == "name" or value is None:
            continue
        lowest, end = _RANGES[name]
        if not _is_within(value, lowest, end) or (name in _WHOLE and not _is_whole(value, 0)):
            kind = "whole number" if name in _WHOLE else "number"
            problems.append(f"train.{name}: expected a {kind} in [{lowest}, {end:g}); received {printable(value, 80)}")
    if not problems:
        problems = [f"train.{name}: {why}" for name, why in unused_parameters(optimizer, schedule).items()]
    return problems


def _is_within(value: Any, lowest: float, end: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value < end


def _is_whole(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
