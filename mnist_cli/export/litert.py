"""`litert`: a `.tflite` file for phones, in float32; and `litert-int8`, with W in eight bits.

For int8 the converter stores large constants in eight bits and small ones, such as kernels, unchanged. So the features
of a map stay exact; only the product with W does not.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli import files
from mnist_cli.export.about import About
from mnist_cli.export.target import Answers, Bytes, Target, missing
from mnist_cli.formats.model import Model

SIGNATURE = "predict"
METADATA = "mnist-cli"  # name of the buffer that holds the facts as JSON
_BLOCK = 200  # images at once, in verification


def _write(model: Model, about: About, folder: Path) -> None:
    files.write_bytes(folder / FLOAT.file, _described(_converted(model, quantize=False), about.facts()))


def _write_int8(model: Model, about: About, folder: Path) -> None:
    files.write_bytes(folder / INT8.file, _described(_converted(model, quantize=True), about.facts()))


def _converted(model: Model, *, quantize: bool) -> bytes:
    """Convert the model with TensorFlow's converter, through a SavedModel, which names the signature."""
    from mnist_cli.learning.tensorflow_setup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from mnist_cli.export.tensorflow_graph import float_function, signature

    module, predict = signature(model, float_function(model))
    with tempfile.TemporaryDirectory(prefix="mnist-export-") as folder:
        tf.saved_model.save(module, folder, {SIGNATURE: predict})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if quantize else []
        content: bytes = converter.convert()
    return content


def _described(content: bytes, facts: dict[str, str]) -> bytes:
    """Return the file with the facts in an additional metadata buffer."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(facts, ensure_ascii=False).encode(), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    model.description = "softmax regression, written by mnist-cli"
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def read_facts(content: bytes) -> dict[str, str]:
    """Return the facts that `_described` wrote into a file."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    entry = next(each for each in model.metadata if each.name == METADATA.encode())
    facts: dict[str, str] = json.loads(bytes(model.buffers[entry.buffer].data))
    return facts


def _run(path: Path, images: Bytes) -> Answers:
    from ai_edge_litert.interpreter import Interpreter

    from mnist_cli.learning.tensorflow_setup import quiet

    with quiet():
        predict: Any = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)
        blocks: Iterator[Bytes] = (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))
        probabilities = np.concatenate([predict(images=block)["probabilities"] for block in blocks])
    return Answers(probabilities, probabilities.argmax(axis=1))


def _runtime() -> str:
    return missing("ai_edge_litert")


FLOAT = Target(
    name="litert",
    file="mnist.tflite",
    write=_write,
    run=_run,
    runtime=_runtime,
    words=lambda: "ai-edge-litert",
    packages=("tensorflow",),
    mark=b"TFL3",
    largest=1e-4,
)
INT8 = replace(FLOAT, name="litert-int8", file="mnist-int8.tflite", write=_write_int8, largest=None, least=0.997)
