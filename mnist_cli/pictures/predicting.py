"""Predictions in one call: from arrays, pictures or the names of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.formats.model import Floats, Model, load_model
from mnist_cli.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class Predictions:
    """A model's answers to n images.

    Attributes:
        labels: uint8 [n], the most probable one of each image, the lower one of two that tie.
        probabilities: float64 [n, K], each row sums to 1.
        classes: name of each label, K of them.
    """

    labels: Bytes
    probabilities: Floats
    classes: tuple[str, ...]


def predict(
    images: npt.ArrayLike | str | Path | Image | Sequence[str | Path | Image],
    model: Model | str | Path = Path("artifacts/train/model.h5"),
) -> Predictions:
    """Predict the class of each image.

    Args:
        images: arrays as `Model` takes them, which are used as they are; or a picture or several, Pillow's or names
            of files, which first become images as the model's data set was made: normalised, or resized.
        model: a model or its file.

    Raises:
        InputError: a file is missing or damaged, a picture is blank, or an array has the wrong shape, dtype or range.
    """
    trained = model if isinstance(model, Model) else load_model(model)
    pictures = _pictures(images)
    if pictures is not None:
        images = np.stack([_fitted(picture, trained) for picture in pictures])
    probabilities = trained.probabilities(np.asarray(images))
    return Predictions(probabilities.argmax(axis=1).astype(np.uint8), probabilities, trained.classes)


def evidence(model: Model, pixels: Bytes, label: int) -> Floats:
    """Return the evidence of each input for a label (positive) or against it: the terms of the sum x·W.

    Args:
        model: D inputs, which are pixels, or what its feature map makes of them.
        pixels: uint8 [P], one image.
        label: the column of W.

    Returns:
        float64 [D]; its sum and the label's bias are the label's logit, exactly where there is a feature map.
    """
    x = (model.rows(pixels)[0].astype(np.float64) - model.zero) / model.input_step
    terms: Floats = x * model.weights[:, label]
    return terms


def _pictures(images: object) -> list[object] | None:
    """Return the pictures or names in a list, or None if the images are arrays."""
    if isinstance(images, str | Path) or hasattr(images, "getbands"):
        return [images]
    if (
        isinstance(images, list | tuple)
        and images
        and (isinstance(images[0], str | Path) or hasattr(images[0], "getbands"))
    ):
        return list(images)
    return None


def _fitted(picture: object, model: Model) -> Bytes:
    from mnist_cli.pictures.normalize import fitted
    from mnist_cli.pictures.opening import open_picture

    if not isinstance(picture, str | Path):
        return fitted(picture, model.shape, model.fit)  # type: ignore[arg-type]  # it has bands, so it is a picture
    try:
        return fitted(open_picture(picture), model.shape, model.fit)
    except InputError as error:
        raise InputError(f"{printable(picture)}: {error.message}", hint=error.hint) from error
