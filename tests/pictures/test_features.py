"""Predictions and evidence of a model with a feature map, from its file alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnist_cli
from mnist_cli.formats.model import Model, save_model
from mnist_cli.pictures.predicting import evidence
from mnist_cli.pictures.terminal import Screen
from tests.support.command_line import mnist
from tests.support.data import write_small_store
from tests.support.feature_maps import drawn_lines, made_map


def random_model(name: str, *, exemplars: int = 0) -> Model:
    made = made_map(name, deskew=True, exemplars=exemplars)
    random = np.random.default_rng(3)
    weights, bias = (
        random.integers(-(2**22), 2**22, shape).astype(np.float64) / 2**24 for shape in ((len(made), 10), (10,))
    )
    return Model(weights, bias, tuple("0123456789"), 1, 0, "", made.shape, feature_map=made)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a store of images and a model with a feature map; there is no store of features."""
    for name in ("preprocess", "train"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
    write_small_store(tmp_path / "artifacts/preprocess/store.h5")
    save_model(tmp_path / "artifacts/train/model.h5", random_model("scat1"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "exemplars"), [("grad8", 0), ("scat2", 0), ("scat1", 20)])
def test_evidence_by_input_cell_and_map_adds_up_to_the_logit_exactly(name: str, exemplars: int) -> None:
    model = random_model(name, exemplars=exemplars)
    for image in drawn_lines(5, model.shape):
        for label, logit in enumerate(model.logits(image)[0]):
            terms = evidence(model, image.ravel(), label)
            assert terms.sum() + model.bias[label] == logit
            by_map = model.layout.by_map(terms)
            assert sum(sums.sum() for _, sums in by_map) + model.bias[label] == logit
            rest = by_map[-1][1].sum() if exemplars else 0
            assert model.layout.cells(terms).sum() + rest + model.bias[label] == logit


def test_an_explanation_adds_up_to_the_logit_and_has_the_image_that_is_seen(folder: Path) -> None:
    model = mnist_cli.load_model("artifacts/train/model.h5")
    (told,) = mnist("predict", "--index", "3", "--explain", "--json").documents
    image = np.array(told["image"], np.uint8)
    logit = model.logits(image)[0, told["prediction"]]
    assert np.shape(told["evidence"]) == (7, 7)
    assert np.sum(told["evidence"]) + told["bias"] == logit
    assert sum(map(sum, (part["evidence"] for part in told["evidence_by_map"]))) + told["bias"] == logit
    assert [len(part["evidence"]) for part in told["evidence_by_map"]] == [1, 8, 8]
    assert told["seen"] == model.seen(image).tolist() != told["image"]


def test_of_pixels_an_explanation_is_as_ever(folder: Path) -> None:
    model = Model(np.ones((784, 10)), np.zeros(10), tuple("0123456789"), 1, 0, "", (28, 28))
    save_model(folder / "artifacts/train/model.h5", model)
    (told,) = mnist("predict", "--index", "3", "--explain", "--json").documents
    assert np.shape(told["evidence"]) == (28, 28)
    assert told.keys().isdisjoint({"evidence_by_map", "seen"})


def test_an_explanation_in_the_terminal_tells_of_each_part(folder: Path) -> None:
    text = mnist("predict", "--index", "3", "--explain").out
    total, *parts = text.splitlines()[-4:]
    assert [part.split("from ")[1] for part in parts] == [
        "pool",
        "conv → modulus → pool",
        "pool → conv → modulus → pool",
    ]
    bias, together = (float(total.split(f"{name}: ")[1].split()[0]) for name in ("bias", "together"))
    assert sum(float(part.split()[0]) for part in parts) + bias == pytest.approx(together, abs=0.03)


def test_show_computes_features_of_the_stored_image(folder: Path) -> None:
    model = mnist_cli.load_model("artifacts/train/model.h5")
    told = mnist("show", "3", "--json").document
    assert told["probabilities"] == model.probabilities(np.array(told["image"], np.uint8))[0].tolist()


def test_the_terminal_leaves_lines_between_grids_black_and_never_shrinks_them_away(folder: Path) -> None:
    layout = mnist_cli.load_model("artifacts/train/model.h5").layout
    values = np.ones(833)
    drawn = Screen(80, in_colour=True).weights(layout.picture(values, 80), 1.0)
    assert drawn.width == 63
    assert drawn.lines[3].startswith("\x1b[38;2;46;114;224;48;2;0;0;0m"), "the seventh row is ink, the eighth a line"
    narrow = Screen(80, in_colour=False)
    assert narrow.weights(layout.picture(values, narrow.widest), 1.0).lines[0] == "++" * 7 + "  " * 24
