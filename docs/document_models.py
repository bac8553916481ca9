"""What commands print about models: single images, kept runs, comparisons, pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docs.document_files import EvalManifest, TrainManifest
from docs.document_parts import (
    ABSENT,
    AnyResult,
    Count,
    Digest,
    Document,
    Error,
    EvalMetrics,
    HistoryRecord,
    Image,
    Key,
    Nats,
    Printed,
    RunId,
    RunMetrics,
    Share,
    Split,
    Value,
)


class Show(Printed):
    """One image of the store, and what the model makes of it."""

    split: Split = Field(description="Where it is from.")
    index: Count = Field(description="Its number in the split, from 0.")
    label: Count = Field(description="Its true class, from 0.")
    image: Image = Field(description="Rows of pixels, 0 = background to 255.")
    prediction: Count = Field(default=ABSENT, description="The most probable class; absent while there is no model.")
    probabilities: list[Share] = Field(default=ABSENT, description="Of each class; absent while there is no model.")


class SweepPoint(Document):
    """One point of a sweep."""

    id: RunId | None = Field(description="Its run; null when it has none.")
    settings: dict[Key, Value] = Field(description="The keys that differ between points → values here.")
    state: Literal["trained", "kept", "waiting", "diverged"] = Field(
        description="What became of it: trained now, kept from before, would be trained (--dry-run), or diverged."
    )
    validation_accuracy: Share | None = Field(description="What points are sorted by; null without a run.")
    validation_loss: Nats | None = Field(description="Cross-entropy in nats, which decides ties; null without a run.")
    loss: float | None = Field(description="Mean training loss in nats at the end; null without a run.")
    model_digest: Digest | None = Field(description="SHA-256 over the bytes of W and b; null without a run.")
    problem: str | None = Field(description="Why it diverged, or null.")


class Sweep(Printed):
    """The points, the best first; after a failure and with `--dry-run` in the order of the grid."""

    points: list[SweepPoint] = Field(description="Every point of the grid.")
    stages: list[AnyResult] = Field(default=ABSENT, description="fetch and preprocess, as far as they had to run.")
    best: RunId = Field(default=ABSENT, description="The run of the best point; absent with --dry-run.")
    command: str = Field(default=ABSENT, description="What makes it the published training; absent with --dry-run.")


class RunSummary(Document):
    """A finished training that is kept."""

    id: RunId = Field(description="The first digits of its key.")
    created: str = Field(description="When it was published, UTC, as 2026-11-23T21:28:40.123456Z.")
    parameters: dict[Key, Value] = Field(description="The configuration keys that decided it → values.")
    metrics: RunMetrics = Field(description="What the training came to.")
    model_digest: Digest = Field(description="The same as in metrics.")


class ListedRun(RunSummary):
    """A finished training in the list."""

    evaluations: dict[Split, EvalMetrics] = Field(description="Split → what was measured on it.")
    published: bool = Field(description="Whether it is the one in artifacts/train.")


class DamagedRun(Document):
    """A record that cannot be used."""

    id: RunId = Field(description="The name of its folder.")
    problem: str = Field(description="What is wrong with it.")


class RunsList(Printed):
    """The finished trainings, the latest first."""

    runs: list[ListedRun] = Field(description="Those whose record is whole.")
    damaged: list[DamagedRun] = Field(description="The others.")


class RunsShow(RunSummary, Printed):
    """One finished training with all that is known of it."""

    data: dict[Key, Value] = Field(description="The parameters of its store; they are in parameters, too.")
    train: TrainManifest = Field(description="The manifest of the training.")
    evaluations: dict[Split, EvalManifest] = Field(description="Split → manifest of the evaluation.")
    history: list[HistoryRecord] = Field(description="Its course, the oldest record first.")


class RunsRm(Printed):
    """What was removed."""

    removed: list[RunId] = Field(description="The runs that are gone.")


class Difference(Document):
    """A value that two runs do not share."""

    kind: Literal["parameter", "data", "runtime", "environment"] = Field(description="What kind of value.")
    name: str = Field(description="Which one.")
    first: Value = Field(description="Of the first run; null where it has none.")
    second: Value = Field(description="Of the second run; null where it has none.")


class Change(Document):
    """One metric of two runs."""

    first: float | None = Field(description="Of the first run; null where it was not measured.")
    second: float | None = Field(description="Of the second run; null where it was not measured.")
    change: float | None = Field(description="Second minus first; null where one was not measured.")


class Changes(Document):
    """The metrics that runs are compared by."""

    loss: Change = Field(description="Training loss, in nats.")
    validation_loss: Change = Field(description="Cross-entropy on the validation split, in nats.")
    validation_accuracy: Change = Field(description="Share of the validation split that is right.")
    accuracy: Change = Field(description="Share of the evaluated split that is right.")
    cross_entropy: Change = Field(description="Cross-entropy on the evaluated split, in nats.")


class PairedTest(Document):
    """McNemar's exact test on the answers of both models to the same images."""

    split: Split = Field(description="Which images.")
    examples: Count = Field(description="How many.")
    b: Count = Field(description="Those that only the first model gets right.")
    c: Count = Field(description="Those that only the second model gets right.")
    p: Share = Field(description="Probability of a split at least as uneven, if neither is better.")
    significant: bool = Field(description="Whether p is below 0.05.")


class Condition(Document):
    """One --fail-if."""

    condition: str = Field(description="As it was typed.")
    holds: bool = Field(description="Whether it holds; then the exit code is 6.")


class Diff(Printed):
    """Two runs side by side."""

    first: RunId = Field(description="The run compared with.")
    second: RunId = Field(description="The run looked at.")
    same_model: bool = Field(description="Whether both have the same weights, to the bit.")
    differences: list[Difference] = Field(description="What was not the same when they were made.")
    metrics: Changes = Field(description="What came out.")
    split: Split | None = Field(description="What accuracy and cross_entropy are of; null: no split that both have.")
    paired_test: PairedTest | None = Field(description="Whether they differ by more than chance; null: no test.")
    no_paired_test: str | None = Field(description="Why there is no paired test, or null.")
    conditions: list[Condition] = Field(description="Every --fail-if, in order.")


class Answer(Document):
    """What the model makes of one image."""

    prediction: Count = Field(description="The most probable class, from 0.")
    class_: str = Field(alias="class", description="The name of that class.")
    probabilities: list[Share] = Field(description="Of each class.")
    image: Image = Field(default=ABSENT, description="With --show or --explain: the rows of pixels that are seen.")
    evidence: list[list[float]] = Field(
        default=ABSENT, description="With --explain: what each pixel says for the prediction (> 0) or against it (< 0)."
    )
    bias: float = Field(default=ABSENT, description="With --explain: what the class has without any pixel.")


class PictureAnswer(Answer):
    """A line for a FILE that could be read."""

    file: str = Field(description="As it was typed; - is standard input.")


class StoredAnswer(Answer):
    """A line for an --index."""

    split: Split = Field(description="Which split it counts in.")
    index: Count = Field(description="The number in the split, from 0.")
    label: Count = Field(description="Its true class, from 0.")


class PictureFailed(Document):
    """A line for a FILE that could not be read; the others go on, and the exit code is 5.

    What ends the command is nothing but `error`: after the first line one more, before it a document of several lines.
    """

    file: str = Field(description="As it was typed.")
    error: Error = Field(description="What is wrong with it.")


class Plot(Printed):
    """What was drawn."""

    plot: Literal["weights", "confusion", "history", "mistakes"] = Field(description="What.")
    file: str = Field(description="The picture.")


class Report(Printed):
    """What was written."""

    file: str = Field(description="The page.")
    bytes: Count = Field(description="Its size.")
    sha256: Digest = Field(description="Of its bytes; equal artifacts give an equal page.")
    accuracy: Share = Field(description="On the evaluated split.")
