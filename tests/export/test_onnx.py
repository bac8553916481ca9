"""The ONNX file in onnxruntime: same features and logits, clear errors, facts, and no TensorFlow on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.export import onnx_file
from tests.support.command_line import environment
from tests.support.exports import about, drawn_model, images_for, like_the_tutorial, model_of
from tests.support.feature_maps import made_map

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

MAPS = [("pixels", False), ("grad8", True), ("scat1", True), ("scat2", False)]


def session_of(content: bytes) -> Any:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def exported(name: str = "pixels", **options: Any) -> bytes:
    model = drawn_model(name, **options)
    content: bytes = onnx_file.model_of(model, about(model).facts()).SerializeToString(deterministic=True)
    return content


@pytest.mark.parametrize(("name", "deskew"), MAPS)
def test_answers_are_those_of_python(tmp_path: Path, name: str, deskew: bool) -> None:
    model = drawn_model(name, deskew=deskew)
    onnx_file.TARGET.write(model, about(model), tmp_path)
    images = images_for(model)
    answers = onnx_file.TARGET.run(tmp_path / onnx_file.TARGET.file, images)
    assert answers.labels.tolist() == model.predict(images).tolist()
    assert np.abs(answers.probabilities - model.probabilities(images)).max() < 1e-6


@pytest.mark.parametrize("shape", [(15, 23), (70, 40)])
def test_features_are_those_of_python_to_the_bit(shape: tuple[int, int]) -> None:
    model = model_of(made_map("grad8", shape, deskew=True), shape)
    graph = onnx_file.model_of(model, {})
    casts = {node.output[0] for node in graph.graph.node if node.op_type == "Cast"}
    (product,) = (node for node in graph.graph.node if node.op_type == "MatMul" and {*node.input} <= casts)
    graph.graph.output.append(onnx.helper.make_tensor_value_info(product.input[0], onnx.TensorProto.DOUBLE, None))
    images = images_for(model)
    (rows,) = session_of(graph.SerializeToString()).run([product.input[0]], {"images": images})
    assert rows.astype(np.uint8).tolist() == model.rows(images.reshape(len(images), -1)).tolist()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 16, 12), np.float32), "uint8"),
        (np.zeros((1, 12, 16), np.uint8), "Expected: 16"),
        (np.zeros((16, 12), np.uint8), "rank"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images: Any, message: str) -> None:
    with pytest.raises(Exception, match=message):
        session_of(exported()).run(None, {"images": images})


def test_one_image_and_none_are_answered() -> None:
    session = session_of(exported("grad8"))
    for count in (0, 1):
        probabilities, labels = session.run(None, {"images": np.zeros((count, 16, 12), np.uint8)})
        assert (probabilities.shape, labels.shape) == ((count, 4), (count,))


def test_the_file_says_what_it_is() -> None:
    model = drawn_model()
    read = onnx.load_from_string(exported())
    onnx.checker.check_model(read, full_check=True)
    facts = {entry.key: entry.value for entry in read.metadata_props}
    assert (facts["model"], json.loads(facts["classes"])) == (model.digest, [*model.classes])
    assert facts["licence of the data"] == "CC0"
    assert [entry.version for entry in read.opset_import] == [onnx_file.OPSET]


def test_equal_models_give_equal_bytes_and_small_ones() -> None:
    assert exported("grad8") == exported("grad8")
    tutorial = like_the_tutorial(drawn_model(shape=(28, 28)))
    size = len(onnx_file.model_of(tutorial, about(tutorial).facts()).SerializeToString())
    assert size <= 36_000


def test_neither_writing_nor_running_imports_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom mnist_cli.export.targets import find_target\n"
        "from tests.support.exports import about, drawn_model, images_for\n"
        "model = drawn_model()\n"
        "for name in ('onnx', 'c', 'web'):\n"
        "    target = find_target(name)\n"
        "    target.write(model, about(model), Path('.'))\n"
        "    target.runtime() or target.run(Path(target.file), images_for(model))\n"
        "assert not {'tensorflow', 'keras', 'jinja2', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment(), check=True)
