"""Predict in one call, from arrays, pictures or the names of files."""

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
        labels: uint8 [n], the most probable label of each image; of two equal ones, the lower.
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
        images: arrays as `Model` takes them, which are used unchanged; or one or several Pillow images or names of
            files, which are first normalised or resized as the images of the model's data set were.
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
    """Return the evidence of each input for (positive) or against a label: the terms of the sum x·W.

    Args:
        model: D inputs, which are pixels or features.
        pixels: uint8 [P], one image.
        label: the column of W.

    Returns:
        float64 [D]; its sum plus the label's bias is the label's logit, exactly if there is a feature map.
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
