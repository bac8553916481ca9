"""The stage `eval`: measures the model on one split. It uses NumPy only and counts every example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import number, one_of, optional
from mnist_cli.errors import GateFailed, InputError
from mnist_cli.maps import PIXELS
from mnist_cli.progress import SILENT, Progress
from mnist_cli.stages.stage import EVALUATION, MODEL, STORE, Job, Outcome, Stage
from mnist_cli.text import percent, plural, printable, short

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.model import Model
    from mnist_cli.formats.store import Store

METRICS_NAME = "metrics.json"
SCHEMA = "mnist-metrics/1"


@dataclass(frozen=True, kw_only=True)
class EvalSettings(Section):
    """Measure the model."""

    section = "eval"

    split: Literal["test", "validation", "train"] = parameter(
        "test",
        one_of(("test", "validation", "train"), metavar="SPLIT"),
        "Split to evaluate: test, validation or train",
        option="--split",
    )
    min_accuracy: float | None = parameter(
        None,
        optional(number(low=0, high=1, metavar="FRACTION")),
        "Exit with code 6 if the accuracy is below this fraction",
        option="--min-accuracy",
        counts=False,
    )


@dataclass(frozen=True)
class ClassMetrics:
    """The metrics of one class; a ratio is None if its denominator is zero.

    Attributes:
        name: name of the class.
        precision: share of the examples predicted as this class that belong to it.
        recall: share of the examples of this class that were predicted as it.
        f1: harmonic mean of precision and recall: 2·true positives / (predicted + support).
        support: examples of this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class EvalResult:
    """The content of `metrics.json`.

    Attributes:
        split: the split that was measured.
        examples, correct: number of examples, and of those predicted correctly.
        accuracy: correct / examples.
        accuracy_interval: low and high end of the accuracy's 95 % interval (Wilson).
        cross_entropy: mean −ln p(true label), in nats.
        macro: mean `precision`, `recall` and `f1` over the classes where each is defined.
        classes: one entry for each class, by label.
        confusion: examples by [true label][predicted label].
        model_digest, model_step, store_digest: the model and the store that were measured.
    """

    split: str
    examples: int
    correct: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    cross_entropy: float
    macro: dict[str, float | None]
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    model_digest: str
    model_step: int
    store_digest: str

    def document(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        return {"schema": SCHEMA, **asdict(self)}


def evaluate(
    model: Path | str,
    store: Path | str,
    folder: Path | str,
    settings: EvalSettings | None = None,
    *,
    progress: Progress = SILENT,
) -> EvalResult:
    """Measure a model on one split of a store and write `metrics.json` into `folder`.

    Args:
        model: the model file.
        store: the store.
        folder: folder for the metrics; created if missing.
        settings: the split to measure on; `min_accuracy` is ignored here.
        progress: progress callback.

    Raises:
        InputError: a file is missing or damaged, the split is empty, or model and store do not fit together.
        OSError: the metrics cannot be written.
    """
    from mnist_cli import files
    from mnist_cli.formats.model import load_model
    from mnist_cli.formats.scoring import score, wilson_interval
    from mnist_cli.formats.store import open_store

    split = (settings or EvalSettings()).split
    trained, opened = load_model(model), open_store(store)
    examples = getattr(opened, split)
    if not len(examples):
        raise InputError(f"{printable(store)}: the {split} split is empty", hint="choose another split with --split")
    _check_fit(trained, opened, Path(store))
    progress.start("eval", len(examples), "images")
    try:
        measured = score(
            trained.weights,
            trained.bias,
            examples.inputs,
            examples.labels,
            opened.zero,
            opened.step,
            report=progress.update,
        )
    finally:
        progress.finish()
    classes = class_metrics(measured.confusion, trained.classes)
    result = EvalResult(
        split=split,
        examples=measured.examples,
        correct=measured.correct,
        accuracy=measured.accuracy,
        accuracy_interval=wilson_interval(measured.correct, measured.examples),
        cross_entropy=measured.cross_entropy,
        macro={name: _mean([getattr(entry, name) for entry in classes]) for name in ("precision", "recall", "f1")},
        classes=classes,
        confusion=tuple(tuple(row) for row in measured.confusion.tolist()),
        model_digest=trained.digest,
        model_step=trained.step,
        store_digest=opened.digest,
    )
    target = Path(folder) / METRICS_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(target, result.document())
    return result


def class_metrics(confusion: npt.NDArray[np.int64], names: tuple[str, ...]) -> tuple[ClassMetrics, ...]:
    """Return precision, recall and F1 of each class.

    Args:
        confusion: int64 [K, K], examples by [true label][predicted label].
        names: the K classes.
    """
    right, support, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassMetrics(
            name=name,
            precision=_ratio(right[label], predicted[label]),
            recall=_ratio(right[label], support[label]),
            f1=_ratio(2 * right[label], predicted[label] + support[label]),
            support=int(support[label]),
        )
        for label, name in enumerate(names)
    )


def _check_fit(model: Model, store: Store, path: Path) -> None:
    trained, given = (one.feature_map for one in (model, store))
    if (trained and trained.digest) != (given and given.digest):
        expected, received = (f"features of {one}" if one else PIXELS for one in (trained, given))
    elif model.pixels != store.pixels:  # older models do not record the shape of their images
        expected, received = f"images of {model.pixels} pixels", f"{store.pixels}"
    elif model.classes != store.classes:
        expected, received = f"classes {printable(list(model.classes), 100)}", printable(list(store.classes), 100)
    else:
        return
    raise InputError(
        f"{printable(path)}: the model was trained on other data\nexpected {expected}; received {received}",
        hint="run 'mnist train'",
    )


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return int(part) / int(whole) if whole else None


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    from statistics import fmean  # 10 ms that no other command needs

    return fmean(defined) if defined else None


def _run(job: Job) -> Outcome:
    result = evaluate(job.input(MODEL), job.input(STORE), job.new, job.config.of(EvalSettings), progress=job.progress)
    metrics = {
        "split": result.split,
        "examples": result.examples,
        "correct": result.correct,
        "accuracy": result.accuracy,
        "accuracy_interval": list(result.accuracy_interval),
        "cross_entropy": result.cross_entropy,
        "model_digest": result.model_digest,
    }
    return Outcome(metrics, inputs={STORE: [result.store_digest]})


def _summary(metrics: Mapping[str, Any]) -> str:
    accuracy, loss = percent(metrics["accuracy"]), short(metrics["cross_entropy"])
    return f"{metrics['split']} accuracy {accuracy}, cross-entropy {loss}"


def accuracy_sentence(metrics: Mapping[str, Any]) -> str:
    """Return a sentence with the accuracy, its 95 % interval and its counts."""
    low, high = metrics["accuracy_interval"]
    return (
        f"{metrics['split']} accuracy {percent(metrics['accuracy'])} "
        f"({metrics['correct']:,} of {plural(metrics['examples'], 'image')}; "
        f"95 % interval {percent(low)} to {percent(high)})"
    )


def check_gate(config: Config, metrics: Mapping[str, Any]) -> None:
    """Compare the measured accuracy to `eval.min_accuracy`, if that is set; an equal accuracy passes.

    Raises:
        GateFailed: the accuracy is lower.
    """
    minimum = config.of(EvalSettings).min_accuracy
    accuracy, (low, high) = metrics["accuracy"], metrics["accuracy_interval"]
    if minimum is not None and accuracy < minimum:
        raise GateFailed(
            f"the accuracy is too low: expected at least {minimum:g}; "
            f"received {accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
        )


EVALUATE = Stage(
    settings=EvalSettings,
    version=2,
    inputs=(MODEL, STORE),
    outputs={METRICS_NAME: EVALUATION},
    run=_run,
    help="""Measure the model: its accuracy, with a 95 % interval.

    metrics.json holds the accuracy with its 95 % interval, the cross-entropy, precision, recall and F1 of each class
    and the confusion matrix. --run measures a kept run instead and adds the result to its record.

    Example: mnist eval --split test --min-accuracy 0.91
    """,
    summary=_summary,
    takes=frozenset({"run"}),
    conclusion=accuracy_sentence,
    gate=check_gate,
)
