"""Prints digests of feature maps, their fits and warped copies: what needs NumPy alone, and neither YAML nor HDF5.

python -m tests.support.feature_digests [BLOCK]    with so many images at once
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import numpy.typing as npt

from mnist_cli.maps import exemplars, feature_map, ops
from mnist_cli.maps.kernels import boxes, gaussians, kernels
from mnist_cli.maps.quantising import fit_quantiser
from mnist_cli.maps.warp import warped
from tests.support.exact import mix

SHAPE = (28, 23)  # odd: windows that end beyond the edge
COUNT = 50


def digests() -> dict[str, str]:
    """Return a name and a digest of everything."""
    height, width = SHAPE
    random = np.array([mix(number) >> 24 for number in range(COUNT * height * width)], np.uint8)
    images = random.reshape(COUNT, height, width)
    images = np.where(images > 160, images, 0).astype(np.uint8)
    every = ops.Pool(gaussians(height, 2, 4), gaussians(width, 2, 4), 9)
    coarse = ops.Pool(boxes(height, 2), boxes(width, 2), 0)
    waves = ops.Conv(kernels("morlet"), 7)
    edges = ops.Pool(boxes(height, 4), boxes(width, 4), 8)
    programs: dict[str, ops.Program] = {
        "gradients": (ops.Deskew(6, 10), ops.Conv(kernels("differences"), 0), ops.Relu2(), edges),
        "waves": (
            ops.Cat(
                (
                    (waves, ops.Modulus(), every),
                    (waves, ops.Modulus(), coarse, ops.Conv(kernels("morlet"), 10), ops.Modulus()),
                )
            ),
        ),
        "small": (ops.Shrink(3),),
    }
    found: dict[str, npt.NDArray[np.generic]] = {"copies": warped(images, np.arange(COUNT), 2, seed=2**40)}
    for name, program in programs.items():
        whole = feature_map.whole_features(program, images)
        quantiser = fit_quantiser(whole.copy(), ops.bounds(program, ops.Extent(*SHAPE)))
        made = feature_map.FeatureMap(name, SHAPE, program, quantiser)
        found |= {name: whole.astype("<i4"), f"{name}-bytes": made.rows(images)}
        found[f"{name}-map"] = np.frombuffer(made.digest.encode(), np.uint8)
    rows = found["waves-bytes"].astype(np.uint8)[:, :4000]
    projection = exemplars.fit_projection(rows, exemplars.start_of(rows.shape[1], 12, 5))
    units = projection.exemplars_of(rows[exemplars.chosen_rows(COUNT, 20, 5)])
    layer = exemplars.Exemplars(projection.projection, projection.centre, projection.shift, units, quantiser)
    found |= {"projection": projection.projection.astype("<i8"), "nearness": layer.features(rows).astype("<i4")}
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in found.items()}


def main() -> None:
    """Compute and print."""
    if len(sys.argv) > 1:
        feature_map.BLOCK = int(sys.argv[1])
    for name, digest in digests().items():
        print(name, digest)


if __name__ == "__main__":
    main()
