"""The parts of JSON documents about stages: metrics, state, result and manifest of each.

Only METRICS and RUNTIME name stages. A stage that is not in them may record anything.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasPath, BeforeValidator, Field, create_model

from mnist_cli.cli.documents.parts import (
    ABSENT,
    Count,
    Document,
    Key,
    Listed,
    Nats,
    Positive,
    Printed,
    Reason,
    RunId,
    Seconds,
    Share,
    Split,
    StageName,
    State,
    Value,
    recorded,
)
from mnist_cli.pipeline import manifest
from mnist_cli.pipeline.manifest import Digest
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import EVALUATION, MODEL


class FetchedFile(Document):
    """A file of the data set."""

    name: str = Field(description="Its name in artifacts/fetch.")
    bytes: Count = Field(description="Its size.")
    source: str = Field(description='"already there", "generated", or the mirror without user, password and query.')


class FetchMetrics(Document):
    """What a fetch did."""

    dataset: str = Field(description="The name of the data set.")
    files: list[FetchedFile] = Field(description="All files of the data set.")
    bytes: Count = Field(description="The size of all files together.")
    requests: Count = Field(description="HTTP requests sent, with redirects and retries.")
    bytes_received: Count = Field(description="Bytes received from web servers; files copied from a folder add none.")


class PreprocessMetrics(Document):
    """What the store holds."""

    dataset: str = Field(description="The name of the data set.")
    train: Count = Field(description="Examples in the training split.")
    validation: Count = Field(description="Examples in the validation split.")
    test: Count = Field(description="Examples in the test split.")


class FeaturesMetrics(Document):
    """The features, and the number of images."""

    map: str = Field(description='The name of the map; "own" for the user\'s file.')
    features: Positive = Field(description="Features of an image.")
    train: Count = Field(description="Rows in the training split; warped copies count.")
    validation: Count = Field(description="Rows in the validation split.")
    test: Count = Field(description="Rows in the test split.")
    resumed_from: Count = Field(description="Rows that an interrupted command had written; 0 if there was none.")
    map_digest: Digest = Field(description="SHA-256 of the fitted map.")


class TrainSeconds(Document):
    """The time that each part of a training took, in seconds of wall time."""

    import_: Seconds = Field(alias="import", description="Importing TensorFlow; 0 if it was imported already.")
    load: Seconds = Field(description="Reading the store.")
    compile: Seconds = Field(description="Building the training loop.")
    steps: Seconds = Field(description="Training steps.")
    validation: Seconds = Field(description="Measuring on the validation split.")
    checkpoints: Seconds = Field(description="Reading and writing checkpoints.")


class RunMetrics(Document):
    """The results of a training."""

    steps: Count = Field(description="Training steps of the whole run.")
    examples: Count = Field(description="Examples seen: steps times the batch size.")
    resumed_from: Count = Field(description="Step of the checkpoint from which the last command resumed; 0 if none.")
    model_step: Count = Field(description="Step of the published model; less than steps only with train.select best.")
    loss: float = Field(description="Mean training loss, in nats, over the steps since the record before.")
    validation_loss: Nats | None = Field(
        description="Cross-entropy of the model on the validation split, in nats; null if that is empty."
    )
    validation_accuracy: Share | None = Field(
        description="Share of the validation split that the model gets right; null if that is empty."
    )
    model_digest: Digest = Field(description="SHA-256 over the bytes of W and b; equal for equal models only.")


class TrainMetrics(RunMetrics):
    """The results of a training, and how long its parts took."""

    seconds: TrainSeconds = Field(description="The time that the parts of the last command took.")


class EvalMetrics(Document):
    """How good the model is on one split."""

    split: Split = Field(description="The split it was measured on.")
    examples: Count = Field(description="Number of examples.")
    correct: Count = Field(description="Number of examples that the model gets right.")
    accuracy: Share = Field(description="correct / examples.")
    accuracy_interval: Annotated[tuple[Share, Share], Field(strict=False)] = Field(
        description="Low and high end of its 95 % interval (Wilson)."
    )
    cross_entropy: Nats = Field(description="Mean of -ln p(true label), in nats.")
    model_digest: Digest = Field(description="Digest of the model that was measured.")


class NoRuntime(Document):
    """Empty: the outputs of this stage do not depend on where it runs."""


class TrainRuntime(Document):
    """What can change the bits of a training with a Keras optimizer; empty for sgd, momentum and nesterov."""

    device: Literal["cpu", "gpu"] = Field(default=ABSENT, description="The kind of device it ran on.")
    tensorflow: str = Field(default=ABSENT, description="TensorFlow's version.")
    keras: str = Field(default=ABSENT, description="Keras's version.")
    machine: str = Field(default=ABSENT, description="The processor's architecture, such as x86_64.")


METRICS: Mapping[str, type[Document]] = {
    "fetch": FetchMetrics,
    "preprocess": PreprocessMetrics,
    "features": FeaturesMetrics,
    "train": TrainMetrics,
    "eval": EvalMetrics,
}
RUNTIME: Mapping[str, type[Document]] = {"train": TrainRuntime}


class StageStatus(Document):
    """The state of a stage."""

    stage: StageName = Field(description="The stage.")
    state: State = Field(description="The state of its artifacts.")
    reasons: Listed[Reason] = Field(description="Why it is not fresh; empty if it is.")
    key: Digest | None = Field(description="The key in its manifest; null if there is no readable manifest.")


class StageResult(Document):
    """The result of a stage."""

    stage: StageName = Field(description="The stage.")
    ran: bool = Field(description="Whether it ran; if not, the other fields are from an earlier run's manifest.")
    taken_from: RunId | None = Field(
        description="The id of the kept run that it was published from instead of running; else null."
    )
    state_before: State = Field(validation_alias=AliasPath("before", "state"), description="Its state before.")
    reasons: Listed[Reason] = Field(
        validation_alias=AliasPath("before", "reasons"), description="Why it ran; empty if it was fresh."
    )
    key: Digest = Field(
        validation_alias=AliasPath("manifest", "key"), description="SHA-256 over everything that decides its outputs."
    )
    outputs: dict[str, Annotated[Digest, BeforeValidator(lambda file: getattr(file, "sha256", file))]] = Field(
        validation_alias=AliasPath("manifest", "outputs"), description="File → SHA-256 of its content."
    )
    metrics: dict[str, Any] = Field(
        validation_alias=AliasPath("manifest", "metrics"), description="What it did and measured."
    )
    seconds: Seconds = Field(
        validation_alias=AliasPath("manifest", "seconds"),
        description="How long it took when it ran, in seconds of wall time.",
    )


class Environment(Document):
    """Where a stage ran, for comparison only: it never makes a stage stale. A missing package is null."""

    mnist_cli: str = Field(alias="mnist-cli", description="The version of this tool.")
    python: str = Field(description="Python's version.")
    system: str = Field(description="Operating system and machine.")
    cpu: str = Field(description='The name of the processor, or "unknown".')
    cores: int | None = Field(description="Logical processors of the machine; null if they cannot be counted.")
    tensorflow: str | None = Field(description="Its version.")
    keras: str | None = Field(description="Its version.")
    numpy: str | None = Field(description="Its version.")
    h5py: str | None = Field(description="Its version.")
    pillow: str | None = Field(description="Its version.")


class Manifest(Document, manifest.Manifest):
    """The manifest of a stage, with types for the fields that the pipeline leaves open."""

    schema_: manifest.Schema = Field(alias="schema")
    version: Positive
    parameters: dict[Key, Value]
    overrides: dict[Key, Value]
    environment: Environment  # type: ignore[assignment]  # the pipeline itself only compares it, as a dictionary
    sha256: Digest


def _of_stage(stage: str, base: type[Document], what: str, about: str, **fields: Any) -> Any:
    """Return a model for one stage: `base`, with the stage's own metrics."""
    metrics: Any = METRICS.get(stage, dict[str, Any])
    fields["stage"] = (Literal[stage], Field(description=base.model_fields["stage"].description))
    fields["metrics"] = (metrics, base.model_fields["metrics"])
    return create_model(_name(stage, what), __base__=base, __doc__=about, **fields)


def _name(stage: str, what: str = "") -> str:
    return "".join(part.capitalize() for part in stage.split("_")) + what


_UNCHECKED = recorded(StageResult.model_validate)


def _command(stage: str, result: Any) -> type[Printed]:
    """Return the document of the command that runs one stage."""
    absent, about = {}, "The stage."
    if "replicas" in RUNTIME.get(stage, NoRuntime).model_fields:
        absent, about = {"default": ABSENT}, "The stage; absent on a worker that is not the chief."
    one = Field(**absent, description=about, min_length=1, max_length=1)
    fields: dict[str, Any] = {"stages": (list[Annotated[result, _UNCHECKED]], one)}
    about = "The result of the stage."
    if "accuracy" in METRICS.get(stage, Document).model_fields:
        about = "The result of the stage, and the accuracy of the model."
        fields["accuracy"] = (Share, Field(description="Accuracy on the evaluated split."))
        fields["model_digest"] = (Digest, Field(description="Digest of the evaluated model."))
    return create_model(_name(stage), __base__=Printed, __doc__=about, **fields)


RESULTS = {stage: _of_stage(stage, StageResult, "Result", f"The result of {stage}.") for stage in PIPELINE.stages}
MANIFESTS = {
    stage: _of_stage(
        stage,
        Manifest,
        "Manifest",
        f"The manifest of {stage}: what it read, wrote and measured, and with which parameters.",
        runtime=(RUNTIME.get(stage, NoRuntime), ...),
    )
    for stage in PIPELINE.stages
}
STAGE_COMMANDS = {stage: _command(stage, result) for stage, result in RESULTS.items()}
if TYPE_CHECKING:  # the stages are known at run time only
    AnyResult = StageResult
    TrainManifest = Manifest
    EvalManifest = Manifest
else:
    TrainManifest, EvalManifest = (
        MANIFESTS[PIPELINE.maker(kind).name] for kind in (MODEL, EVALUATION)
    )  # of a kept run
    AnyResult = Annotated[reduce(or_, RESULTS.values()), Field(discriminator="stage"), _UNCHECKED]
