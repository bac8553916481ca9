"""Models to export that nobody has trained: drawn weights behind a map that is fitted to drawn lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_cli.export.about import About
from mnist_cli.export.fingerprints import fingerprints
from mnist_cli.export.target import Answers
from mnist_cli.formats.model import Model
from mnist_cli.maps.feature_map import FeatureMap
from tests.support.feature_maps import drawn_lines, made_map

CLASSES = ("zero", "<one>", 'two "2"', "drei – 3")
SHAPE = (16, 12)

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def drawn_model(name: str = "pixels", shape: tuple[int, int] = SHAPE, *, deskew: bool = True) -> Model:
    """Return a model of four classes with a map of a name."""
    feature_map = None if name == "pixels" else made_map(name, shape, deskew=deskew)
    return model_of(feature_map, shape)


def model_of(feature_map: FeatureMap | None, shape: tuple[int, int]) -> Model:
    """Return a model whose weights are whole numbers in units of 2^-24, below 0.1."""
    inputs = len(feature_map) if feature_map else shape[0] * shape[1]
    random = np.random.default_rng([inputs, *shape])
    weights, bias = (drawn_weights(random, size, 2**20) for size in ((inputs, 4), (4,)))
    return Model(weights, bias, CLASSES, 1, 0, "0" * 64, shape, feature_map=feature_map)


def drawn_weights(random: np.random.Generator, size: tuple[int, ...], below: int) -> Floats:
    """Return whole numbers in units of 2^-24."""
    return random.integers(-below, below, size).astype(np.float64) * 2.0**-24


def like_the_tutorial(model: Model) -> Model:
    """Return the model with ten classes and weights as large as trained ones, for sizes."""
    weights = drawn_weights(np.random.default_rng(0), (len(model.weights), 10), 2**22)
    return replace(model, weights=weights, bias=np.zeros(10), classes=tuple("0123456789"))


def about(model: Model) -> About:
    """Return facts of such a model, with what tries to leave comments, elements and strings."""
    return About(
        model=model.digest,
        features="pixels" if model.feature_map is None else model.feature_map.name,
        dataset="drawn: lines */ </script> \" ' ?",
        licence="CC0",
        accuracy="0.5000 (5 of 10 images, split test)",
        recipe="{}",
        classes=model.classes,
        shape=model.shape,
        zero=model.zero,
        step=model.input_step,
    )


def images_for(model: Model, count: int = 24) -> Bytes:
    """Return lines, noise, an empty and a full image, and one dark point each in two corners."""
    images = drawn_lines(count, model.shape)
    images[2] = 255
    images[3, 0, 0] = images[4, -1, -1] = 1
    return images


def assert_exact(model: Model, images: Bytes, answers: Answers) -> None:
    """Check that features, logits and labels are those of Python, to the bit."""
    rows = model.rows(images.reshape(len(images), -1))
    # In Python's own integers: nothing of what is tested.
    weights = [[int(value * 2**24) for value in row] for row in model.weights.tolist()]
    bias = [int(value * 2**24) * model.input_step for value in model.bias.tolist()]
    logits = [
        [bias[k] + sum((q - model.zero) * weights[d][k] for d, q in enumerate(row)) for k in range(len(bias))]
        for row in rows.tolist()
    ]
    assert answers.features is not None and answers.logits is not None
    assert answers.features.tolist() == fingerprints(rows).tolist()
    assert answers.logits.tolist() == logits
    assert answers.labels.tolist() == [row.index(max(row)) for row in logits]
    assert np.abs(answers.probabilities - model.probabilities(images)).max() < 2e-6
