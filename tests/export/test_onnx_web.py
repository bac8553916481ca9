"""The ONNX file in onnxruntime-web, in a real browser: the answers of Python.

MNIST_ONNXRUNTIME_WEB names the folder `dist` of the package onnxruntime-web (npm pack onnxruntime-web); without it, or
without a browser, the tests are skipped.
"""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.export import onnx_file
from tests.support.browser import Browser
from tests.support.exports import about, drawn_model, images_for
from tests.support.folder_server import served

pytest.importorskip("onnx")
DIST = os.environ.get("MNIST_ONNXRUNTIME_WEB", "")
pytestmark = pytest.mark.skipif(not DIST, reason="MNIST_ONNXRUNTIME_WEB names no folder with onnxruntime-web")
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import * as ort from "./ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
window.answer = async (text, shape) => {
  const session = await ort.InferenceSession.create("./mnist.onnx");
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const found = await session.run({images: new ort.Tensor("uint8", bytes, shape)});
  return [[...found.label.data].map(Number), [...found.probabilities.data]];
};
</script>"""


@pytest.mark.parametrize("name", ["pixels", "grad8", "scat1"])
def test_answers_are_those_of_python(browser: Browser, tmp_path: Path, name: str) -> None:
    for file in FILES:
        shutil.copy(Path(DIST) / file, tmp_path)
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    model = drawn_model(name)
    images = images_for(model)
    onnx_file.TARGET.write(model, about(model), tmp_path)
    ask = (
        "const done = arguments[arguments.length - 1];"
        "answer(arguments[0], arguments[1]).then(done, error => done(String(error)));"
    )
    with served(tmp_path) as server:
        browser.driver.get(f"{server}/index.html")
        assert browser.becomes("return typeof answer === 'function'")
        given = base64.b64encode(images.tobytes()).decode()
        found = browser.driver.execute_async_script(ask, given, list(images.shape))
    assert isinstance(found, list), found
    labels, probabilities = found
    assert labels == model.predict(images).tolist()
    assert np.abs(np.array(probabilities).reshape(-1, 4) - model.probabilities(images)).max() < 1e-6
