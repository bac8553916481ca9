"""One model for each JSON file of the artifacts folder."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from mnist_cli.cli.documents.parts import Count, Document, HistoryRecord, Key, Positive, Share, Value
from mnist_cli.cli.documents.stages import MANIFESTS, EvalMetrics, TrainManifest
from mnist_cli.pipeline.manifest import Digest
from mnist_cli.runs import runs
from mnist_cli.stages import PIPELINE


class HistoryLine(HistoryRecord):
    """One line of history.jsonl: JSON lines, oldest record first; equal runs give equal bytes."""


class Average(Document):
    """Means over the classes that have the value; null if no class has it."""

    precision: Share | None = Field(description="Mean precision.")
    recall: Share | None = Field(description="Mean recall.")
    f1: Share | None = Field(description="Mean F1.")


class ClassMetrics(Document):
    """The metrics of one class; a ratio whose denominator is zero is null."""

    name: str = Field(description="The name of the class.")
    precision: Share | None = Field(description="Share of the examples predicted as this class that belong to it.")
    recall: Share | None = Field(description="Share of the examples of this class that are predicted as it.")
    f1: Share | None = Field(description="Harmonic mean of precision and recall.")
    support: Count = Field(description="Number of examples of this class.")


class Metrics(EvalMetrics):
    """artifacts/eval/metrics.json: the full evaluation of the model."""

    schema_: Literal["mnist-metrics/1"] = Field(alias="schema", description="The format of this file.")
    macro: Average = Field(description="Unweighted means over the classes.")
    classes: list[ClassMetrics] = Field(description="One entry for each class, by label.")
    confusion: list[list[Count]] = Field(description="Number of examples by [true label][predicted label].")
    model_step: Count = Field(description="The training step of the model.")
    store_digest: Digest = Field(description="SHA-256 of the content of the evaluated store.")


class RunRecord(Document, runs.RunRecord):
    """artifacts/runs/ID/run.json: a kept training."""

    schema_: runs.Schema = Field(alias="schema")
    data: dict[Key, Value]
    train: TrainManifest
    sha256: Digest


class Checkpoint(Document):
    """artifacts/train/checkpoints/KEY/step-N/state.json: what a checkpoint holds besides TensorFlow's files."""

    schema_: Literal["mnist-checkpoint/4"] = Field(alias="schema", description="The format of this file.")
    course: dict[str, Value] = Field(description="Everything that decides the bits of a run, except its length.")
    step: Positive = Field(description="Steps done.")
    pending: Count = Field(description="Sum of the examples' losses since the last record, in units of 2^-20 nats.")
    files: dict[str, Digest] = Field(description="The other files of the checkpoint → SHA-256 of their bytes.")
    sha256: Digest = Field(description="SHA-256 of the canonical JSON of all other fields, to detect damage.")


class RememberedDigests(RootModel[dict[str, tuple[Count, Count, Count, Digest]]]):
    """artifacts/.digests.json: file → size in bytes, time of change in ns, inode, SHA-256. A cache: safe to delete."""


class LastOverrides(RootModel[dict[Key, Any]]):
    """artifacts/.overrides.json: configuration keys from the command line of the last run → values."""


class LockHolder(Document):
    """artifacts/.lock-holder.json: the command running in the folder. Only the kernel's lock counts."""

    pid: Positive = Field(description="Process number.")
    command: str = Field(description="The command, without options.")
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")] = Field(description="Local time.")


_KEPT = {"eval": ("runs/*/eval-*.json",)}  # manifests kept in the folder of a run


def _copies(stage: str) -> tuple[str, ...]:
    """Return the place of a manifest's copy, if the stage's folder may be emptied."""
    return (f".{stage}-manifest.json",) if PIPELINE.stages[stage].spare else ()


# Name of the schema → model, and the places of its files below the artifacts folder.
FILES: dict[str, tuple[type[BaseModel], tuple[str, ...]]] = {
    **{
        f"manifest-{stage}": (model, (f"{stage}/manifest.json", *_KEPT.get(stage, ()), *_copies(stage)))
        for stage, model in MANIFESTS.items()
    },
    "metrics": (Metrics, ("eval/metrics.json",)),
    "history": (
        HistoryLine,
        ("train/history.jsonl", "runs/*/history.jsonl", "train/checkpoints/*/*/history.jsonl"),
    ),
    "run-record": (RunRecord, ("runs/*/run.json",)),
    "checkpoint": (Checkpoint, ("train/checkpoints/*/*/state.json",)),
    "digests": (RememberedDigests, (".digests.json",)),
    "overrides": (LastOverrides, (".overrides.json",)),
    "lock-holder": (LockHolder, (".lock-holder.json",)),
}
