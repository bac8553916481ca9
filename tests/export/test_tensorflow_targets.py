"""SavedModel and LiteRT in their own runtimes: the same answers, clear errors, facts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.export import litert, saved_model
from mnist_cli.export.target import Target
from mnist_cli.formats.model import Model
from tests.support.command_line import environment
from tests.support.exports import about, drawn_model, images_for

SHAPES = [("pixels", (16, 12), False), ("grad8", (15, 23), True), ("scat1", (16, 16), True)]


def written(target: Target, model: Model, folder: Path) -> Path:
    target.write(model, about(model), folder)
    return folder / target.file


@pytest.mark.parametrize(("name", "shape", "deskew"), SHAPES)
def test_a_saved_model_answers_as_python(tmp_path: Path, name: str, shape: tuple[int, int], deskew: bool) -> None:
    model = drawn_model(name, shape, deskew=deskew)
    images = images_for(model)
    answers = saved_model.TARGET.run(written(saved_model.TARGET, model, tmp_path), images)
    assert answers.labels.tolist() == model.predict(images).tolist()
    assert np.abs(answers.probabilities - model.probabilities(images)).max() < 1e-6


@pytest.mark.parametrize("target", [saved_model.TARGET, litert.FLOAT], ids=lambda target: str(target.name))
def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    model = drawn_model()
    written(target, model, tmp_path)
    target.run(tmp_path / target.file, images_for(model))
    assert list(temporary.iterdir()) == []


def test_a_saved_model_is_served_by_tensorflow_alone(tmp_path: Path) -> None:
    model = drawn_model()
    written(saved_model.TARGET, model, tmp_path)
    program = (
        "import json, sys\nimport tensorflow as tf\nloaded = tf.saved_model.load(sys.argv[1])\n"
        "answer = loaded.signatures['predict'](images=tf.zeros([2, 16, 12], tf.uint8))\n"
        "facts = json.loads(loaded.signatures['about']()['about'].numpy())\n"
        "print(json.dumps([answer['probabilities'].numpy().tolist(), facts['model'], facts['licence of the data']]))\n"
        "for wrong in (tf.zeros([2, 12, 16], tf.uint8), tf.zeros([2, 16, 12])):\n"
        "    try:\n        loaded.predict(wrong)\n    except (TypeError, ValueError) as error:\n"
        "        assert 'uint8' in str(error), error\n    else:\n        raise SystemExit('accepted')\n"
        "assert 'mnist_cli' not in sys.modules\n"
    )
    variables = {**environment(), "PYTHONPATH": ""}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=True)
    probabilities, digest, licence = json.loads(done.stdout.splitlines()[-1])
    expected = model.probabilities(np.zeros((2, 16, 12), np.uint8))
    assert np.allclose(probabilities, expected, atol=1e-6)
    assert (digest, licence) == (model.digest, "CC0")


@pytest.mark.parametrize(("name", "shape", "deskew"), SHAPES)
def test_a_tflite_file_answers_as_python(tmp_path: Path, name: str, shape: tuple[int, int], deskew: bool) -> None:
    pytest.importorskip("ai_edge_litert")
    model = drawn_model(name, shape, deskew=deskew)
    images = images_for(model)
    answers = litert.FLOAT.run(written(litert.FLOAT, model, tmp_path), images)
    assert answers.labels.tolist() == model.predict(images).tolist()
    assert np.abs(answers.probabilities - model.probabilities(images)).max() < 1e-4


@pytest.mark.parametrize("name", ["pixels", "scat1"])
def test_int8_is_smaller_and_near(tmp_path: Path, name: str) -> None:
    pytest.importorskip("ai_edge_litert")
    model = drawn_model(name, (28, 28))
    images = images_for(model)
    path = written(litert.INT8, model, tmp_path)
    assert path.stat().st_size < written(litert.FLOAT, model, tmp_path).stat().st_size
    answers = litert.INT8.run(path, images)
    assert np.abs(answers.probabilities - model.probabilities(images)).max() < 0.1


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ai_edge_litert")
    return written(litert.FLOAT, drawn_model(), tmp_path_factory.mktemp("tflite"))


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((1, 16, 12), np.float32, "Got value of type FLOAT32 but expected type UINT8"),
        ((1, 12, 16), np.uint8, "CONCATENATION"),
        ((1, 1, 12), np.uint8, "CONCATENATION"),
        ((1, 192), np.uint8, "CONCATENATION"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(
    tflite: Path, shape: tuple[int, ...], kind: Any, message: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    with pytest.raises((ValueError, RuntimeError), match=message):
        Interpreter(model_path=str(tflite)).get_signature_runner("predict")(images=np.zeros(shape, kind))


def test_a_tflite_file_says_what_it_is(tflite: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_path=str(tflite)).get_signature_list()
    assert signatures == {"predict": {"inputs": ["images"], "outputs": ["probabilities"]}}
    facts = litert.read_facts(tflite.read_bytes())
    assert facts["model"] == drawn_model().digest
    assert json.loads(facts["classes"]) == [*drawn_model().classes]
    assert facts["input"].startswith("uint8 [n, 16, 12]")
    assert "x = (q - 0) / 255" in facts["normalisation"]


def test_quotients_are_exact_without_float64() -> None:
    """Where a float32 guess is wrong by thousands, and at the halves."""
    import tensorflow as tf

    from mnist_cli.export.tensorflow_graph import LiteBackend

    random = np.random.default_rng(0)
    under = np.concatenate([random.integers(1, 2**44, 2000), random.integers(1, 100, 100)])
    near = random.integers(-(2**12), 2**12, len(under)) * 2 + 1
    over = [
        int(n) * int(u) // 2048 + int(d)
        for n, u, d in zip(near, under, random.integers(-1, 2, len(under)), strict=True)
    ]
    received = LiteBackend().quotient(tf.constant(over, tf.int64), tf.constant(under, tf.int64), 10)
    expected = [(2048 * n + int(u)) // (2 * int(u)) for n, u in zip(over, under, strict=True)]
    assert received.numpy().astype(int).tolist() == expected
