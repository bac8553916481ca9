"""Whole runs with features, trained for real: every command uses the model from model.h5 alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mnist_cli
from mnist_cli.formats.model import score_blocks
from mnist_cli.formats.scoring import score
from mnist_cli.formats.store import open_store
from tests.support.command_line import mnist
from tests.support.finished import enter_copy, new_project

GRADIENTS = ("--set", "features.map=grad8", "--set", "features.deskew=true")
A = Path("artifacts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on pixels and a run on gradients, the second published and locked."""
    folder = tmp_path_factory.mktemp("trained")
    with new_project(folder):
        mnist("run", "--quiet")
        mnist("run", "--quiet", *GRADIENTS)
        mnist("lock", "--quiet", *GRADIENTS)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    return enter_copy(trained, tmp_path / "copy", monkeypatch)


@pytest.mark.usefixtures("here")
def test_pixels_through_the_models_map_give_the_logits_of_the_features_store() -> None:
    model = mnist_cli.load_model(A / "train/model.h5")
    images, rows = open_store(A / "preprocess/store.h5").test, open_store(A / "features/store.h5").test
    assert np.array_equal(model.rows(images.inputs), rows.inputs)
    stored = np.concatenate([block for _, block in score_blocks(model.weights, model.bias, rows.inputs, 80, 32)])
    assert np.array_equal(model.logits(images.inputs), stored * 2.0**-24 / 32)
    assert np.array_equal(model.logits(images.images), model.logits(images.inputs)), "float32 too"
    assert np.array_equal(model.logits(images.inputs[3].reshape(28, 28))[0], model.logits(images.inputs)[3])
    measured = json.loads((A / "eval/metrics.json").read_bytes())
    found = score(model.weights, model.bias, model.rows(images.inputs), images.labels, model.zero, model.input_step)
    assert (measured["accuracy"], measured["cross_entropy"]) == (found.accuracy, found.cross_entropy)
    assert measured["confusion"] == found.confusion.tolist()


@pytest.mark.usefixtures("here")
def test_a_model_carries_its_map() -> None:
    model = mnist_cli.load_model(A / "train/model.h5")
    store = open_store(A / "features/store.h5")
    assert model.feature_map is not None
    assert store.feature_map is not None
    assert model.feature_map.digest == store.feature_map.digest
    assert model.weights.shape == (392, 10)
    assert model.shape == (28, 28)
    assert repr(model).startswith("Model(grad8: 392 → 10, step 40, digest ")
    shutil.rmtree(A / "features")
    shutil.rmtree(A / "preprocess")
    assert mnist_cli.load_model(A / "train/model.h5").predict(np.zeros((28, 28), np.uint8)).shape == (1,)


@pytest.mark.usefixtures("here")
def test_a_run_on_pixels_and_one_on_features_are_compared_on_their_predictions() -> None:
    document = mnist("diff", "previous", "latest", "--json").document
    changed = {each["name"]: (each["first"], each["second"]) for each in document["differences"]}
    assert changed["features.map"] == (None, "grad8")
    test = document["paired_test"]
    images = open_store(A / "preprocess/store.h5").test
    right = []
    for run in mnist("runs", "list", "--json").document["runs"]:
        model = mnist_cli.load_model(A / "runs" / run["id"] / "model.h5")
        right.append(model.predict(images.inputs) == images.labels)
    one, other = (int((right[i] & ~right[1 - i]).sum()) for i in (0, 1))
    assert {test["b"], test["c"]} == {one, other}
    assert test["examples"] == 20


@pytest.mark.usefixtures("here")
def test_runs_say_which_features_they_had() -> None:
    newest, oldest = mnist("runs", "list", "--json").document["runs"]
    assert newest["parameters"]["features.map"] == "grad8"
    assert newest["parameters"]["features.deskew"] is True
    assert "features.map" not in oldest["parameters"]
    assert "grad8" in mnist("runs", "list").out
    assert "features.map" in mnist("runs", "show", "latest").out


@pytest.mark.usefixtures("here")
def test_what_is_promised_holds_and_an_edit_is_noticed() -> None:
    lock = Path("pipeline.lock").read_text(encoding="utf-8")
    assert "features" in lock
    assert "grad8" in lock
    assert "nothing to do" in mnist("run", "--frozen", *GRADIENTS).out
    mnist("run", "--frozen", "--set", "features.map=grad8", "--set", "features.copies=1", code=4)
    shutil.rmtree(A)
    mnist("run", "--frozen", "--quiet", *GRADIENTS)
    mnist("verify", *GRADIENTS)


@pytest.mark.usefixtures("here")
def test_damaged_features_are_found_and_repaired() -> None:
    path = A / "features/store.h5"
    whole = path.read_bytes()
    row = open_store(path).train.inputs[5].tobytes()
    damaged = bytearray(whole)
    damaged[whole.index(row) + 7] ^= 4
    path.write_bytes(damaged)
    found = mnist("verify", *GRADIENTS, code=6)
    assert "features/store.h5" in found.out + found.err
    mnist("verify", "--repair", *GRADIENTS)
    assert path.read_bytes() == whole
    mnist("verify", *GRADIENTS)


@pytest.mark.usefixtures("here")
def test_lost_features_are_made_again_with_the_same_bytes() -> None:
    whole = (A / "features/store.h5").read_bytes()
    (A / "features/store.h5").unlink()
    mnist("run", *GRADIENTS)
    assert not (A / "features/store.h5").exists(), "as long as everything is fresh, nobody needs them"
    mnist("run", *GRADIENTS, "--split", "validation")
    assert (A / "features/store.h5").read_bytes() == whole


@pytest.mark.usefixtures("here")
def test_training_on_damaged_features_is_refused() -> None:
    path = A / "features/store.h5"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(open_store(path).train.inputs[5].tobytes()) + 7] ^= 4
    path.write_bytes(damaged)
    result = mnist("train", *GRADIENTS, "--steps", "41", code=5)
    assert "'train' needs 'features', which is corrupt: store.h5" in result.err


@pytest.mark.usefixtures("here")
def test_a_sweep_goes_over_maps_and_deskewing() -> None:
    settings = ("--set", "features.map=grad8,scat1", "--set", "features.deskew=false,true", "--steps", "10")
    document = mnist("sweep", *settings, "--json").document
    points = [tuple(point["settings"].values()) for point in document["points"]]
    assert sorted(points) == [("grad8", False), ("grad8", True), ("scat1", False), ("scat1", True)]
    assert len({point["model_digest"] for point in document["points"]}) == 4


@pytest.mark.usefixtures("here")
def test_back_to_pixels_and_forth_again_nothing_but_training_runs() -> None:
    assert "features" not in mnist("run").out
    out = mnist("run", *GRADIENTS).out
    assert "features    fresh" in out


@pytest.mark.usefixtures("here")
def test_the_documents_of_the_stage_say_what_was_made() -> None:
    document = mnist("features", *GRADIENTS, "--json").document
    metrics = document["stages"][-1]["metrics"] if "stages" in document else document["metrics"]
    assert (metrics["map"], metrics["features"], metrics["train"]) == ("grad8", 392, 40)
    assert "grad8: 392 features of 80 images" in mnist("features", *GRADIENTS).out
