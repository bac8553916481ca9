"""The facts in every exported file, and the check for models that cannot be exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_cli.datasets import Dataset
from mnist_cli.errors import InputError
from mnist_cli.formats.model import Model
from mnist_cli.maps import PIXELS
from mnist_cli.maps.softmax import UNIT
from mnist_cli.text import printable


@dataclass(frozen=True)
class About:
    """Facts about a model that travel with it.

    Attributes:
        model: digest of W and b.
        features: the feature map and the beginning of its digest, or `pixels`.
        dataset: the data set's name and title.
        licence: licence of the data.
        accuracy: such as `0.9154 (9,154 of 10,000 images, split test)`.
        recipe: the parameters that differ from their defaults, as JSON.
        classes: names of the labels, in order.
        shape: height and width of an image.
        zero, step: the constants of x = (q − zero) / step.
    """

    model: str
    features: str
    dataset: str
    licence: str
    accuracy: str
    recipe: str
    classes: tuple[str, ...]
    shape: tuple[int, int]
    zero: int
    step: int

    def facts(self) -> dict[str, str]:
        """Return the facts as name → text, in the order in which files list them."""
        height, width = self.shape
        return {
            "model": self.model,
            "features": self.features,
            "input": f"uint8 [n, {height}, {width}], 0 is background, 255 ink",
            "normalisation": f"in the file: x = (q - {self.zero}) / {self.step}",
            "classes": json.dumps(self.classes, ensure_ascii=False),
            "dataset": self.dataset,
            "licence of the data": self.licence,
            "accuracy": self.accuracy,
            "parameters that are not as by default": self.recipe,
        }


def about(model: Model, dataset: Dataset, metrics: Mapping[str, Any], parameters: Mapping[str, Any]) -> About:
    """Collect the facts about a model.

    Args:
        model: the model to export.
        dataset: the data set that it was trained on.
        metrics: the content of metrics.json, measured with this model.
        parameters: key → value of those that differ from their defaults; paths of this machine are left out.
    """
    feature_map = model.feature_map
    portable = {name: value for name, value in sorted(parameters.items()) if not str(value).startswith(("/", "~"))}
    return About(
        model=model.digest,
        features=str(feature_map or PIXELS),
        dataset=": ".join(printable(each) for each in (dataset.name, dataset.title) if each),
        licence=printable(dataset.licence or "not known"),
        accuracy=f"{metrics['accuracy']:.4f} ({metrics['correct']:,} of {metrics['examples']:,} images, "
        f"split {metrics['split']})",
        recipe=printable(json.dumps(portable), 4000),
        classes=tuple(printable(each) for each in model.classes),
        shape=model.shape,
        zero=model.zero,
        step=model.input_step,
    )


def check_exportable(model: Model) -> None:
    """Check that a model can be exported.

    Raises:
        InputError: its map has exemplars, or it was trained before weights were whole numbers.
    """
    if model.feature_map and model.feature_map.exemplars:
        count = model.feature_map.exemplars.projection.size + model.feature_map.exemplars.exemplars.size
        raise InputError(
            f"cannot export: the map {printable(model.feature_map.name)} has a layer of exemplars\n"
            f"expected a map of operations only; received one with {count:,} more numbers, too many for a phone",
            hint="train with --map scat2",
        )
    for values in (model.weights, model.bias):
        if not (values / UNIT == np.rint(values / UNIT)).all():
            raise InputError(
                "cannot export: the model was trained by an older version\n"
                "expected weights that are multiples of 2^-24; received other weights",
                hint="run 'mnist train --force'",
            )
