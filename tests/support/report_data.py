"""Small report data for tests: a store, a model that learned a little, its metrics and its history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.store import SPLITS, Store, open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from mnist_cli.maps.feature_map import FeatureMap
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


def features_of(store: Store, feature_map: FeatureMap, path: Path) -> Store:
    """Write a store of the features of another one's images."""
    splits = {name: getattr(store, name) for name in SPLITS}
    with write_store(path, {name: len(split) for name, split in splits.items()}, len(feature_map)) as writer:
        for name, split in splits.items():
            writer.append(name, feature_map.rows(split.inputs), split.labels)
        facts = StoreFacts(
            dataset=store.dataset,
            split_rule=store.split_rule,
            image_shape=store.image_shape,
            classes=store.classes,
            sources={},
            feature_map=feature_map,
        )
        writer.describe(facts)
    return open_store(path)


def make_report_data(
    folder: Path,
    *,
    classes: tuple[str, ...] = DIGITS,
    shape: tuple[int, int] = (28, 28),
    dataset: str = "small",
    provenance: Provenance = PROVENANCE,
    feature_map: FeatureMap | None = None,
) -> ReportData:
    """Write a store, a model and its metrics into `folder`; the same arguments give the same data.

    With a feature map there is a store of features too, which the model was trained and measured on.
    """
    counts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    pixels = shape[0] * shape[1]
    with write_store(folder / "store.h5", counts, pixels) as writer:
        for seed, (split, count) in enumerate(counts.items()):
            writer.append(split, *noisy_examples(count, seed, shape, len(classes)))
        writer.describe(
            StoreFacts(dataset=dataset, split_rule="made up", image_shape=shape, classes=classes, sources={})
        )
    store = learned_from = open_store(folder / "store.h5")
    if feature_map:
        learned_from = features_of(store, feature_map, folder / "features.h5")
    # One step of gradient descent from zero, large enough to be sure of something.
    images = (learned_from.train.inputs - float(learned_from.zero)) / learned_from.step
    labels = np.eye(len(classes))[store.train.labels]
    weights = 8 * images.T @ (labels - labels.mean(axis=0)) / TRAIN
    weights += np.random.default_rng(5).normal(0, 0.05, weights.shape)
    bias = np.linspace(-0.2, 0.2, len(classes))
    weights, bias = (np.rint(array * 2**24) / 2**24 for array in (weights, bias))
    model = Model(weights, bias, classes, 7, 0, learned_from.digest, shape, feature_map=feature_map)
    save_model(folder / "model.h5", model)
    result = evaluate(folder / "model.h5", learned_from.path, folder / "eval")
    history = tuple(Record(step, 2.3 / step, 2.2 / step, 1 - 1 / (step + 1)) for step in range(1, 8))
    return ReportData(model, store, result.document(), history, provenance)
