"""Small lesson data for tests: a run on blurred bars, and what the product's loop makes of the lesson's examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.datasets import Dataset
from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import score
from mnist_cli.formats.store import Store, open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from mnist_cli.lesson.examples import Examples, choose_examples
from mnist_cli.lesson.page import LessonData
from mnist_cli.lesson.training import Reference
from mnist_cli.maps.order import rows_at
from mnist_cli.recipes import Recipe
from tests.support import exact
from tests.support.report_data import noisy_examples

STEPS = 150  # of the trainings of the tests: the 1,000 of a lesson take them half a minute
DIGITS = tuple("0123456789")
ORIGIN = Dataset("bars", {}, (), DIGITS, title="bars in noise", licence="CC0", source="https://example.org/")


def make_store(
    folder: Path,
    *,
    classes: tuple[str, ...] = DIGITS,
    shape: tuple[int, int] = (28, 28),
    counts: tuple[int, int] = (300, 120),
) -> Store:
    """Write a store of bars in noise, without validation; the same arguments give the same bytes."""
    sizes = {"train": counts[0], "validation": 0, "test": counts[1]}
    with write_store(folder / "store.h5", sizes, shape[0] * shape[1]) as writer:
        for seed, (split, count) in enumerate(sizes.items()):
            if count:
                writer.append(split, *noisy_examples(count, seed, shape, len(classes)))
        facts = StoreFacts(dataset="bars", split_rule="made up", image_shape=shape, classes=classes, sources={})
        writer.describe(facts)
    return open_store(folder / "store.h5")


def quick_order(seed: int, count: int, batch: int, steps: int) -> npt.NDArray[np.int32]:
    """Return the rows of each step as the product does, which has its own test; row by row they take half a minute."""
    return rows_at(seed, 0, steps * batch, count).reshape(steps, batch)


def trained(examples: Examples, **options: Any) -> exact.Trained:
    """Train as the page does, by the independent program of the tests."""
    settings: dict[str, Any] = {"steps": STEPS, "batch": 100, "seed": 0, "classes": len(examples.classes)}
    settings["order"] = quick_order
    return exact.train(examples.train.inputs, examples.train.labels, **(settings | options))


def make_lesson_data(
    folder: Path, *, steps: int = STEPS, beyond: Mapping[str, Recipe] | None = None, **of_store: Any
) -> LessonData:
    """Return what a lesson is made from, without TensorFlow; the same arguments give the same data."""
    store = make_store(folder, **of_store)
    examples = choose_examples(store)
    result = trained(examples, steps=steps)
    weights, bias = result.weights / 2**24, result.bias / 2**24
    model = Model(weights, bias, store.classes, steps, 0, "ab" * 32, examples.shape)
    reference = Reference(model, score(weights, bias, examples.test.inputs, examples.test.labels))
    pixels = store.image_shape[0] * store.image_shape[1]
    of_run = np.rint(np.random.default_rng(3).normal(0, 0.3, (pixels, len(store.classes))) * 2**24) / 2**24
    run = Model(
        of_run, np.linspace(-0.2, 0.2, len(store.classes)), store.classes, 7, 0, store.digest, store.image_shape
    )
    metrics = {"accuracy": 0.9154, "examples": 120}
    return LessonData(examples, reference, store, run, metrics, ORIGIN, beyond or {})
