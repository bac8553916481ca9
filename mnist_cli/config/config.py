"""The configuration as frozen, validated models; their defaults are the pipeline's defaults."""

# Without `from __future__ import annotations`: pydantic would evaluate the texts one by one, 2.5 ms of each start.
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mnist_cli.config.keys import KEYS, SECTIONS
from mnist_cli.datasets import DATASETS
from mnist_cli.distribution import DEVICE_PATTERN, STRATEGIES
from mnist_cli.errors import UsageError
from mnist_cli.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Schedule


def _about(path: str, **bounds: Any) -> Any:
    """Return a pydantic field whose description is the one in the table of keys."""
    return Field(description=KEYS[path].meaning, **bounds)


def _finite(**bounds: Any) -> Any:
    return Field(allow_inf_nan=False, **bounds)


def _choice(path: str, table: Collection[str]) -> Any:
    return _about(path, json_schema_extra={"enum": list(table)})


def _one_of(table: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in table:
            raise ValueError("unknown name")
        return name

    return check


def _usable_mirror(mirror: str) -> str:
    from mnist_cli.sources.mirrors import parse_mirror  # only a configured mirror pays for it

    try:
        parse_mirror(mirror)
    except UsageError as error:
        raise ValueError(error.message) from None
    return mirror


class _Model(BaseModel):
    # Strict: `steps: "100"` is a mistake worth hearing of, not a number. use_attribute_docstrings is not wanted.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FetchConfig(_Model):
    """How the four files are downloaded; none of it changes what they are."""

    mirrors: Annotated[
        tuple[Annotated[str, AfterValidator(_usable_mirror)], ...], _about("fetch.mirrors", strict=False)
    ] = ()
    timeout: Annotated[float, _about("fetch.timeout", gt=0, le=86400)] = 30
    deadline: Annotated[float, _about("fetch.deadline", gt=0, le=86400)] = 600
    min_speed: Annotated[int, _about("fetch.min_speed", ge=0)] = 1024


class PreprocessConfig(_Model):
    """How the training images are divided."""

    validation_size: Annotated[int, _about("preprocess.validation_size", ge=0)] = 5000


class TrainConfig(_Model):
    """The tutorial's training: 1000 steps of gradient descent at 0.5 on 100 random images each."""

    steps: Annotated[int, _about("train.steps", ge=1, le=10**9)] = 1000
    epochs: Annotated[Annotated[int, Field(ge=1, le=10**6)] | None, _about("train.epochs")] = None
    batch_size: Annotated[Annotated[int, Field(ge=1, le=10**7)] | Literal["full"], _about("train.batch_size")] = 100
    learning_rate: Annotated[Annotated[float, _finite(gt=0)] | None, _about("train.learning_rate")] = None
    optimizer: Annotated[str, AfterValidator(_one_of(OPTIMIZERS)), _choice("train.optimizer", OPTIMIZERS)] = "sgd"
    momentum: Annotated[Annotated[float, _finite(ge=0, lt=1)] | None, _about("train.momentum")] = None
    beta_1: Annotated[Annotated[float, _finite(ge=0, lt=1)] | None, _about("train.beta_1")] = None
    beta_2: Annotated[Annotated[float, _finite(ge=0, lt=1)] | None, _about("train.beta_2")] = None
    rho: Annotated[Annotated[float, _finite(ge=0, lt=1)] | None, _about("train.rho")] = None
    epsilon: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.epsilon")] = None
    weight_decay: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.weight_decay")] = None
    schedule: Annotated[str, AfterValidator(_one_of(SCHEDULES)), _choice("train.schedule", SCHEDULES)] = "constant"
    decay_steps: Annotated[Annotated[int, Field(ge=1, le=10**9)] | None, _about("train.decay_steps")] = None
    decay_rate: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.decay_rate")] = None
    end_fraction: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.end_fraction")] = None
    power: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.power")] = None
    warmup_steps: Annotated[Annotated[int, Field(ge=0, le=10**9)] | None, _about("train.warmup_steps")] = None
    l2: Annotated[Annotated[float, _finite(ge=0)] | None, _about("train.l2")] = None
    ema: Annotated[Annotated[float, _finite(ge=0, lt=1)] | None, _about("train.ema")] = None
    early_stopping: Annotated[Annotated[int, Field(ge=1)] | None, _about("train.early_stopping")] = None
    select: Annotated[Literal["last", "best"], _about("train.select")] = "last"
    device: Annotated[str, _about("train.device", pattern=f"^({DEVICE_PATTERN})$")] = "auto"
    strategy: Annotated[str, AfterValidator(_one_of(STRATEGIES)), _choice("train.strategy", STRATEGIES)] = "single"
    validate_every: Annotated[int, _about("train.validate_every", ge=1)] = 100
    checkpoint_every: Annotated[Annotated[int, Field(ge=1)] | None, _about("train.checkpoint_every")] = 1000
    checkpoint_seconds: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _about("train.checkpoint_seconds")
    ] = 30
    keep_checkpoints: Annotated[int, _about("train.keep_checkpoints", ge=0)] = 3
    tensorboard: Annotated[bool, _about("train.tensorboard")] = False

    def chosen_optimizer(self) -> Optimizer:
        """Return the optimizer with those of its parameters that are set."""
        return Optimizer(
            self.optimizer, self.weight_decay, self.momentum, self.beta_1, self.beta_2, self.rho, self.epsilon
        )

    def chosen_schedule(self) -> Schedule:
        """Return the schedule with those of its parameters that are set."""
        return Schedule(
            self.schedule, self.decay_steps, self.decay_rate, self.end_fraction, self.power, self.warmup_steps
        )


class EvalConfig(_Model):
    """What is measured, and the bound it has to reach."""

    split: Annotated[Literal["test", "validation", "train"], _about("eval.split")] = "test"
    min_accuracy: Annotated[Annotated[float, Field(ge=0, le=1)] | None, _about("eval.min_accuracy")] = None


class Config(_Model):
    """Every parameter of every stage."""

    dataset: Annotated[str, AfterValidator(_one_of(DATASETS)), _choice("dataset", DATASETS)] = "mnist"
    seed: Annotated[int, _about("seed", ge=0, le=2**63 - 1)] = 0
    keep_runs: Annotated[int, _about("keep_runs", ge=1)] = 100
    fetch: Annotated[FetchConfig, Field(description=SECTIONS["fetch"])] = FetchConfig()
    preprocess: Annotated[PreprocessConfig, Field(description=SECTIONS["preprocess"])] = PreprocessConfig()
    train: Annotated[TrainConfig, Field(description=SECTIONS["train"])] = TrainConfig()
    eval: Annotated[EvalConfig, Field(description=SECTIONS["eval"])] = EvalConfig()

    def value(self, path: str) -> Any:
        """Return the value of a key such as `train.steps`.

        Raises:
            KeyError: there is no such key.
        """
        if path not in KEYS:
            raise KeyError(path)
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found
