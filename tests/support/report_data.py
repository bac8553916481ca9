"""Small report data for tests: a store, a model that learned a little, its metrics and its history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from mnist_cli.report.page import Provenance, ReportData
from tests.support.stages import evaluate

DIGITS = tuple("0123456789")
TEST, TRAIN, VALIDATION = 120, 60, 20
PROVENANCE = Provenance(
    command="mnist run --set=train.steps=7",
    configuration="seed: 0\ntrain:\n  steps: 7",
    digests=(("fetch/images.gz", "ab" * 32), ("train/model.h5", "cd" * 32)),
    runtime=(("tensorflow", "2.21.0"), ("device", "cpu")),
)


def noisy_examples(
    count: int, seed: int, shape: tuple[int, int], classes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return images [count, height · width] and labels; class k is a bright row, often hidden in noise."""
    random = np.random.default_rng([seed, count])
    labels = random.permutation(np.arange(count) % classes).astype(np.uint8)
    images = random.integers(0, 140, (count, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[int(label) * shape[0] // classes] += np.uint8(random.integers(0, 110))
    return images.reshape(count, -1), labels


def make_report_data(
    folder: Path,
    *,
    classes: tuple[str, ...] = DIGITS,
    shape: tuple[int, int] = (28, 28),
    dataset: str = "small",
    provenance: Provenance = PROVENANCE,
) -> ReportData:
    """Write a store, a model and its metrics into `folder`; the same arguments give the same data."""
    counts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    pixels = shape[0] * shape[1]
    with write_store(folder / "store.h5", counts, pixels) as writer:
        for seed, (split, count) in enumerate(counts.items()):
            writer.append(split, *noisy_examples(count, seed, shape, len(classes)))
        writer.describe(
            StoreFacts(dataset=dataset, split_rule="made up", image_shape=shape, classes=classes, sources={})
        )
    store = open_store(folder / "store.h5")
    # One step of gradient descent from zero, large enough to be sure of something.
    images, labels = store.train.inputs / 255, np.eye(len(classes))[store.train.labels]
    weights = 8 * images.T @ (labels - labels.mean(axis=0)) / TRAIN
    weights += np.random.default_rng(5).normal(0, 0.05, weights.shape)
    bias = np.linspace(-0.2, 0.2, len(classes))
    weights, bias = (np.rint(array * 2**24) / 2**24 for array in (weights, bias))
    model = Model(weights, bias, classes, 7, 0, store.digest, shape)
    save_model(folder / "model.h5", model)
    result = evaluate(folder / "model.h5", folder / "store.h5", folder / "eval")
    history = tuple(Record(step, 2.3 / step, 2.2 / step, 1 - 1 / (step + 1)) for step in range(1, 8))
    return ReportData(model, store, result.document(), history, provenance)
