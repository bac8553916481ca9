"""The configuration as frozen, validated models; their defaults are the pipeline's defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mnist_cli.datasets import DATASETS
from mnist_cli.pipeline.keys import KEYS, SECTIONS


def _about(path: str, **bounds: Any) -> Any:
    """Return a pydantic field whose description is the one in the table of keys."""
    return Field(description=KEYS[path].meaning, **bounds)


def _known_dataset(name: str) -> str:
    if name not in DATASETS:
        raise ValueError("unknown data set")
    return name


class _Model(BaseModel):
    # Strict: `steps: "100"` is a mistake worth hearing of, not a number. use_attribute_docstrings is not wanted.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FetchConfig(_Model):
    """How the four files are downloaded; none of it changes what they are."""

    mirrors: Annotated[tuple[str, ...], _about("fetch.mirrors", strict=False)] = ()
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
    learning_rate: Annotated[float, _about("train.learning_rate", gt=0, allow_inf_nan=False)] = 0.5
    device: Annotated[Literal["auto", "cpu", "gpu"], _about("train.device")] = "auto"
    validate_every: Annotated[int, _about("train.validate_every", ge=1)] = 100
    checkpoint_every: Annotated[Annotated[int, Field(ge=1)] | None, _about("train.checkpoint_every")] = 1000
    checkpoint_seconds: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _about("train.checkpoint_seconds")
    ] = 30
    keep_checkpoints: Annotated[int, _about("train.keep_checkpoints", ge=0)] = 3


class EvalConfig(_Model):
    """What is measured, and the bound it has to reach."""

    split: Annotated[Literal["test", "validation", "train"], _about("eval.split")] = "test"
    min_accuracy: Annotated[Annotated[float, Field(ge=0, le=1)] | None, _about("eval.min_accuracy")] = None


class Config(_Model):
    """Every parameter of every stage."""

    dataset: Annotated[
        str, AfterValidator(_known_dataset), _about("dataset", json_schema_extra={"enum": list(DATASETS)})
    ] = "mnist"
    seed: Annotated[int, _about("seed", ge=0, le=2**63 - 1)] = 0
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
