"""The examples of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.formats.store import STEP, ZERO, open_store
from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.layout import Layout, layout_of
from mnist_cli.text import printable

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TrainingData:
    """The data that training reads; the arrays are memory maps, read-only.

    Attributes:
        inputs: uint8 [n, D].
        labels: uint8 [n].
        validation_inputs: uint8 [m, D], m ≥ 0.
        validation_labels: uint8 [m].
        classes: name of each label.
        image_shape: height and width.
        fit: how a picture is fitted to such an image; see `Model`.
        store_digest: content digest of the store.
        feature_map: the map that made the rows from images; None if the rows are pixels.
        zero, step: the constants of x = (q − zero) / step.
    """

    inputs: Bytes
    labels: Bytes
    validation_inputs: Bytes
    validation_labels: Bytes
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    fit: str
    store_digest: str
    feature_map: FeatureMap | None = None
    zero: int = ZERO
    step: int = STEP

    @property
    def layout(self) -> Layout:
        """How the values of a row are laid out as a picture."""
        return layout_of(self.feature_map, self.image_shape)


def load_data(path: Path | str) -> TrainingData:
    """Verify and map the training and validation splits of a store.

    Raises:
        InputError: there is no store, it is damaged, or its training split is empty.
    """
    store = open_store(path)
    if not len(store.train):
        raise InputError(
            f"{printable(path)}: the training split is empty",
            hint="run 'mnist preprocess' with fewer validation images",
        )
    return TrainingData(
        inputs=store.train.inputs,
        labels=store.train.labels,
        validation_inputs=store.validation.inputs,
        validation_labels=store.validation.labels,
        classes=store.classes,
        image_shape=store.image_shape,
        fit=store.fit,
        store_digest=store.digest,
        feature_map=store.feature_map,
        zero=store.zero,
        step=store.step,
    )
