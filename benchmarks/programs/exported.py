"""How long one image takes on one core in exported files, without their loading: medians of single calls.

The argument is a folder of artifacts with exports to c, onnx and litert.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mnist_cli
from mnist_cli.export import c

COUNT = 200


def main(artifacts: Path) -> None:
    """Answer, and print the median of each in microseconds."""
    store = mnist_cli.open_store(artifacts / "preprocess" / "store.h5")
    images = store.test.inputs[:COUNT].reshape(-1, *store.image_shape)
    folder = artifacts / "export"
    found = {
        "c": _in_c(folder / "c" / "mnist.h", images),
        "onnx": _median(_in_onnxruntime(folder / "onnx" / "mnist.onnx"), images),
        "litert": _median(_in_litert(folder / "litert" / "mnist.tflite"), images),
    }
    print(json.dumps({"microseconds": {name: 1e6 * seconds for name, seconds in found.items()}}))


def _median(answer: Callable[[Any], object], images: Any) -> float:
    seconds = []
    for image in images:
        start = time.perf_counter()
        answer(image[np.newaxis])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _in_c(path: Path, images: Any) -> float:
    """Return the difference of many images and few: the process and its pipes are not what is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        program = c.compile_runner(path, Path(folder))
        many = np.concatenate([images] * 5)
        took = [_seconds(partial(c.answers_of, program, given, 10)) for given in (images[:1], many) * 5]
    return max(0.0, statistics.median(took[1::2]) - statistics.median(took[::2])) / (len(many) - 1)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _in_onnxruntime(path: Path) -> Callable[[Any], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["probabilities"], {"images": image})


def _in_litert(path: Path) -> Callable[[Any], object]:
    from ai_edge_litert.interpreter import Interpreter

    predict: Any = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("predict")
    return lambda image: predict(images=image)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
