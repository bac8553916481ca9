"""The fourth stage: how good the model is on one split. NumPy only, every example counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mnist_cli import files
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.formats.model import Model, load_model
from mnist_cli.formats.scoring import score, wilson_interval
from mnist_cli.formats.store import SPLITS, Store, open_store
from mnist_cli.progress import SILENT, Progress
from mnist_cli.text import printable

METRICS_NAME = "metrics.json"
SCHEMA = "mnist-metrics/1"


@dataclass(frozen=True)
class ClassMetrics:
    """How one class fares; a ratio whose denominator is zero is None.

    Attributes:
        name: its name.
        precision: of the examples predicted to be of this class, the share that is.
        recall: of the examples of this class, the share predicted to be.
        f1: harmonic mean of the two: 2·true positives / (predicted + support).
        support: examples of this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class EvalResult:
    """What `metrics.json` holds.

    Attributes:
        split: what was measured on.
        examples, correct: how many there are, and how many were predicted right.
        accuracy: correct / examples.
        accuracy_interval: low and high end of its 95 % interval (Wilson).
        cross_entropy: mean −ln p(true label), in nats.
        macro: mean `precision`, `recall` and `f1` over the classes where each is defined.
        classes: one entry for each class, by label.
        confusion: examples by [true label][predicted label].
        model_digest, model_step, store_digest: what was measured.
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
    *,
    split: Literal["test", "validation", "train"] = "test",
    progress: Progress = SILENT,
) -> EvalResult:
    """Measure a model on one split of a store and write `metrics.json` into `folder`.

    Args:
        model: the model file.
        store: the store.
        folder: where the metrics go; made when it is not there.
        split: what to measure on.
        progress: hears how many images are done.

    Raises:
        InputError: a file is missing or damaged, the split is empty, or model and store do not fit.
        ConfigError: there is no such split.
        OSError: the metrics cannot be written.
    """
    if split not in SPLITS:
        expected = ", ".join(SPLITS)
        raise ConfigError([f"eval.split: expected one of {expected}; received '{printable(split)}'"])
    trained, opened = load_model(model), open_store(store)
    examples = getattr(opened, split)
    if not len(examples):
        raise InputError(
            f"{printable(store)}: the {split} split is empty, nothing to measure", hint="choose another with --split"
        )
    _check_fit(trained, opened, Path(store))
    progress.start("eval", len(examples), "images")
    try:
        measured = score(trained.weights, trained.bias, examples.inputs, examples.labels, report=progress.update)
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
    right, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
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
    pixels = store.image_shape[0] * store.image_shape[1]
    if len(model.weights) != pixels:
        expected, received = f"images of {len(model.weights)} pixels", f"{pixels}"
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
    return fmean(defined) if defined else None
