"""A fitted feature map turns bytes of images into bytes of features, the same on every machine.

    q = bytes of (program(image)), then of its exemplars;  x = (q − 80) / 32

It consists only of data, so a store and a model contain it, and whoever reads one can compute features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.exemplars import Exemplars
from mnist_cli.maps.ops import (
    Cat,
    Conv,
    Deskew,
    Extent,
    Integers,
    Modulus,
    Op,
    OutOfBounds,
    Pool,
    Program,
    Relu2,
    Shrink,
    State,
    apply,
    as_state,
    ends,
)
from mnist_cli.maps.quantising import STEP, ZERO, Quantiser
from mnist_cli.threads import in_order

# Images per block: their states fit into the processor's caches.
BLOCK = 100
_OPS: dict[str, type[Op]] = {kind.name: kind for kind in (Shrink, Deskew, Conv, Relu2, Modulus, Pool)}

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A feature map for images of one shape.

    Attributes:
        name: of its description.
        shape: height and width of an image.
        program: turns an image into whole numbers.
        quantiser: turns these into bytes.
        exemplars: the layer after it, whose bytes follow the others; or None.
        zero, step: of x = (q − zero) / step.
    """

    name: str
    shape: tuple[int, int]
    program: Program
    quantiser: Quantiser
    exemplars: Exemplars | None = None
    zero: int = ZERO
    step: int = STEP

    @cached_property
    def ends(self) -> tuple[Extent, ...]:
        """The extents of the program's parts, in the order of the features: grids of height × width, map by map."""
        return tuple(ends(self.program, Extent(*self.shape)))

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:12]}"

    def __len__(self) -> int:
        return len(self.quantiser) + (len(self.exemplars.quantiser) if self.exemplars else 0)

    def check(self) -> None:
        """Prove, without any image, that all arithmetic is exact.

        Raises:
            OutOfBounds: it is not, or the parts do not fit together.
        """
        largest = np.concatenate([np.full(end.features, end.top, np.int64) for end in self.ends])
        self.quantiser.check(largest)
        if self.exemplars:
            if len(self.exemplars.projection) != len(largest):
                raise OutOfBounds(f"exemplars: expected {len(largest)} inputs")
            self.exemplars.check()

    def rows(self, images: Bytes) -> Bytes:
        """Return the features of images uint8 [n, height, width] or [n, height · width], uint8 [n, D]."""
        images = images.reshape(len(images), *self.shape)
        starts = range(0, len(images), BLOCK)
        blocks = in_order(lambda start: self.block(images[start : start + BLOCK]), starts)
        result = np.empty((len(images), len(self)), np.uint8)
        for start, block in zip(starts, blocks, strict=True):
            result[start : start + BLOCK] = block
        return result

    def block(self, images: Bytes, change: Callable[[Bytes], Bytes] | None = None) -> Bytes:
        """Return the features of a few images uint8 [n, height, width], uint8 [n, D], in this thread.

        Args:
            images: n of them.
            change: applied to the bytes after shrinking and deskewing.
        """
        rows = self.quantiser.bytes_of(whole_features(self.program, images, change))
        return rows if self.exemplars is None else np.concatenate([rows, self.exemplars.rows(rows)], axis=1)

    def seen(self, images: Bytes) -> Bytes:
        """Return the images that the rest of the program works on, uint8 [n, height, width]: shrunk and deskewed."""
        state = as_state(images)
        for op in self.program[: _straightening(self.program)]:
            state = op.apply(state)
        return state[:, :, 0].astype(np.uint8)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that determines a feature."""
        document, arrays = document_of(self)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array, "<i8").data)
        return digest.hexdigest()


def whole_features(program: Program, images: Bytes, change: Callable[[Bytes], Bytes] | None = None) -> State:
    """Return the whole-number features of images uint8 [n, height, width], float32 [n, D].

    Args:
        program: one whose bounds were proved.
        images: n of them.
        change: applied to the bytes after shrinking and deskewing.
    """
    state = as_state(images)
    first = _straightening(program)
    for op in program[:first]:
        state = op.apply(state)
    if change is not None:
        state = as_state(change(state[:, :, 0].astype(np.uint8)))
    return apply(program[first:], state, len(images))


def _straightening(program: Program) -> int:
    """Return how many operations at the start of a program turn bytes of an image into bytes of an image."""
    return sum(1 for _ in takewhile(lambda op: isinstance(op, Shrink | Deskew), program))


def document_of(feature_map: FeatureMap) -> tuple[dict[str, Any], list[Integers]]:
    """Return a map as JSON, and the arrays that it refers to by number: {"array": 0}."""
    arrays: list[Integers] = []

    def named(array: Integers) -> dict[str, int]:
        arrays.append(array)
        return {"array": len(arrays) - 1}

    def described(part: Any) -> dict[str, Any]:
        values = {field.name: getattr(part, field.name) for field in fields(part)}
        return {name: named(value) if isinstance(value, np.ndarray) else value for name, value in values.items()}

    def programmed(program: Program) -> list[Any]:
        return [
            {"op": "cat", "programs": [programmed(inner) for inner in op.programs]}
            if isinstance(op, Cat)
            else {"op": op.name, **described(op)}
            for op in program
        ]

    layer = feature_map.exemplars
    document = {
        "name": feature_map.name,
        "shape": list(feature_map.shape),
        "zero": feature_map.zero,
        "step": feature_map.step,
        "program": programmed(feature_map.program),
        "quantiser": described(feature_map.quantiser),
        "exemplars": layer and {**described(layer), "quantiser": described(layer.quantiser)},
    }
    return document, arrays


def from_document(document: Any, arrays: Sequence[Integers]) -> FeatureMap:
    """Return the map that `document_of` described, after proving its bounds.

    Args:
        document: as read from JSON; it is not trusted.
        arrays: int64, of any shape.

    Raises:
        OutOfBounds: it is not a map, or its arithmetic would not be exact.
    """
    try:
        shape = tuple(document["shape"])
        if len(shape) != 2 or any(type(side) is not int or not 0 < side <= 4096 for side in shape):
            raise OutOfBounds("expected height and width")
        if (document["zero"], document["step"]) != (ZERO, STEP):
            raise OutOfBounds(f"expected zero {ZERO} and step {STEP}")
        layer = document["exemplars"]
        quantiser = _part(Quantiser, document["quantiser"], arrays)
        exemplars = None
        if layer is not None:
            inner = _part(Quantiser, layer["quantiser"], arrays)
            exemplars = _part(Exemplars, {**layer, "quantiser": inner}, arrays)
        program = _program(document["program"], arrays)
        made = FeatureMap(str(document["name"]), shape, program, quantiser, exemplars)
        made.check()
        written, named = document_of(made)
        if written != document or len(named) != len(arrays):
            raise OutOfBounds("expected exactly the fields and arrays of a map")
    except OutOfBounds:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise OutOfBounds(f"not a feature map: {error!r}") from error
    return made


def _program(document: Any, arrays: Sequence[Integers], depth: int = 0) -> Program:
    if depth > _DEPTH:
        raise OutOfBounds(f"expected programs nested at most {_DEPTH} deep")
    program: list[Op] = []
    for entry in document:
        if entry["op"] == "cat":
            program.append(Cat(tuple(_program(inner, arrays, depth + 1) for inner in entry["programs"])))
        else:
            values = {name: value for name, value in entry.items() if name != "op"}
            program.append(_part(_OPS[entry["op"]], values, arrays))
    return tuple(program)


# Field → number of dimensions of its array.
_DIMENSIONS = {
    "kernels": 3,
    "rows": 2,
    "columns": 2,
    "factors": 1,
    "offsets": 1,
    "projection": 2,
    "centre": 1,
    "exemplars": 2,
}
_LARGEST_NUMBER = 64  # of a shift, a factor or bits
_DEPTH = 16  # of nested programs


def _part(kind: type[Any], values: Mapping[str, Any], arrays: Sequence[Integers]) -> Any:
    """Make a part of a map from its description."""
    right: dict[str, Any] = {}
    for name, value in values.items():
        if name in _DIMENSIONS:
            array = arrays[value["array"]]
            if array.ndim != _DIMENSIONS[name] or not array.size:
                raise OutOfBounds(f"{name}: expected {_DIMENSIONS[name]} dimensions; received {list(array.shape)}")
            right[name] = array
        elif isinstance(value, Quantiser):
            right[name] = value
        elif type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
            raise OutOfBounds(f"{name}: expected 0 to {_LARGEST_NUMBER}; received {value!r:.30}")
        else:
            right[name] = value
    return kind(**right)
