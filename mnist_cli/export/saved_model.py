"""`saved-model`: TensorFlow's own format, a folder with a signature `predict` that takes bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mnist_cli import files
from mnist_cli.export.about import About
from mnist_cli.export.target import Answers, Bytes, Target, missing
from mnist_cli.formats.model import Model

_BLOCK = 200  # images at once, in verification


def _write(model: Model, about: About, folder: Path) -> None:
    from mnist_cli.learning.tensorflow_setup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from mnist_cli.export.tensorflow_graph import exact_function, signature

    module, predict = signature(model, exact_function(model))
    facts = json.dumps(about.facts(), ensure_ascii=False)
    module.about = tf.function(lambda: {"about": tf.constant(facts)}, input_signature=[], autograph=False)
    tf.saved_model.save(
        module,
        str(folder),
        {"predict": predict, "serving_default": predict, "about": module.about.get_concrete_function()},
    )
    files.remove(folder / "assets", folder)  # an empty folder


def _run(path: Path, images: Bytes) -> Answers:
    from mnist_cli.learning.tensorflow_setup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    predict = tf.saved_model.load(str(path.parent)).signatures["predict"]
    blocks = [tf.constant(images[start : start + _BLOCK]) for start in range(0, len(images), _BLOCK)]
    found = [predict(images=block) for block in blocks]
    probabilities, labels = (
        np.concatenate([each[name].numpy() for each in found]) for name in ("probabilities", "label")
    )
    return Answers(probabilities, labels)


TARGET = Target(
    name="saved-model",
    file="saved_model.pb",
    write=_write,
    run=_run,
    runtime=lambda: missing("tensorflow"),
    words=lambda: "tf.saved_model.load",
    packages=("tensorflow",),
    is_folder=True,
    largest=1e-5,
)
