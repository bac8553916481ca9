"""Feature maps for tests, fitted to a few drawn lines; no store and no data set is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.maps import exemplars as layer
from mnist_cli.maps.description import Description, find_map
from mnist_cli.maps.feature_map import FeatureMap, whole_features
from mnist_cli.maps.ops import Extent, bounds
from mnist_cli.maps.programs import make_program
from mnist_cli.maps.quantising import fit_quantiser

Bytes = npt.NDArray[np.uint8]


def drawn_lines(count: int, shape: tuple[int, int], seed: int = 0) -> Bytes:
    """Return images of three thick lines each, uint8 [count, height, width]; the first is blank, the second random."""
    random = np.random.default_rng([seed, *shape])
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    images = np.zeros((count, *shape))
    for image in images[2:]:
        for _ in range(3):
            (top, left), (bottom, right) = random.uniform(0.1, 0.9, (2, 2)) * shape
            down, across = bottom - top, right - left
            along = np.clip(((y - top) * down + (x - left) * across) / (down**2 + across**2), 0, 1)
            distances = np.hypot(y - top - along * down, x - left - along * across)
            image[:] = np.maximum(image, 255 * np.clip(2.2 - distances, 0, 1))
    result: Bytes = np.rint(images).astype(np.uint8)
    if count > 1:
        result[1] = random.integers(0, 256, shape)
    return result


def made_map(
    name: str,
    shape: tuple[int, int] = (28, 28),
    *,
    deskew: bool = False,
    program: Sequence[Sequence[tuple[str, Mapping[str, Any]]]] | None = None,
    exemplars: int = 0,
) -> FeatureMap:
    """Return a map, fitted to drawn lines.

    Args:
        name: one that the package brings; or `own`.
        shape: height and width of an image.
        deskew: whether images are deskewed first.
        program: of a map of one's own, programs that stand side by side.
        exemplars: how many; 0: without.
    """
    description = (
        find_map(name)
        if program is None
        else Description("own", "", (("cat", {"programs": tuple(map(tuple, program))}),), {}, "own")
    )
    operations = make_program(description, shape, deskew=deskew)
    images = drawn_lines(60, shape, seed=1)
    quantiser = fit_quantiser(whole_features(operations, images), bounds(operations, Extent(*shape)))
    made = FeatureMap(description.name, shape, operations, quantiser)
    if exemplars:
        made = _with_exemplars(made, images, exemplars)
    made.check()
    return made


def _with_exemplars(made: FeatureMap, images: Bytes, count: int) -> FeatureMap:
    rows = made.rows(images)
    projection = layer.fit_projection(rows, layer.start_of(rows.shape[1], 10, 0))
    chosen = layer.chosen_rows(len(rows), count, 0)
    parts = (projection.projection, projection.centre, projection.shift, projection.exemplars_of(rows[chosen]))
    unfitted = layer.Exemplars(*parts, quantiser=made.quantiser)
    quantiser = fit_quantiser(unfitted.features(rows), unfitted.largest)
    return FeatureMap(made.name, made.shape, made.program, made.quantiser, layer.Exemplars(*parts, quantiser))
