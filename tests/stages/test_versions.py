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

Value = dict[str, str]

# Every operation that scat2 lacks, and exemplars.
_OWN = """\
program:
  - conv: {kernels: differences, shift: 0}
  - relu2
  - pool: {box: 4, shift: 8}
exemplars: {directions: 20, count: 30}
"""


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


def featured(folder: Path, store: Path) -> Value:
    own = folder / "own.yaml"
    own.write_text(_OWN, encoding="utf-8")
    more: dict[str, Any] = {"deskew": True, "copies": 1, "seed": 2**40 + 1, "warp": 0.7}
    scattering = stages.features(store, folder / "scat2", map="scat2")
    nearness = stages.features(store, folder / "own", map=str(own), **more)
    return {
        "scat2, map": scattering.map_digest,
        "exemplars, map": nearness.map_digest,
        "scat2": hashlib.sha256((folder / "scat2" / "store.h5").read_bytes()).hexdigest(),
        "exemplars": hashlib.sha256((folder / "own" / "store.h5").read_bytes()).hexdigest(),
    }


def trained(folder: Path, store: Path) -> Value:
    result = stages.train(store, folder, steps=20, batch_size=7, validate_every=10, seed=3)
    history = hashlib.sha256((folder / "history.jsonl").read_bytes())
    return {"model": result.model_digest, "history": history.hexdigest()}


def evaluated(folder: Path, store: Path) -> Value:
    weights = np.random.default_rng(5).integers(-(2**25), 2**25, (784, 10)).astype(float) / 2**24
    model = Model(weights, np.zeros(10), tuple("0123456789"), 1, 0, mnist_cli.open_store(store).digest, (28, 28))
    save_model(folder / "model.h5", model)
    stages.evaluate(folder / "model.h5", store, folder)
    return {"metrics": hashlib.sha256((folder / "metrics.json").read_bytes()).hexdigest()}


RUNS: dict[str, Callable[[Path, Path], Value]] = {
    "fetch": fetched,
    "preprocess": preprocessed,
    "features": featured,
    "train": trained,
    "eval": evaluated,
}
PINNED: dict[tuple[str, int], Value] = {
    ("eval", 2): {"metrics": "42b60fb354215cc9ec390a41c2a5bff3e3810a41dc7f1361a034a5488acaafe8"},
    ("features", 1): {
        "scat2": "d307aa2dcec846dc4065dba2936c9e0dd165a48e2d45ce4ac135b6b8c836a923",
        "scat2, map": "def18188c1d486faaa5fd41e6fffc3eea13e0da4581f42bd1c1622d7bdd47cde",
        "exemplars": "b0a9d396314d2d53eaa2ded1af2d04573ba62dede0035d293940291fd188fc66",
        "exemplars, map": "0eedb6cd0f9fde0785967294fab4f3b729f91a4d5ad51103ed1b1c1028a48dbe",
    },
    ("fetch", 2): {"synthetic files": "2b7e87cd6552b86de8d0c165aade645d50c2bf72cec6384d87c87b11a087abdf"},
    ("preprocess", 2): {
        "bytes": "17ee6f0edf8970db710fae1e169ac5c7a1add1ae1c24d861a09dcabfbe145a6f",
        "store": "7a4ef7e547d9fca48d3020bffe4196654334233cb73a3614655134b34d338b5d",
    },
    ("train", 5): {
        "history": "925c983f4c06c8ce81abbb954d73a58be6e72c269cf39985171f5589a6b86588",
        "model": "aa7afc8266e369e61104c47a23bb2f7ff147c13868d1ded614bc20a954671518",
    },
}


@pytest.mark.parametrize("stage", PIPELINE.stages)
def test_a_stage_gives_what_its_version_gave(stage: str, store: Path, tmp_path: Path) -> None:
    version = PIPELINE.stages[stage].version
    assert (stage, version) in PINNED, f"pin what version {version} of {stage} gives"
    values = RUNS[stage](tmp_path, store)
    assert values == PINNED[stage, version], f"what {stage} gives changed; is it a new version?"
