"""Fits a feature map to the images of a store: makes the program for their size, and fits it on the first images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.maps import exemplars as layer
from mnist_cli.maps.description import Description
from mnist_cli.maps.feature_map import BLOCK, FeatureMap, whole_features
from mnist_cli.maps.ops import Extent, OutOfBounds, Program, bounds
from mnist_cli.maps.programs import make_program
from mnist_cli.maps.quantising import FIT_EXAMPLES, fit_quantiser
from mnist_cli.progress import Progress
from mnist_cli.threads import in_order

if TYPE_CHECKING:
    from mnist_cli.formats.store import Store
    from mnist_cli.stages.features import FeaturesSettings

Bytes = npt.NDArray[np.uint8]


def fitted_map(settings: FeaturesSettings, store: Store, progress: Progress) -> FeatureMap:
    """Return the map that the settings describe, fitted to the first training images of a store of pixels.

    Raises:
        ConfigError: the description is wrong.
        InputError: the map does not fit the images, or its arithmetic would not be exact.
    """
    described = settings.description()
    shape = store.image_shape
    try:
        program = make_program(described, shape, deskew=settings.deskew)
        largest = bounds(program, Extent(*shape))
        if described.exemplars:
            inputs = min(len(store.train), layer.FIT_ROWS)
            if len(largest) > layer.MOST_INPUTS:
                raise OutOfBounds(
                    f"exemplars: expected at most {layer.MOST_INPUTS:,} features before them; received {len(largest):,}"
                )
        sample = store.train.inputs[:FIT_EXAMPLES].reshape(-1, *shape)
        quantiser = fit_quantiser(_features(program, sample), largest)
        made = FeatureMap(described.name, shape, program, quantiser)
        made.check()
        if described.exemplars:
            rows = made.rows(store.train.inputs[:inputs])
            made = _with_exemplars(made, described, rows, settings.seed, progress)
    except OutOfBounds as problem:
        raise InputError(f"features.map {described.name}: {problem}", hint="run 'mnist config check'") from problem
    return made


def _features(program: Program, images: Bytes) -> npt.NDArray[np.float32]:
    starts = range(0, len(images), BLOCK)
    return np.concatenate([*in_order(lambda start: whole_features(program, images[start : start + BLOCK]), starts)])


def _with_exemplars(made: FeatureMap, described: Description, rows: Bytes, seed: int, progress: Progress) -> FeatureMap:
    count, inputs = rows.shape
    directions = min(described.exemplars["directions"], inputs, count)
    progress.start("fit exemplars", None, "")
    try:
        projection = layer.fit_projection(rows, layer.start_of(inputs, directions, seed))
        chosen = layer.chosen_rows(count, described.exemplars["count"], seed)
        parts = (projection.projection, projection.centre, projection.shift, projection.exemplars_of(rows[chosen]))
        unfitted = layer.Exemplars(*parts, quantiser=made.quantiser)
        quantiser = fit_quantiser(unfitted.features(rows[:FIT_EXAMPLES]), unfitted.largest)
    finally:
        progress.finish()
    result = FeatureMap(made.name, made.shape, made.program, made.quantiser, layer.Exemplars(*parts, quantiser))
    result.check()
    return result
