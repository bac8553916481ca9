"""What the JSON documents have in common: each part once, with the meaning, unit and range of every field.

The models are written from what a reader may rely on, and not taken from the code that prints: a test holds the two
together. They are strict: an unknown field, a number for a text or a NaN is a mistake.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# The default of a field that may be left out. It says nothing about null, which is refused unless the type allows it.
ABSENT: Any = None

StageName = Literal["fetch", "preprocess", "train", "eval"]
Split = Literal["test", "validation", "train"]
State = Literal["missing", "incomplete", "corrupt", "stale", "pending", "fresh"]
Value = str | int | float | bool | list[str] | None

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$")]
InputName = Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Nats = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Image = list[list[Annotated[int, Field(ge=0, le=255)]]]


class Document(BaseModel):
    """The base of all: nothing unknown, nothing converted, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Printed(Document):
    """The base of what a command prints; a field with a default may be absent."""


class Reason(Document):
    """Why something is not as it was: a value that changed, or a fact."""

    what: str = Field(description="A configuration key, an input, a file or a fact; never run, for example.")
    old: Value = Field(description='As it was; "(not used)" where it did not count. Null where no value changed.')
    new: Value = Field(description='As it would be now; "(not used)" where it does not count. Null as for old.')
    text: str = Field(description="The whole reason in words, as the text output says it; long digests are shortened.")


class PromiseBroken(Reason):
    """A reason why a stage is not what pipeline.lock promises."""

    stage: StageName = Field(description="Which stage.")


class Error(Document):
    """What ended a command."""

    code: Literal[
        "internal",
        "usage",
        "config",
        "work-needed",
        "not-as-locked",
        "input",
        "format",
        "gate",
        "diverged",
        "locked",
        "fetch",
        "worker-lost",
        "interrupted",
    ] = Field(description="What kind of failure; together with the exit code, what a script may rely on.")
    message: str = Field(description="What happened, what was expected and what was received; one line or several.")
    hint: str | None = Field(description="What to run or change next; null where nothing is known to help.")
    problems: list[str] = Field(
        default=ABSENT, description="With code config: every mistake by itself, with its place where it has one."
    )
    differences: list[PromiseBroken] = Field(
        default=ABSENT, description="With code not-as-locked: every difference by itself."
    )


class Failed(Document):
    """All that a command prints when it fails before it has found out anything."""

    error: Error = Field(description="What ended the command.")


class FetchedFile(Document):
    """One file of the data set."""

    name: str = Field(description="In artifacts/fetch.")
    bytes: Count = Field(description="Its size.")
    source: str = Field(description='"already there", "generated", or the mirror without user, password and query.')


class FetchMetrics(Document):
    """What a fetch did."""

    dataset: str = Field(description="The name of the data set.")
    files: list[FetchedFile] = Field(description="All files of the data set.")
    bytes: Count = Field(description="The size of all files together.")
    requests: Count = Field(description="HTTP requests that were sent, with redirects and further tries.")
    bytes_received: Count = Field(description="Bytes that came from web servers; copying from a folder counts none.")


class PreprocessMetrics(Document):
    """What the store holds."""

    dataset: str = Field(description="The name of the data set.")
    train: Count = Field(description="Examples in the training split.")
    validation: Count = Field(description="Examples in the validation split.")
    test: Count = Field(description="Examples in the test split.")


class TrainSeconds(Document):
    """Where the time of a training went, in seconds of wall time."""

    import_: Seconds = Field(alias="import", description="Importing TensorFlow; 0 where it was there already.")
    load: Seconds = Field(description="Reading the store.")
    compile: Seconds = Field(description="Building the training loop.")
    steps: Seconds = Field(description="Training steps.")
    validation: Seconds = Field(description="Measuring on the validation split.")
    checkpoints: Seconds = Field(description="Reading and writing checkpoints.")


class RunMetrics(Document):
    """What a training came to."""

    steps: Count = Field(description="Training steps of the whole run.")
    examples: Count = Field(description="Examples seen: steps times the batch size.")
    resumed_from: Count = Field(description="Step of the checkpoint that the last call went on from; 0: from none.")
    model_step: Count = Field(description="Step whose model was published; before steps only with train.select best.")
    loss: float = Field(description="Mean training loss, in nats, over the steps since the record before.")
    validation_loss: Nats | None = Field(
        description="Cross-entropy of the model on the validation split, in nats; null when that is empty."
    )
    validation_accuracy: Share | None = Field(
        description="Share of the validation split that it gets right; null when that is empty."
    )
    model_digest: Digest = Field(description="SHA-256 over the bytes of W and b: what `the same model` means.")


class TrainMetrics(RunMetrics):
    """What a training came to, and how long its parts took."""

    seconds: TrainSeconds = Field(description="Where the time of the last call went.")


class EvalMetrics(Document):
    """How good the model is on one split."""

    split: Split = Field(description="What it was measured on.")
    examples: Count = Field(description="How many examples there are.")
    correct: Count = Field(description="How many of them it gets right.")
    accuracy: Share = Field(description="correct / examples.")
    accuracy_interval: tuple[Share, Share] = Field(description="Low and high end of its 95 % interval (Wilson).")
    cross_entropy: Nats = Field(description="Mean of -ln p(true label), in nats.")
    model_digest: Digest = Field(description="Of the model that was measured.")


class HistoryRecord(Document):
    """How far a training had come after some step."""

    step: Annotated[int, Field(ge=1)] = Field(description="Steps done.")
    loss: float = Field(description="Mean training loss, in nats, over the steps since the record before.")
    validation_loss: Nats | None = Field(
        description="Cross-entropy on the validation split, in nats; null when that is empty."
    )
    validation_accuracy: Share | None = Field(
        description="Share of the validation split that is right; null when that is empty."
    )


class TrainRuntime(Document):
    """What can move the bits of a training beside its parameters and data."""

    device: Literal["cpu", "gpu"] = Field(description="The kind of device that it ran on.")
    tensorflow: str = Field(description="TensorFlow's version.")
    keras: str = Field(description="The version of Keras, whose optimizers are used.")
    numpy: str = Field(description="The version of NumPy, which orders the examples.")
    determinism: bool = Field(description="Whether TensorFlow's deterministic operations were switched on.")
    onednn: Literal["0", "1"] = Field(description="Whether TensorFlow computed with oneDNN.")
    instructions: str = Field(
        description="The processor's architecture and, on x86, its widest vector instructions, as in x86_64 avx2."
    )
    replicas: Annotated[int, Field(ge=1)] = Field(description="Devices, here or elsewhere, that shared each step.")


class OutputFile(Document):
    """One published file."""

    sha256: Digest = Field(description="Of its content; for HDF5 of what it says, for any other file of its bytes.")
    bytes: Count = Field(description="Its size.")


class StageResult(Document):
    """What became of one stage."""

    stage: StageName = Field(description="Which stage.")
    ran: bool = Field(description="Whether it ran; otherwise it was fresh, and the rest is from its manifest.")
    state_before: State = Field(description="How it stood before.")
    reasons: list[Reason] = Field(description="Why it ran; empty when it was fresh.")
    key: Digest = Field(description="SHA-256 over all that decides its outputs.")
    outputs: dict[str, Digest] = Field(description="File → SHA-256 of its content.")
    seconds: Seconds = Field(description="How long it took when it ran, in seconds of wall time.")


class FetchResult(StageResult):
    """What became of fetch."""

    stage: Literal["fetch"] = Field(description="Which stage.")
    metrics: FetchMetrics = Field(description="What it did.")


class PreprocessResult(StageResult):
    """What became of preprocess."""

    stage: Literal["preprocess"] = Field(description="Which stage.")
    metrics: PreprocessMetrics = Field(description="What is in the store.")


class TrainResult(StageResult):
    """What became of train."""

    stage: Literal["train"] = Field(description="Which stage.")
    metrics: TrainMetrics = Field(description="What the training came to.")


class EvalResult(StageResult):
    """What became of eval."""

    stage: Literal["eval"] = Field(description="Which stage.")
    metrics: EvalMetrics = Field(description="What was measured.")


AnyResult = Annotated[FetchResult | PreprocessResult | TrainResult | EvalResult, Field(discriminator="stage")]
