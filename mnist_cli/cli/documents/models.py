"""Documents about models: single images, kept runs, comparisons, pictures."""

from typing import Literal

from pydantic import Field

from mnist_cli.cli.documents.parts import (
    ABSENT,
    Count,
    Document,
    Error,
    HistoryRecord,
    Image,
    Key,
    Listed,
    Nats,
    Printed,
    Recorded,
    RunId,
    Seconds,
    Share,
    Split,
    Value,
)
from mnist_cli.cli.documents.stages import AnyResult, EvalManifest, EvalMetrics, RunMetrics, TrainManifest
from mnist_cli.pipeline.manifest import Digest


class _Stored(Document):
    split: Split = Field(description="Its split.")
    index: Count = Field(description="Its number in the split, from 0.")
    label: Count = Field(description="Its true class, from 0.")


class Show(Printed, _Stored):
    """One image of the store, and the model's prediction."""

    model: Digest = Field(default=ABSENT, description="The digest of the model that answered; absent without a model.")
    prediction: Count = Field(default=ABSENT, description="The most probable class, from 0; absent without a model.")
    class_: str = Field(default=ABSENT, alias="class", description="Its name; absent without a model.")
    probabilities: list[Share] = Field(default=ABSENT, description="Of each class; absent without a model.")
    image: Image = Field(description="Rows of pixels, 0 = background to 255.")


class SweepPoint(Document):
    """One point of a sweep."""

    id: RunId | None = Field(description="The id of its run; null if it has none.")
    settings: dict[Key, Value] = Field(description="The keys that differ between points → their values for this point.")
    state: Literal["trained", "kept", "waiting", "diverged"] = Field(
        description="Trained now, kept from an earlier training, waiting (with --dry-run), or diverged."
    )
    validation_accuracy: Share | None = Field(description="Points are sorted by it; null without a run.")
    validation_loss: Nats | None = Field(description="Cross-entropy in nats; decides ties. Null without a run.")
    loss: float | None = Field(description="Mean training loss in nats at the end; null without a run.")
    model_digest: Digest | None = Field(description="SHA-256 over the bytes of W and b; null without a run.")
    problem: str | None = Field(description="Why it diverged, or null.")


class Sweep(Printed):
    """The points, best first; after a failure and with `--dry-run`, in the order of the grid."""

    stages: list[AnyResult] = Field(default=ABSENT, description="The stages before training that ran.")
    points: list[SweepPoint] = Field(description="Every point of the grid.")
    best: RunId = Field(default=ABSENT, description="The id of the run of the best point; absent with --dry-run.")
    command: str = Field(default=ABSENT, description="The command that publishes that point; absent with --dry-run.")


class RunSummary(Document):
    """A kept training."""

    id: RunId = Field(description="The first digits of its key.")
    created: str = Field(description="When it was published, UTC, such as 2026-11-23T21:28:40.123456Z.")
    parameters: dict[Key, Value] = Field(description="The configuration keys that its outputs depend on → values.")
    metrics: Recorded[RunMetrics] = Field(description="The results of the training.")
    evaluations: dict[Split, Recorded[EvalMetrics]] = Field(description="Split → the metrics on it.")
    model_digest: Recorded[Digest] = Field(description="The same as in metrics.")


class ListedRun(RunSummary):
    """A kept training in the list."""

    published: bool = Field(description="Whether it is the training in artifacts/train.")


class DamagedRun(Document):
    """A damaged run."""

    id: RunId = Field(description="The name of its folder.")
    problem: str = Field(description="What is wrong with it.")


class RunsList(Printed):
    """The kept trainings, latest first."""

    runs: list[ListedRun] = Field(description="The undamaged ones.")
    damaged: list[DamagedRun] = Field(description="The damaged ones.")


class RunsShow(RunSummary, Printed):
    """One kept training in full."""

    data: dict[Key, Value] = Field(description="The parameters of its store, which are in `parameters` too.")
    train: Recorded[TrainManifest] = Field(description="The manifest of the training.")
    evaluations: dict[Split, Recorded[EvalManifest]] = Field(  # type: ignore[assignment]  # the list has only their metrics
        description="Split → manifest of the evaluation."
    )
    history: list[HistoryRecord] = Field(description="The progress of the training, oldest record first.")


class RunsRm(Printed):
    """What was removed."""

    removed: list[RunId] = Field(description="The ids of the removed runs.")


class RunsRestore(Printed):
    """What was published again."""

    stages: list[AnyResult] = Field(description="The training; `taken_from` is null if it was already published.")


class Difference(Document):
    """A value that differs between two runs."""

    kind: Literal["parameter", "data", "runtime", "environment"] = Field(description="The kind of value.")
    name: str = Field(description="Its name.")
    first: Value = Field(description="The value in the first run; null if it has none.")
    second: Value = Field(description="The value in the second run; null if it has none.")


class Change(Document):
    """One metric of two runs."""

    first: float | None = Field(description="The value in the first run; null if it was not measured.")
    second: float | None = Field(description="The value in the second run; null if it was not measured.")
    change: float | None = Field(
        validation_alias="amount", description="Second minus first; null if either was not measured."
    )


class Changes(Document):
    """The metrics to compare runs by."""

    loss: Change = Field(description="Training loss, in nats.")
    validation_loss: Change = Field(description="Cross-entropy on the validation split, in nats.")
    validation_accuracy: Change = Field(description="Share of the validation split that is right.")
    accuracy: Change = Field(description="Share of the evaluated split that is right.")
    cross_entropy: Change = Field(description="Cross-entropy on the evaluated split, in nats.")


class PairedTest(Document):
    """McNemar's exact test on the answers of both models to the same images."""

    split: Split = Field(description="The split of the images.")
    examples: Count = Field(description="Number of images.")
    b: Count = Field(validation_alias="only_first", description="Images that only the first model gets right.")
    c: Count = Field(validation_alias="only_second", description="Images that only the second model gets right.")
    p: Share = Field(description="Probability of a difference at least this large, if neither model is better.")
    significant: bool = Field(description="Whether p is below 0.05.")


class Condition(Document):
    """One --fail-if."""

    condition: str = Field(description="As typed.")
    holds: bool = Field(description="Whether it holds; then the exit code is 6.")


class Diff(Printed):
    """Two runs side by side."""

    first: RunId = Field(description="The id of the first run.")
    second: RunId = Field(description="The id of the second run.")
    same_model: bool = Field(description="Whether both have the same weights, to the bit.")
    differences: Listed[Difference] = Field(description="Everything that differed when they were made.")
    metrics: Changes = Field(description="The metrics of both.")
    split: Split | None = Field(description="The split of accuracy and cross_entropy; null if the runs share none.")
    paired_test: PairedTest | None = Field(description="Do they differ by more than chance? Null if there is no test.")
    no_paired_test: str | None = Field(description="Why there is no paired test, or null.")
    conditions: list[Condition] = Field(description="Every --fail-if, in order.")


class _Picture(Document):
    file: str = Field(description="As typed; - is standard input.")


class _ByModel(Document):
    model: Digest = Field(description="The digest of the model that answered.")


class _Read(_ByModel, _Picture):
    warnings: list[Literal["several-pieces", "ink-all-over", "cut-by-the-edge"]] = Field(
        description="Reasons why it may not show one whole digit; empty if there are none."
    )


class PartEvidence(Document):
    """The evidence from one part of the feature map."""

    part: str = Field(description="Its operations, such as 'conv → modulus → pool', or 'exemplars'.")
    evidence: list[float] = Field(description="For each of its maps, such as directions.")


class _Answer(Document):
    prediction: Count = Field(description="The most probable class, from 0.")
    class_: str = Field(alias="class", description="The name of that class.")
    probabilities: list[Share] = Field(description="Of each class.")
    image: Image = Field(
        default=ABSENT, description="With --show or --explain: the rows of pixels that the model sees."
    )
    evidence: list[list[float]] = Field(
        default=ABSENT,
        description="With --explain: each pixel's evidence for (> 0) or against (< 0) the prediction; with a feature "
        "map, that of each cell of a grid over the image, summed over all maps.",
    )
    evidence_by_map: list[PartEvidence] = Field(
        default=ABSENT,
        description="With --explain and a feature map: the same evidence by map; it and the bias sum to the logit.",
    )
    seen: Image = Field(
        default=ABSENT,
        description="With --explain and a feature map: the image that features are computed from, shrunk and deskewed.",
    )
    bias: float = Field(default=ABSENT, description="With --explain: the bias of the class.")
    against: Count = Field(
        default=ABSENT,
        description="With --against: the label whose evidence and bias are subtracted; absent if it is the prediction.",
    )


# The fields of the last base come first.
class PictureAnswer(_Answer, _Read):
    """A line for a FILE that could be read."""


class Digit(_Answer):
    """One digit of a row."""


class RowAnswer(_Read):
    """With --several: a line for a FILE that could be read."""

    text: str = Field(description="The names of the classes from left to right, with spaces between long names.")
    digits: list[Digit] = Field(description="Each digit from left to right.")


class StoredAnswer(_Answer, _ByModel, _Stored):
    """A line for an --index."""


class PictureFailed(_Picture):
    """A line for a FILE that could not be read. The others are still predicted, and the exit code is 5.

    An error that ends the command has `error` only: one more line after the others, or, before the first line, a
    document of several lines.
    """

    error: Error = Field(description="What is wrong with it.")


class Plot(Printed):
    """What was drawn."""

    plot: Literal["weights", "confusion", "calibration", "history", "mistakes", "features"] = Field(
        description="What was drawn."
    )
    file: str = Field(description="The picture's file.")


class Verified(Document):
    """The answers of an exported file, compared with the model's."""

    runtime: str = Field(description="The runtime that ran the file.")
    split: Split = Field(description="The split of the images.")
    images: Count = Field(description="Number of images.")
    same: Count = Field(description="Number of images with the same answer.")
    largest: Share = Field(description="Largest difference of a probability.")
    exact: bool = Field(description="Whether features and logits were compared too and are equal to the bit.")
    seconds: Seconds = Field(description="Time it took.")


class Export(Printed):
    """What was exported."""

    target: str = Field(description="The format: litert, litert-int8, onnx, saved-model, web or c.")
    file: str = Field(description="The file; of saved-model its folder.")
    bytes: Count = Field(description="Size of the file; of saved-model of saved_model.pb.")
    sha256: Digest = Field(description="SHA-256 of its bytes; those of web and c are the same on every machine.")
    model_digest: Digest = Field(description="Digest of the model in it.")
    written: bool = Field(description="Whether it was written; else it was up to date.")
    verified: Verified | None = Field(description="Null if no runtime for the format is installed.")


class Report(Printed):
    """What was written."""

    file: str = Field(description="The page's file.")
    bytes: Count = Field(description="Its size.")
    sha256: Digest = Field(description="SHA-256 of its bytes; equal artifacts give an equal page.")
    accuracy: Share = Field(description="Accuracy on the evaluated split.")


class Lesson(Printed):
    """The page, and the model that its examples train."""

    file: str = Field(description="The page's file.")
    bytes: Count = Field(description="Its size.")
    sha256: Digest = Field(description="SHA-256 of its bytes; equal artifacts give an equal page.")
    train: Count = Field(description="Training examples in the page.")
    test: Count = Field(description="Test examples in the page.")
    model_digest: Digest = Field(description="Digest of W and b after training on them; the page computes the same.")
    accuracy: Share = Field(description="Accuracy of that model on the test examples.")
