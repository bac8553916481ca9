"""Trains on the lesson's examples as `mnist train` does, for the page to compare its own training with.

This takes TensorFlow and a few seconds. So the model is kept beside the page, and the next lesson on the same examples
reuses it.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.datasets import Dataset
from mnist_cli.errors import InputError
from mnist_cli.formats import MODEL_NAME, STORE_NAME
from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.scoring import Score, score
from mnist_cli.formats.store import open_store
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.lesson.examples import Examples, write_dataset
from mnist_cli.progress import Progress
from mnist_cli.stages.preprocess import PreprocessSettings, preprocess
from mnist_cli.stages.train import TRAIN, train

# The page trains as the tutorial does; everything except the learning rate and the batch size is fixed.
SETTINGS = TrainSettings(keep_checkpoints=0, validate_every=1000)
SEED = 0


@dataclass(frozen=True)
class Reference:
    """The model that `mnist train` gives for the examples.

    Attributes:
        model: the model after the last step.
        score: its score on the unseen examples.
    """

    model: Model
    score: Score


def train_reference(examples: Examples, origin: Dataset, memory: Path, progress: Progress) -> Reference:
    """Train on the examples as `mnist run` would, or reuse the model that an earlier call left in `memory`.

    Args:
        examples: the examples to train on and to measure with.
        origin: the data set that they are from.
        memory: a folder for the model; created if missing.
        progress: progress callback.

    Raises:
        InputError: TensorFlow cannot be imported.
        Interrupted: on SIGINT or SIGTERM.
        OSError: a file cannot be written.
    """
    kept = memory / f"model-{TRAIN.version}.h5"  # a new version of the stage may give other bits
    with tempfile.TemporaryDirectory(prefix="mnist-lesson-") as name:
        folder = Path(name)
        dataset = {"files": name, "classes": list(examples.classes), "name": "lesson"}
        write_dataset(examples, folder, origin)
        # No validation split, because nothing is decided with it.
        store = preprocess(folder, folder, PreprocessSettings(validation_size=0), dataset=dataset)
        model = _kept(kept, store.store_digest)
        if model is None:
            train(folder / STORE_NAME, folder, SETTINGS, seed=SEED, progress=progress)
            model = load_model(folder / MODEL_NAME)
            memory.mkdir(parents=True, exist_ok=True)
            save_model(kept, model)
        test = open_store(folder / STORE_NAME).test
        return Reference(model, score(model.weights, model.bias, test.inputs, test.labels))


def _kept(path: Path, store_digest: str) -> Model | None:
    """Return the model that an earlier call left, if it is undamaged and was trained on the same examples."""
    with contextlib.suppress(InputError):
        model = load_model(path)
        if (model.store_digest, model.step, model.seed) == (store_digest, SETTINGS.steps, SEED):
            return model
    return None
