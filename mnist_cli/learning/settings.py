"""The parameters of training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mnist_cli.config.declarations import Config, Conflict, Section, parameter
from mnist_cli.config.kinds import boolean, matching, number, one_of, optional, or_word, whole
from mnist_cli.errors import ConfigError
from mnist_cli.learning.distributed.setting import DEVICE_PATTERN, STRATEGIES, unusable_device
from mnist_cli.learning.optimizers import EXACT_OPTIMIZERS, OPTIMIZERS, SCHEDULES

_FRACTION = optional(number(low=0, below=1, metavar="FRACTION"))
_FROM_ZERO = optional(number(low=0))
_LENGTH = ("steps", "epochs")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Section):
    """Train the softmax regression.

    The defaults are the tutorial's training: 1000 steps of gradient descent at 0.5 on 100 random images each.
    """

    section = "train"

    steps: int = parameter(1000, whole(1, 10**9), "Optimization steps", option="--steps")
    epochs: int | None = parameter(
        None,
        optional(whole(1, 10**6)),
        "Passes over the training split; when set, it replaces train.steps",
        option="--epochs",
        replaces="train.steps",
    )
    batch_size: int | Literal["full"] = parameter(
        100,
        or_word(whole(1, 10**7), "full"),
        "Examples in each step, or full for all of them",
        option="--batch-size",
    )
    learning_rate: float | None = parameter(
        None,
        optional(number(above=0, metavar="RATE")),
        "Learning rate; null: the optimizer's default, 0.5 for sgd",
        option="--learning-rate",
    )
    optimizer: str = parameter(
        "sgd",
        one_of(tuple(OPTIMIZERS)),
        f"Optimizer: {', '.join(OPTIMIZERS)}",
        option="--optimizer",
    )
    momentum: float | None = parameter(
        None,
        _FRACTION,
        "Share of the previous step to add (momentum, nesterov: 0.9; rmsprop: 0)",
        of="train.optimizer",
    )
    beta_1: float | None = parameter(
        None, _FRACTION, "Decay of the average gradient (adam, adamw, adamax, nadam, lion: 0.9)", of="train.optimizer"
    )
    beta_2: float | None = parameter(
        None,
        _FRACTION,
        "Decay of the average squared gradient (adam, adamw, adamax, nadam: 0.999; lion: 0.99)",
        of="train.optimizer",
    )
    rho: float | None = parameter(
        None, _FRACTION, "Decay of the average squared gradient (rmsprop: 0.9)", of="train.optimizer"
    )
    epsilon: float | None = parameter(
        None,
        _FROM_ZERO,
        "Keeps divisions from zero (adam, adamw, adamax, nadam, rmsprop, adagrad: 1e-7)",
        of="train.optimizer",
    )
    weight_decay: float | None = parameter(
        None,
        _FROM_ZERO,
        "Share of W that a step at learning rate 1 subtracts (adamw: 0.004; others: 0)",
        of="train.optimizer",
    )
    schedule: str = parameter(
        "constant",
        one_of(tuple(SCHEDULES)),
        "Schedule of the learning rate: constant, cosine, exponential, inverse_time or polynomial",
        option="--schedule",
    )
    decay_steps: int | None = parameter(
        None,
        optional(whole(1, 10**9)),
        "Steps over which it falls; null: the whole run, so a longer run starts over",
        of="train.schedule",
    )
    decay_rate: float | None = parameter(
        None,
        _FROM_ZERO,
        "Share left after decay_steps (exponential: 0.1), or strength of the decay (inverse_time: 1)",
        of="train.schedule",
    )
    end_fraction: float | None = parameter(
        None,
        optional(number(low=0, metavar="FRACTION")),
        "Share of the learning rate at the end (cosine, polynomial: 0)",
        of="train.schedule",
    )
    power: float | None = parameter(
        None, _FROM_ZERO, "Exponent of the polynomial; 1: a straight line (polynomial: 1)", of="train.schedule"
    )
    warmup_steps: int | None = parameter(
        None, optional(whole(0, 10**9)), "Steps over which it first rises from zero (cosine: 0)", of="train.schedule"
    )
    l2: float | None = parameter(None, _FROM_ZERO, "Factor of the sum of W² that is added to the loss; null: none")
    ema: float | None = parameter(
        None,
        optional(number(low=0, below=1, metavar="DECAY")),
        "Publish and validate the moving average of W and b with this decay; null: W and b",
    )
    early_stopping: int | None = parameter(
        None, optional(whole(1)), "Validations without improvement before training ends; null: never"
    )
    select: Literal["last", "best"] = parameter(
        "last",
        one_of(("last", "best"), metavar="last|best"),
        "Publish the model of the last step, or of the lowest validation loss: last or best",
        late=True,
    )
    device: str = parameter(
        "auto",
        matching(DEVICE_PATTERN, "auto, cpu, gpu or gpu:N", "DEVICE", ("auto", "cpu", "gpu")),
        "Device: auto (a GPU if there is one), cpu, gpu, or gpu:N for a particular GPU",
        option="--device",
        counts=False,
    )
    strategy: str = parameter(
        "single",
        one_of(STRATEGIES),
        "Which devices train: single (one), mirrored (all GPUs of a machine), or multiworker (those of many machines)",
        option="--strategy",
        counts=False,
    )
    validate_every: int = parameter(100, whole(1), "Steps between two validations")
    checkpoint_every: int | None = parameter(
        1000,
        optional(whole(1)),
        "Steps between two checkpoints, or null; more if they would take over 3 % of the time",
        counts=False,
    )
    checkpoint_seconds: float | None = parameter(
        30,
        optional(number(above=0, metavar="SECONDS")),
        "Seconds after which to write a checkpoint in any case, or null",
        counts=False,
    )
    keep_checkpoints: int = parameter(
        3, whole(0), "How many of the newest checkpoints to keep after a run", counts=False
    )
    tensorboard: bool = parameter(
        False, boolean(), "Write event files for TensorBoard to artifacts/train/tensorboard", counts=False
    )

    @property
    def rate(self) -> float:
        """The learning rate, or the optimizer's default."""
        return OPTIMIZERS[self.optimizer]["learning_rate"] if self.learning_rate is None else self.learning_rate

    @property
    def is_exact(self) -> bool:
        """Whether the optimizer is computed in whole numbers; else it is Keras's, whose last bits can differ."""
        return self.optimizer in EXACT_OPTIMIZERS

    def optimizer_parameters(self) -> dict[str, float]:
        """Return the optimizer's parameters without the learning rate, defaults filled in."""
        table = OPTIMIZERS[self.optimizer]
        return {name: self._given(name, default) for name, default in table.items() if name != "learning_rate"}

    def schedule_parameters(self, total_steps: int | None) -> dict[str, float | None]:
        """Return the schedule's parameters, defaults filled in, for a run of `total_steps` (None: unknown)."""
        filled = {name: self._given(name, default) for name, default in SCHEDULES[self.schedule].items()}
        if "decay_steps" in filled and filled["decay_steps"] is None and total_steps is not None:
            filled["decay_steps"] = max(1, total_steps - int(filled.get("warmup_steps") or 0))
        return filled

    def batch(self, examples: int) -> int:
        """Return the number of examples in a step, for a training split of `examples`."""
        return examples if self.batch_size == "full" else self.batch_size

    def total_steps(self, examples: int) -> int:
        """Return the number of steps of the run; the last one may reach into the next epoch."""
        return self.steps if self.epochs is None else math.ceil(self.epochs * examples / self.batch(examples))

    def conflicts(self, config: Config | None) -> Iterator[Conflict]:
        """Yield each value that would have no effect, or that contradicts another."""
        problem: str | None
        for kind, table in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            chosen = getattr(self, kind)
            for name in (declared.name for declared in self.parameters() if declared.of == f"train.{kind}"):
                if getattr(self, name) is not None and name not in table[chosen]:
                    having = " and ".join(other for other in table if name in table[other])
                    problem = f"the {kind} {chosen} has no such parameter; it belongs to {having}; expected null"
                    yield Conflict(f"train.{name}", problem, (f"train.{kind}",))
        if problem := unusable_device(self.device, self.strategy):
            yield Conflict("train.device", problem, ("train.strategy",))
        # The steps of an epoch are known only with the store; `check_data` checks again then.
        if self.epochs is None and (problem := self._excess_warmup(self.steps)):
            yield Conflict("train.warmup_steps", problem, ("train.schedule", "train.steps", "train.epochs"))
        if config is not None and not config.value("preprocess.validation_size"):
            for name in self._needing_validation():
                problem = "needs preprocess.validation_size above 0"
                yield Conflict(f"train.{name}", problem, ("preprocess.validation_size",))

    def check_data(self, examples: int, validation: int) -> None:
        """Check that the settings fit a store.

        Args:
            examples: number of examples in the training split.
            validation: number of examples in the validation split.

        Raises:
            ConfigError: the warm-up is longer than the run, or a setting needs a validation split and it is empty.
        """
        if problem := self._excess_warmup(self.total_steps(examples)):
            raise ConfigError([f"train.warmup_steps: {problem}"])
        if not validation and (needing := self._needing_validation()):
            raise ConfigError(
                [f"train.{name}: expected a validation split; received an empty one" for name in needing],
                hint="set preprocess.validation_size above 0 and preprocess again",
            )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return key → value of what can move the model, defaults filled in."""
        return {"seed": config.value("seed"), **self.decisive()}

    def decisive(self) -> dict[str, Any]:
        """Return the same without the seed; leave out parameters that the optimizer or the schedule does not have."""
        decided = super().decisive()
        del decided["train.epochs" if self.epochs is None else "train.steps"]
        decided["train.learning_rate"] = self.rate
        decided["train.l2"] = self.l2 or None  # 0 and null both add nothing
        chosen = self.optimizer_parameters() | self.schedule_parameters(None)
        decided |= {f"train.{name}": value for name, value in chosen.items()}
        return {path: value for path, value in decided.items() if value is not None}

    def course(self, seed: int) -> dict[str, Any]:
        """Return key → value of what decides each step, but not their number.

        The length is left out, unless the schedule spans the run; so a longer run can resume from a shorter one.
        """
        stretches = "decay_steps" in SCHEDULES[self.schedule] and self.decay_steps is None
        length = () if stretches else tuple(f"train.{name}" for name in _LENGTH)
        return {path: value for path, value in {"seed": seed, **self.decisive()}.items() if path not in length}

    def _given(self, name: str, default: Any) -> Any:
        value = getattr(self, name)
        return default if value is None else value

    def _excess_warmup(self, total_steps: int) -> str | None:
        """Return what is wrong if the warm-up outlasts the run, so that the rate would never reach its value."""
        if (self.warmup_steps or 0) <= total_steps:
            return None
        return f"expected at most the {total_steps:,} steps of the run; received {self.warmup_steps:,}"

    def _needing_validation(self) -> list[str]:
        needing = {"early_stopping": self.early_stopping is not None, "select": self.select == "best"}
        return [name for name, is_set in needing.items() if is_set]
