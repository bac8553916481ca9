"""Make a program from a description, for images of a given size: grids, windows and factors depend on the size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mnist_cli.maps.description import DESKEW, DescribedOp, Description
from mnist_cli.maps.kernels import boxes, gaussians, kernels
from mnist_cli.maps.ops import (
    Cat,
    Conv,
    Deskew,
    Extent,
    Integers,
    Modulus,
    Op,
    Pool,
    Program,
    Relu2,
    Shrink,
    bounded,
    ends,
)

# Images with a longer side are shrunk first, by a whole factor.
LARGEST_SIDE = 64


def make_program(description: Description, shape: tuple[int, int], *, deskew: bool = False) -> Program:
    """Return a description's program for images of a shape; large images are shrunk first.

    Args:
        description: the map.
        shape: height and width of an image.
        deskew: whether to deskew images first, if the description does not.

    Raises:
        OutOfBounds: the windows of an operation do not suit the size, or its sums could leave the exact range.
    """
    described = list(description.program)
    if deskew and all(name != "deskew" for name, _ in described):
        at = next((index for index, (name, _) in enumerate(described) if name != "shrink"), len(described))
        described.insert(at, DESKEW)
    extent = Extent(*shape)
    factor = -(-max(shape) // LARGEST_SIDE)
    if factor > 1 and all(name != "shrink" for name, _ in described):
        described.insert(0, ("shrink", {"factor": factor}))
    program = _made(described, extent, "")
    for _ in ends(program, extent):
        pass
    return program


def _made(described: Sequence[DescribedOp], extent: Extent, place: str) -> Program:
    program: list[Op] = []
    for index, (name, values) in enumerate(described, start=1):
        if name == "cat":
            inner = enumerate(values["programs"], start=1)
            return (*program, Cat(tuple(_made(each, extent, f"{place}{index}.{number}.") for number, each in inner)))
        program.append(_op(name, values, extent))
        extent = bounded(program[-1], extent, f"{place}{index}")
    return tuple(program)


def _op(name: str, values: Any, extent: Extent) -> Op:
    if name == "conv":
        given = values["kernels"]
        bank: Integers = kernels(given) if isinstance(given, str) else np.array(given, np.int64)
        return Conv(bank, values["shift"])
    if name == "pool":
        return Pool(_windows(values, "rows", extent.height), _windows(values, "columns", extent.width), values["shift"])
    plain: dict[str, type[Op]] = {"shrink": Shrink, "deskew": Deskew, "relu2": Relu2, "modulus": Modulus}
    return plain[name](**values)


def _windows(values: Any, axis: str, side: int) -> Integers:
    if "box" in values:
        return boxes(side, values["box"])
    if "gauss" in values:
        return gaussians(side, values["gauss"], values["every"])
    return np.array(values[axis], np.int64)
