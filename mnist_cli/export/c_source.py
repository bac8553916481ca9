"""`c`: one C99 header without heap or libraries, and without floating point except for the probabilities.

The operations are separate functions (templates/operations.h). For each model, the header has its tables as data, and
`mnist_features`, which calls the functions one after the other. A program uses one static array: each operation reads
one part of it and writes another. The input that several programs of a `cat` share stays in place.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from mnist_cli.export.about import About
from mnist_cli.formats.model import Model
from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.ops import Cat, Conv, Deskew, Extent, Integers, Modulus, Op, Pool, Program, Relu2, Shrink
from mnist_cli.maps.softmax import UNIT, powers

_BYTES = {"int32_t": 4, "int64_t": 8}


@dataclass
class _Writer:
    """The parts of a header that have been written so far.

    Attributes:
        tables: the declarations of the tables.
        bytes: total size of the tables.
        calls: the calls of the operations, in order.
        used: names of the operations.
        top: number of values that the static array needs.
        features: number of features of an image.
    """

    tables: list[str] = field(default_factory=list)
    bytes: int = 0
    calls: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    top: int = 0
    features: int = 0

    def table(self, name: str, values: Integers, kind: str = "int32_t") -> str:
        """Declare a table and return its name; equal tables are declared only once."""
        flat = values.ravel()
        body = textwrap.fill(", ".join(map(str, flat.tolist())), 116, break_long_words=False)
        same = f"[{len(flat)}] = {{\n{body}\n}};"
        for declared in self.tables:
            if declared.endswith(same):
                return declared.split("[")[0].split()[-1]
        named = f"mnist_{name}_{len(self.tables)}"
        self.tables.append(f"static const {kind} {named}{same}")
        self.bytes += len(flat) * _BYTES[kind]
        return named

    def program(self, program: Program, extent: Extent, at: int, free: int) -> None:
        """Write the calls of a program whose input is at `at` and whose values may be written from `free` on."""
        for op in program:
            if isinstance(op, Cat):
                for inner in op.programs:
                    self.program(inner, extent, at, max(free, at + extent.features))
                return
            after = op.bound(extent)
            # At the beginning of the free part, or after the operation's input if it would overwrite that.
            overlaps = at < free + after.features and free < at + extent.features
            to = at + extent.features if overlaps else free
            self.used.add(op.name)
            self.calls.append(self.call(op, f"mnist_values + {to}, mnist_values + {at}", extent))
            self.top = max(self.top, to + after.features)
            at, extent = to, after
        self.calls.append(
            f"mnist_bytes(features + {self.features}, mnist_values + {at}, {extent.features}, "
            f"{{factors}} + {self.features}, {{offsets}} + {self.features}, {{shift}});"
        )
        self.features += extent.features

    def call(self, op: Op, places: str, extent: Extent) -> str:
        """Declare the tables of an operation and return its call."""
        height, width, maps = extent.height, extent.width, extent.maps
        size = f"{height}, {width}"
        match op:
            case Shrink():
                rest = f"{size}, {op.factor}"
            case Deskew():
                rest = f"{size}, {op.position}, {op.shear}"
            case Conv():
                count, side = op.kernels.shape[:2]
                rest = f"{maps}, {size}, {self.table('kernels', op.kernels)}, {count}, {side}, {op.shift}"
            case Relu2():
                rest = f"{extent.earlier}, {extent.features // extent.earlier}"
            case Modulus():
                rest = f"{extent.earlier}, {extent.features // extent.earlier // 2}"
            case Pool():
                rows, columns = self.table("windows", op.rows), self.table("windows", op.columns)
                rest = f"{maps}, {size}, {rows}, {len(op.rows)}, {columns}, {len(op.columns)}, {op.shift}"
            case _:
                raise NotImplementedError(op.name)
        return f"mnist_{op.name}({places}, {rest});"


def header(model: Model, about: About) -> str:
    """Return the header for a model whose map has no layer of exemplars; equal models give equal headers."""
    writer = _Writer()
    weights = np.rint(model.weights / UNIT).astype(np.int64)
    bias = np.rint(model.bias / UNIT).astype(np.int64)
    weights_name = writer.table("weights", weights)
    constants = model.input_step * bias - model.zero * weights.sum(axis=0)
    constants_name = writer.table("constants", constants, "int64_t")
    high, middle, low = (writer.table("powers", table) for table in powers())
    if model.feature_map:
        _write_map(writer, model.feature_map)
    parts = [
        _comment(model, about, writer),
        _definitions(model, about),
        *writer.tables,
        *_operations(writer.used),
        *_features(model, writer),
        template("model.h")
        .replace("WEIGHTS", weights_name)
        .replace("CONSTANTS", constants_name)
        .replace("HIGH", high)
        .replace("MIDDLE", middle)
        .replace("LOW", low)
        .replace("SCALE", str(model.input_step)),
        "#endif",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _write_map(writer: _Writer, feature_map: FeatureMap) -> None:
    image = Extent(*feature_map.shape)
    writer.top = image.features
    writer.program(feature_map.program, image, 0, image.features)
    writer.used |= {"always", "bytes"}
    quantiser = feature_map.quantiser
    factors, offsets = writer.table("factors", quantiser.factors), writer.table("offsets", quantiser.offsets)
    writer.calls = [call.format(factors=factors, offsets=offsets, shift=quantiser.shift) for call in writer.calls]


def _comment(model: Model, about: About, writer: _Writer) -> str:
    lines = [f"{name}: {value}" for name, value in about.facts().items()]
    memory = 4 * writer.top + len(model.weights) + 8 * len(model.bias)
    return (
        "/* A softmax regression for images, written by mnist-cli: C99, no heap, no libraries.\n\n"
        + "\n".join(f"   {line}".replace("*/", "* /") for line in lines)
        + f"\n\n   Memory: {writer.bytes:,} bytes of constant tables, {memory:,} bytes of static memory."
        f"\n   Code: about {'3 kB' if model.feature_map else '400 bytes'} (gcc -Os, x86-64)."
        "\n   The features and the logits are whole numbers, the same as those of mnist-cli on every machine; only the"
        "\n   probabilities are floating point. Calls share the static memory, so make only one call at a time."
        "\n\n     uint8_t pixels[MNIST_PIXELS];          0 is background, 255 ink; row after row"
        "\n     float probabilities[MNIST_CLASSES];"
        "\n     int label = mnist_predict(pixels, probabilities);   an index of mnist_class_names */"
    )


def _definitions(model: Model, about: About) -> str:
    names = ", ".join(_quoted(name) for name in model.classes)
    height, width = model.shape
    return "\n".join(
        [
            "#ifndef MNIST_MODEL_H\n#define MNIST_MODEL_H\n\n#include <stdint.h>\n",
            f"#define MNIST_HEIGHT {height}",
            f"#define MNIST_WIDTH {width}",
            f"#define MNIST_PIXELS {height * width}",
            f"#define MNIST_FEATURES {len(model.weights)}",
            f"#define MNIST_CLASSES {len(model.bias)}",
            f"#define MNIST_MODEL_DIGEST {_quoted(about.model)}\n",
            f"static const char *const mnist_class_names[MNIST_CLASSES] = {{{names}}};",
        ]
    )


def _features(model: Model, writer: _Writer) -> Iterator[str]:
    if not model.feature_map:
        yield "/* Without a feature map the features are the pixels. */\n" + _function(
            ["for (int index = 0; index < MNIST_PIXELS; index++) features[index] = pixels[index];"]
        )
        return
    yield f"static int32_t mnist_values[{writer.top}];"
    copy = "for (int index = 0; index < MNIST_PIXELS; index++) mnist_values[index] = pixels[index];"
    yield f"/* The feature map {model.feature_map.name}: bytes in, bytes out. */\n" + _function([copy, *writer.calls])


def _function(lines: list[str]) -> str:
    head = "static inline void mnist_features(const uint8_t pixels[static MNIST_PIXELS],\n"
    head += "                                  uint8_t features[static MNIST_FEATURES]) {\n"
    return head + "".join(f"  {line}\n" for line in lines) + "}"


def _operations(used: set[str]) -> Iterator[str]:
    """Yield the functions of the operations that are used; in the template, each follows a comment with its name."""
    _, *sections = re.split(r"^/\* (\w+) \*/\n", template("operations.h"), flags=re.MULTILINE)
    for name, functions in zip(sections[::2], sections[1::2], strict=True):
        if name in used:
            yield functions


def _quoted(text: str) -> str:
    """Return a string literal; bytes that are not plain ASCII are written in octal."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{plain}"'


def template(name: str) -> str:
    """Return a file of the folder `templates`."""
    return (resources.files("mnist_cli.export") / "templates" / name).read_text(encoding="utf-8")
