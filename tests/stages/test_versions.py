"""A stage that computes something else needs another version: what a tiny run gives is pinned here, version by version.

When one of these fails and the change is meant, bump the stage's version in its declaration and pin the new values; for
other synthetic digits bump GENERATOR in mnist_cli/datasets instead, as MNIST's files stay what they are. Otherwise
artifacts made by the old code would pass as fresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnist_cli
from mnist_cli.formats.model import Model, save_model
from mnist_cli.sources.synthetic import Split, write_splits
from mnist_cli.stages import PIPELINE
from tests.support import stages
from tests.support.data import write_tiny_dataset

Value = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    write_tiny_dataset(folder)
    stages.preprocess(folder, folder, validation_size=10)
    return folder / "store.h5"


def fetched(folder: Path, _store: Path) -> Value:
    write_splits(folder, (Split("train", 0, 30), Split("test", 30, 10)), seed=1)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return {"synthetic files": digest.hexdigest()}


def preprocessed(_folder: Path, store: Path) -> Value:
    return {"store": mnist_cli.open_store(store).digest, "bytes": hashlib.sha256(store.read_bytes()).hexdigest()}


def trained(folder: Path, store: Path) -> Value:
    result = stages.train(store, folder, steps=20, batch_size=7, validate_every=10, seed=3)
    model = mnist_cli.load_model(folder / "model.h5")
    history = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        # Rounded by `approx` below: the last bits are the processor's business.
        "loss": result.loss,
        "weights": float(np.abs(model.weights).sum()),
        "bias": [float(value) for value in model.bias],
        "records": len(history),
    }


def evaluated(folder: Path, store: Path) -> Value:
    random = np.random.default_rng(5)
    weights = random.normal(size=(784, 10)).astype(np.float32)
    model = Model(
        weights, np.zeros(10, np.float32), tuple("0123456789"), 1, 0, mnist_cli.open_store(store).digest, (28, 28)
    )
    save_model(folder / "model.h5", model)
    result = stages.evaluate(folder / "model.h5", store, folder)
    return {"correct": result.correct, "interval": list(result.accuracy_interval), "loss": result.cross_entropy}


RUNS: dict[str, Callable[[Path, Path], Value]] = {
    "fetch": fetched,
    "preprocess": preprocessed,
    "train": trained,
    "eval": evaluated,
}
PINNED: dict[tuple[str, int], Value] = {
    ("eval", 1): {"correct": 3, "interval": [0.05236874589621659, 0.36041886474075696], "loss": 9.64978532469968},
    ("fetch", 1): {"synthetic files": "2b7e87cd6552b86de8d0c165aade645d50c2bf72cec6384d87c87b11a087abdf"},
    ("preprocess", 2): {
        "bytes": "73f87d66551d275d1ea1c8255e97090943a2e8b17b178fa2633c7744057aa2e7",
        "store": "f8e076b97e2c6adcad39affc4361c90fcf8cf6b7293efb2f4610db2ca8c960e5",
    },
    ("train", 4): {
        "bias": [
            -0.026391522958874702,
            -0.010430904105305672,
            0.016921233385801315,
            -0.014451922848820686,
            -0.014152138493955135,
            0.003141538007184863,
            0.026759985834360123,
            -0.017064260318875313,
            0.007495319936424494,
            0.02817264199256897,
        ],
        "loss": 0.029839403554797174,
        "records": 2,
        "weights": 156.804443359375,
    },
}


@pytest.mark.parametrize("stage", PIPELINE.stages)
def test_a_stage_gives_what_its_version_gave(stage: str, store: Path, tmp_path: Path) -> None:
    version = PIPELINE.stages[stage].version
    assert (stage, version) in PINNED, f"pin what version {version} of {stage} gives"
    values = RUNS[stage](tmp_path, store)
    for name, pinned in PINNED[stage, version].items():
        expected = pinned if isinstance(pinned, str) else pytest.approx(pinned, rel=1e-4, abs=1e-6)
        assert values[name] == expected, f"{stage}: {name} changed; is it a new version?"
    assert values.keys() == PINNED[stage, version].keys()
