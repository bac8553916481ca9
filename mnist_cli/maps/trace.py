"""Trace one image through a map, operation by operation, for pictures that explain the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.ops import Cat, Extent, Program, State, as_state


@dataclass(frozen=True, eq=False)
class Step:
    """The maps after one operation.

    Attributes:
        op: its name; `image` before the first operation.
        branch: the programs of `cat` that lead here, such as (2, 1); () before the first `cat`.
        maps: float32 [m, height, width] of whole numbers.
        is_signed: whether they may be negative.
    """

    op: str
    branch: tuple[int, ...]
    maps: npt.NDArray[np.float32]
    is_signed: bool


def trace(feature_map: FeatureMap, image: npt.NDArray[np.uint8]) -> list[Step]:
    """Return the steps of an image, uint8 [height, width], in the order of the program, branch after branch."""
    extent = Extent(*feature_map.shape)
    state = as_state(image[np.newaxis])
    return [Step("image", (), _maps(state), is_signed=False), *_steps(feature_map.program, state, extent, ())]


def _steps(program: Program, state: State, extent: Extent, branch: tuple[int, ...]) -> Iterator[Step]:
    for op in program:
        if isinstance(op, Cat):
            for number, inner in enumerate(op.programs, start=1):
                yield from _steps(inner, state.copy(), extent, (*branch, number))
            return
        state, extent = op.apply(state.copy()), op.bound(extent)
        yield Step(op.name, branch, _maps(state), extent.signed)


def _maps(state: State) -> npt.NDArray[np.float32]:
    """Return a state of one image as [m, height, width]."""
    _, height, _, width = state.shape
    return state.transpose(0, 2, 1, 3).reshape(-1, height, width).copy()
