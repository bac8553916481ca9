"""`mnist plot features N`: an image on its way through the model's map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.maps.trace import trace
from mnist_cli.stages.features import FeaturesSettings, compute_features
from tests.support.command_line import mnist
from tests.support.data import write_small_store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a store and a model of scattering that knows nothing."""
    (tmp_path / "artifacts/preprocess").mkdir(parents=True)
    (tmp_path / "artifacts/train").mkdir()
    store = write_small_store(tmp_path / "artifacts/preprocess/store.h5")
    compute_features(store, tmp_path / "artifacts/features", FeaturesSettings(map="scat1", deskew=True))
    made = open_store(tmp_path / "artifacts/features/store.h5")
    feature_map = made.feature_map
    assert feature_map is not None
    classes = len(made.classes)
    model = Model(
        np.zeros((len(feature_map), classes)),
        np.zeros(classes),
        made.classes,
        1,
        0,
        "",
        (28, 28),
        feature_map=feature_map,
    )
    save_model(tmp_path / "artifacts/train/model.h5", model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_last_steps_of_the_branches_become_the_bytes(folder: Path) -> None:
    feature_map = load_model(folder / "artifacts/train/model.h5").feature_map
    assert feature_map is not None
    image = open_store(folder / "artifacts/preprocess/store.h5").test.inputs[0].reshape(28, 28)
    steps = trace(feature_map, image)
    assert np.array_equal(steps[0].maps[0], image)
    assert [step.op for step in steps if step.branch == (2,)] == ["conv", "modulus", "pool"]
    ends = [steps[index] for index in (2, 5, 9)]
    assert [end.maps.shape for end in ends] == [(1, 7, 7), (8, 7, 7), (8, 7, 7)]
    features = np.concatenate([end.maps.ravel() for end in ends])[np.newaxis]
    assert np.array_equal(feature_map.quantiser.bytes_of(features), feature_map.rows(image[np.newaxis]))


def test_it_is_drawn_into_a_file_and_in_the_terminal(folder: Path) -> None:
    done = mnist("plot", "features", "3", "--json")
    assert json.loads(done.out) == {"plot": "features", "file": "artifacts/plots/features.png"}
    with Image.open(folder / "artifacts/plots/features.png") as image:
        image.load()
        assert min(image.size) > 500
    shown = mnist("plot", "features", "3", "--show").out
    assert "branch 2: modulus, 8 maps" in shown


def test_it_needs_the_number_of_an_image_and_a_map(folder: Path) -> None:
    assert "expected an image's number" in mnist("plot", "features", code=2).err
    assert "expected a number with features only" in mnist("plot", "weights", "3", code=2).err
    assert "received 100,000" in mnist("plot", "features", "100000", code=2).err
    model = Model(np.zeros((784, 10)), np.zeros(10), tuple("0123456789"), 1, 0, "", (28, 28))
    save_model(folder / "artifacts/train/model.h5", model)
    assert "the model has no feature map" in mnist("plot", "features", "3", code=2).err
