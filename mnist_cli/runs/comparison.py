"""Two runs side by side: settings, results, and whether the difference is more than noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mnist_cli.differences import differences
from mnist_cli.errors import InputError, MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.runs.mcnemar import PairedTest, mcnemar
from mnist_cli.runs.runs import Run
from mnist_cli.stages.stage import STORE

TRAINING_METRICS = ("loss", "validation_loss", "validation_accuracy")
EVALUATION_METRICS = ("accuracy", "cross_entropy")
METRICS = (*TRAINING_METRICS, *EVALUATION_METRICS)


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between two runs; None if a run does not have it.

    Attributes:
        kind: parameter, data, runtime or environment.
        name: its name.
        first, second: the two values.
    """

    kind: str
    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of two runs; None if it was not measured.

    Attributes:
        name: one of METRICS.
        first, second: the two values.
    """

    name: str
    first: float | None
    second: float | None

    @property
    def amount(self) -> float | None:
        """The second value minus the first."""
        return None if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        first, second: the runs.
        same_model: whether they have the same weights, to the bit.
        differences: what differed when the runs were made.
        changes: every metric, in the order of METRICS.
        split: the split of accuracy and cross-entropy; None if the runs have no evaluated split in common.
        test: the paired test, or None.
        no_test: why there is no test, or None.
    """

    first: Run
    second: Run
    same_model: bool
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]
    split: str | None
    test: PairedTest | None
    no_test: str | None


def compare(first: Run, second: Run, artifacts: Artifacts) -> Comparison:
    """Compare two runs.

    Accuracy and cross-entropy are compared on a split that both were evaluated on, preferably the test split. The
    paired test uses the same split, or else the validation split, with the two models and the current store.
    """
    split = next((name for name in ("test", "validation", "train") if _evaluated(name, first, second)), None)
    test, no_test = None, None
    try:
        test = _paired_test(first, second, artifacts, split or "validation")
    except (MnistError, OSError) as error:
        no_test = error.message.splitlines()[0] if isinstance(error, MnistError) else str(error)
    return Comparison(
        first=first,
        second=second,
        same_model=first.record.files.get(first.model_file.name) == second.record.files.get(second.model_file.name),
        differences=tuple(_differences(first, second)),
        changes=tuple(Change(name, _metric(first, name, split), _metric(second, name, split)) for name in METRICS),
        split=split,
        test=test,
        no_test=no_test,
    )


def _evaluated(split: str, *runs: Run) -> bool:
    return all(split in run.evaluations for run in runs)


def _metric(run: Run, name: str, split: str | None) -> float | None:
    """Return a measured metric; None if it was not measured or is not a number.

    If the runs have no split in common, the result on the test split is still worth showing.
    """
    if name in TRAINING_METRICS:
        value = run.train.metrics.get(name)
    else:
        evaluation = run.evaluations.get(split or "test")
        value = evaluation.metrics.get(name) if evaluation else None
    return value if isinstance(value, int | float) else None


def _differences(first: Run, second: Run) -> Iterator[Difference]:
    one, other = first.train, second.train
    tables = (
        ("parameter", first.parameters, second.parameters),
        ("data", one.inputs, other.inputs),
        ("runtime", {"train version": one.version, **one.runtime}, {"train version": other.version, **other.runtime}),
        ("environment", one.environment, other.environment),
    )
    seen = set()  # the versions of some packages are in the runtime and in the environment
    for kind, old, new in tables:
        for reason in differences(old, new):
            found = (reason.what, reason.old, reason.new)
            if found not in seen:
                yield Difference(kind, *found)
            seen.add(found)


def _paired_test(first: Run, second: Run, artifacts: Artifacts, split: str) -> PairedTest:
    """Compare the two models' predictions of every example of a split.

    Raises:
        MnistError: they were trained on different images, the store has changed since, or a file is damaged.
    """
    if first.images != second.images:
        raise InputError("the two runs were trained on different data")
    from mnist_cli.formats.model import load_model
    from mnist_cli.formats.store import open_store

    # A model computes its features from the images itself.
    store = open_store(artifacts.path(STORE))
    if store.digest != first.images:
        raise InputError("the store has changed since they were trained")
    examples = getattr(store, split)
    if not len(examples):
        raise InputError(f"the {split} split is empty")
    one, other = load_model(first.model_file), load_model(second.model_file)
    only_first = only_second = 0
    for _, inputs, labels in examples.blocks():
        first_right, second_right = one.predict(inputs) == labels, other.predict(inputs) == labels
        only_first += int((first_right & ~second_right).sum())
        only_second += int((second_right & ~first_right).sum())
    return PairedTest(split, len(examples), only_first, only_second, mcnemar(only_first, only_second))
