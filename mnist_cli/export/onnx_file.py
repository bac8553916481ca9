"""`onnx`: a graph of standard ONNX operations, from bytes to probabilities and labels, without TensorFlow.

The features are whole numbers in float32 and the logits whole numbers in float64, so both are the same as in Python on
every runtime that follows the standard. The softmax is in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli import files
from mnist_cli.export import graph
from mnist_cli.export.about import About
from mnist_cli.export.target import Answers, Bytes, Target, missing
from mnist_cli.formats.model import Model
from mnist_cli.maps.softmax import UNIT

OPSET = 17  # the newest one that every onnxruntime since 1.12 supports
_IR = 8  # the version of the file format from the same time
INPUT, OUTPUT, LABEL = "images", "probabilities", "label"
_BLOCK = 200  # images at once, in verification

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Tensor:
    """The name of a value in the graph, with the operators of `graph.Tensor`."""

    nodes: _Nodes
    name: str
    kind: type[np.generic] = np.float32

    def __add__(self, other: _Tensor | Array | float) -> _Tensor:
        return self.nodes.pair("Add", self, other)

    def __sub__(self, other: _Tensor | Array | float) -> _Tensor:
        return self.nodes.pair("Sub", self, other)

    def __mul__(self, other: _Tensor | Array | float) -> _Tensor:
        return self.nodes.pair("Mul", self, other)

    def __truediv__(self, other: _Tensor | Array | float) -> _Tensor:
        return self.nodes.pair("Div", self, other)


class _Nodes:
    """Collects nodes and constants; a `graph.Backend`."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}

    def add(self, op: str, *inputs: _Tensor, kind: type[np.generic] = np.float32, **attributes: Any) -> _Tensor:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [each.name for each in inputs], [name], **attributes))
        return _Tensor(self, name, kind)

    def constant(self, values: Any, kind: Any = np.float32) -> _Tensor:
        """Return a constant; equal constants are stored only once."""
        from onnx import numpy_helper

        array = np.array(values, np.dtype(kind).newbyteorder("<"))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"c{len(self.constants)}")
        return _Tensor(self, self.constants[key].name, kind)

    def pair(self, op: str, left: _Tensor, right: _Tensor | Array | float) -> _Tensor:
        other = right if isinstance(right, _Tensor) else self.constant(right, left.kind)
        return self.add(op, left, other, kind=left.kind)

    def conv(self, maps: _Tensor, kernels: Array) -> _Tensor:
        radius = kernels.shape[1] // 2
        return self.add("Conv", maps, self.constant(kernels[:, np.newaxis]), pads=[radius] * 4)

    def matmul(self, left: _Tensor, right: Array) -> _Tensor:
        return self.add("MatMul", left, self.constant(right))

    def turned(self, values: _Tensor) -> _Tensor:
        return self.add("Transpose", values, perm=[0, 1, 3, 2])

    def floor(self, values: _Tensor) -> _Tensor:
        return self.add("Floor", values, kind=values.kind)

    def sqrt(self, values: _Tensor) -> _Tensor:
        return self.add("Sqrt", values)

    def clip(self, values: _Tensor, low: float, high: float) -> _Tensor:
        bounds = (self.constant(bound, values.kind) for bound in (low, high))
        return self.add("Clip", values, *bounds, kind=values.kind)

    def concat(self, parts: Sequence[_Tensor], axis: int) -> _Tensor:
        return self.add("Concat", *parts, axis=axis)

    def part(self, values: _Tensor, start: int, stop: int) -> _Tensor:
        return self.add("Slice", values, *(self.constant([number], np.int64) for number in (start, stop, 1)))

    def reshape(self, values: _Tensor, shape: Sequence[int]) -> _Tensor:
        return self.add("Reshape", values, self.constant(shape, np.int64), kind=values.kind)

    def padded(self, values: _Tensor, before: int, after: int) -> _Tensor:
        return self.add("Pad", values, self.constant([0, before, before, 0, after, after], np.int64))

    def total(self, values: _Tensor) -> _Tensor:
        return self.add("ReduceSum", values, self.constant([1], np.int64), kind=values.kind)

    def cast(self, values: _Tensor, kind: Any) -> _Tensor:
        from onnx import helper

        return self.add("Cast", values, kind=kind, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def wide(self, values: _Tensor | Array) -> _Tensor:
        return self.cast(values, np.float64) if isinstance(values, _Tensor) else self.constant(values, np.float64)

    def narrow(self, values: _Tensor) -> _Tensor:
        return self.cast(values, np.float32)

    def quotient(self, over: _Tensor, under: _Tensor, bits: int) -> _Tensor:
        return self.narrow(self.floor(over / under * 2.0**bits + 0.5))

    def gather(self, flat: _Tensor, places: _Tensor) -> _Tensor:
        return self.add("GatherElements", flat, self.cast(places, np.int64), axis=1)


def model_of(model: Model, facts: dict[str, str]) -> Any:
    """Return an `onnx.ModelProto` with these facts in its metadata; equal models give equal bytes."""
    from onnx import TensorProto, checker, helper

    nodes = _Nodes()
    images = nodes.cast(_Tensor(nodes, INPUT, np.uint8), np.float32)
    features = graph.rows(nodes, model, images)
    weights = np.rint(model.weights / UNIT)
    constants = model.input_step * np.rint(model.bias / UNIT) - model.zero * weights.sum(axis=0)
    exact = nodes.cast(nodes.constant(weights, np.int32), np.float64)  # four bytes each in the file
    product = nodes.add("MatMul", nodes.cast(features, np.float64), exact, kind=np.float64)
    scores = product + constants
    highest = nodes.add("ReduceMax", scores, kind=np.float64, axes=[1])
    logits = nodes.cast((scores - highest) * (UNIT / model.input_step), np.float32)
    nodes.nodes += [
        helper.make_node("Softmax", [logits.name], [OUTPUT], axis=1),
        helper.make_node("ArgMax", [scores.name], [LABEL], axis=1, keepdims=0),
    ]
    described = helper.make_graph(
        nodes.nodes,
        "mnist",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", *model.shape])],
        [
            helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(model.bias)]),
            helper.make_tensor_value_info(LABEL, TensorProto.INT64, ["n"]),
        ],
        list(nodes.constants.values()),
    )
    made = helper.make_model(
        described, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR, producer_name="mnist-cli"
    )
    helper.set_model_props(made, facts)
    checker.check_model(made, full_check=True)
    return made


def _write(model: Model, about: About, folder: Path) -> None:
    files.write_bytes(folder / TARGET.file, model_of(model, about.facts()).SerializeToString(deterministic=True))


def _run(path: Path, images: Bytes) -> Answers:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    blocks = [images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK)]
    found = [session.run([OUTPUT, LABEL], {INPUT: block}) for block in blocks]
    return Answers(np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found]))


TARGET = Target(
    name="onnx",
    file="mnist.onnx",
    write=_write,
    run=_run,
    needs=("onnx",),
    runtime=lambda: missing("onnxruntime"),
    words=lambda: "onnxruntime",
    largest=1e-5,
)
