"""The JSON files of the artifacts folder, one class for each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from docs.document_parts import (
    Count,
    Digest,
    Document,
    EvalMetrics,
    FetchMetrics,
    HistoryRecord,
    InputName,
    Key,
    OutputFile,
    PreprocessMetrics,
    Seconds,
    Share,
    StageName,
    TrainMetrics,
    TrainRuntime,
    Value,
)

_KEPT_FILE = r"^[a-z]+\.[a-z0-9]+$"


class NoRuntime(Document):
    """Nothing: where this stage runs does not move its bits."""


class Environment(Document):
    """Where a stage ran: for people who compare, never part of a key. A package that is not installed is null."""

    mnist_cli: str = Field(alias="mnist-cli", description="The version of this tool.")
    python: str = Field(description="Python's version.")
    system: str = Field(description="Operating system and machine.")
    cpu: str = Field(description='The name of the processor, or "unknown".')
    cores: int | None = Field(description="Logical processors of the machine; null when they cannot be counted.")
    tensorflow: str | None = Field(description="Its version.")
    keras: str | None = Field(description="Its version.")
    numpy: str | None = Field(description="Its version.")
    h5py: str | None = Field(description="Its version.")
    pillow: str | None = Field(description="Its version.")


class Manifest(Document):
    """What a stage was run with, what it read and wrote, and what it found out."""

    schema_: Literal["mnist-manifest/1"] = Field(alias="schema", description="The format of this file.")
    stage: StageName = Field(description="Whose manifest it is.")
    key: Digest = Field(description="SHA-256 over all that decides the outputs; what `fresh` goes by.")
    version: Annotated[int, Field(ge=1)] = Field(description="Of the stage's code; other outputs, another version.")
    parameters: dict[Key, Value] = Field(description="The configuration keys that count for it → values.")
    overrides: dict[Key, Value] = Field(description="Those of the parameters that came from the command line.")
    inputs: dict[InputName, Digest] = Field(description="`stage/file` → SHA-256 of the content that was read.")
    outputs: dict[str, OutputFile] = Field(description="File → digest and size.")
    environment: Environment = Field(description="Where it ran.")
    seconds: Seconds = Field(description="How long it took, in seconds of wall time.")
    sha256: Digest = Field(description="Of the canonical JSON of all the rest, so that damage is noticed.")


class FetchManifest(Manifest):
    """artifacts/fetch/manifest.json: where the files came from."""

    stage: Literal["fetch"] = Field(description="Whose manifest it is.")
    metrics: FetchMetrics = Field(description="What the fetch did.")
    runtime: NoRuntime = Field(description="Empty.")


class PreprocessManifest(Manifest):
    """artifacts/preprocess/manifest.json: what the store was made from."""

    stage: Literal["preprocess"] = Field(description="Whose manifest it is.")
    metrics: PreprocessMetrics = Field(description="What is in the store.")
    runtime: NoRuntime = Field(description="Empty.")


class TrainManifest(Manifest):
    """artifacts/train/manifest.json: how the model was trained."""

    stage: Literal["train"] = Field(description="Whose manifest it is.")
    metrics: TrainMetrics = Field(description="What the training came to.")
    runtime: TrainRuntime = Field(description="What can move its bits.")


class EvalManifest(Manifest):
    """artifacts/eval/manifest.json, and eval-SPLIT.json in the record of a run: what was measured of which model."""

    stage: Literal["eval"] = Field(description="Whose manifest it is.")
    metrics: EvalMetrics = Field(description="What was measured; metrics.json has more.")
    runtime: NoRuntime = Field(description="Empty.")


class HistoryLine(HistoryRecord):
    """One line of history.jsonl: JSON lines, the oldest record first; equal runs give equal bytes."""


class Average(Document):
    """Means over the classes where the value is defined; null where it is for none."""

    precision: Share | None = Field(description="Mean precision.")
    recall: Share | None = Field(description="Mean recall.")
    f1: Share | None = Field(description="Mean F1.")


class ClassMetrics(Document):
    """How one class fares; a ratio whose denominator is zero is null."""

    name: str = Field(description="The name of the class.")
    precision: Share | None = Field(description="Of the examples predicted to be of it, the share that is.")
    recall: Share | None = Field(description="Of the examples of it, the share predicted to be.")
    f1: Share | None = Field(description="Harmonic mean of the two.")
    support: Count = Field(description="Examples of this class.")


class Metrics(EvalMetrics):
    """artifacts/eval/metrics.json: how good the model is, in full."""

    schema_: Literal["mnist-metrics/1"] = Field(alias="schema", description="The format of this file.")
    macro: Average = Field(description="Means over the classes, each counting the same.")
    classes: list[ClassMetrics] = Field(description="One entry for each class, by label.")
    confusion: list[list[Count]] = Field(description="Examples by [true label][predicted label].")
    model_step: Count = Field(description="The step after which the model was published.")
    store_digest: Digest = Field(description="SHA-256 of the content of the store that was measured on.")


class RunRecord(Document):
    """artifacts/runs/ID/run.json: a finished training that is kept."""

    schema_: Literal["mnist-run/1"] = Field(alias="schema", description="The format of this file.")
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")] = Field(
        description="When the training was published, UTC."
    )
    data: dict[Key, Value] = Field(description="The parameters of the store that it was trained on → values.")
    files: dict[Annotated[str, Field(pattern=_KEPT_FILE)], OutputFile] = Field(
        description="The other files of the record → SHA-256 of their bytes, and size."
    )
    train: TrainManifest = Field(description="The manifest of the training, as it was.")
    sha256: Digest = Field(description="Of the canonical JSON of all the rest, so that damage is noticed.")


class Checkpoint(Document):
    """artifacts/train/checkpoints/step-N/state.json: what a checkpoint holds beside TensorFlow's files."""

    schema_: Literal["mnist-checkpoint/2"] = Field(alias="schema", description="The format of this file.")
    run: dict[str, Value] = Field(description="What decides the bits of the run; another run starts from its own.")
    step: Annotated[int, Field(ge=1)] = Field(description="Steps done.")
    pending: str = Field(description="Base64 of little-endian float32: the loss of each step since the last record.")
    files: dict[str, Digest] = Field(description="The other files of the checkpoint → SHA-256 of their bytes.")
    sha256: Digest = Field(description="Of the canonical JSON of all the rest, so that damage is noticed.")


class RememberedDigests(RootModel[dict[str, tuple[Count, Count, Count, Digest]]]):
    """artifacts/.digests.json: file → size in bytes, time of change in ns, inode and SHA-256; lost, it is made anew."""


class LockHolder(Document):
    """artifacts/.lock-holder.json: who is at work in the folder, as long as somebody is; the kernel's lock decides."""

    pid: Annotated[int, Field(ge=1)] = Field(description="Process number.")
    command: str = Field(description="What was typed, without options.")
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")] = Field(description="Local time.")


# Name of the schema → model, and where its files are, below the artifacts folder.
FILES: dict[str, tuple[type[BaseModel], tuple[str, ...]]] = {
    "manifest-fetch": (FetchManifest, ("fetch/manifest.json",)),
    "manifest-preprocess": (PreprocessManifest, ("preprocess/manifest.json",)),
    "manifest-train": (TrainManifest, ("train/manifest.json",)),
    "manifest-eval": (EvalManifest, ("eval/manifest.json", "runs/*/eval-*.json")),
    "metrics": (Metrics, ("eval/metrics.json",)),
    "history": (
        HistoryLine,
        ("train/history.jsonl", "runs/*/history.jsonl", "train/checkpoints/*/history.jsonl"),
    ),
    "run-record": (RunRecord, ("runs/*/run.json",)),
    "checkpoint": (Checkpoint, ("train/checkpoints/*/state.json",)),
    "digests": (RememberedDigests, (".digests.json",)),
    "lock-holder": (LockHolder, (".lock-holder.json",)),
}
