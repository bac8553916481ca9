"""Event files for TensorBoard: their content, and that a resumed run continues where it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.formats.history import parse_history
from mnist_cli.formats.model import load_model
from mnist_cli.formats.store import open_store
from mnist_cli.pictures.colours import diverging
from tests.support.data import CLASSES, write_small_store
from tests.support.feature_maps import made_map
from tests.support.report_data import features_of
from tests.support.stages import train
from tests.support.trainings import Failing

SETTINGS: dict[str, Any] = {"batch_size": 10, "validate_every": 10, "checkpoint_every": 10}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("events") / "store.h5")


def events(folder: Path) -> list[Any]:
    """Read the files as TensorFlow reads them, in the order in which TensorBoard does."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset([str(path) for path in sorted(folder.iterdir())])
    return [tf.compat.v1.Event.FromString(record) for record in records.as_numpy_iterator()]


def test_the_picture_of_a_feature_map_is_its_grids(store: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    made = made_map("grad8")
    features_of(open_store(store), made, tmp_path / "features.h5")
    train(tmp_path / "features.h5", tmp_path, steps=10, learning_rate=0.1, tensorboard=tmp_path / "events", **SETTINGS)
    model = load_model(tmp_path / "model.h5")
    pictures = [
        value for event in events(tmp_path / "events") for value in event.summary.value if value.HasField("image")
    ]
    assert len(pictures) == len(CLASSES)
    image = tf.io.decode_png(pictures[3].image.encoded_image_string).numpy()
    places = model.layout.places()
    assert image.shape[:2] == places.shape
    assert (image[places < 0] == 200).all()
    expected = diverging(model.weights[:, 3], np.abs(model.weights).max())
    assert (image[places >= 0] == expected[places[places >= 0]]).all(), "blue is for, red against"


def shown(folder: Path) -> dict[int, dict[str, float]]:
    """Return step → tag → value, without what a START event drops."""
    found: dict[int, dict[str, float]] = {}
    for event in events(folder):
        if event.HasField("session_log"):
            found = {step: values for step, values in found.items() if step < event.step}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars = found.setdefault(event.step, {})
                assert value.tag not in scalars, f"{value.tag} of step {event.step} is written twice"
                scalars[value.tag] = value.simple_value
    return found


def test_the_history_is_written_as_scalars(store: Path, tmp_path: Path) -> None:
    train(store, tmp_path, steps=25, tensorboard=tmp_path / "events", **SETTINGS)
    records = parse_history((tmp_path / "history.jsonl").read_bytes())
    found = shown(tmp_path / "events")
    assert list(found) == [10, 20, 25]
    for record, values in zip(records, found.values(), strict=True):
        expected = {
            "loss": record.loss,
            "validation/loss": record.validation_loss,
            "validation/accuracy": record.validation_accuracy,
        }
        assert values == pytest.approx(expected)


def test_weights_are_one_image_for_each_class(store: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    train(store, tmp_path, steps=10, tensorboard=tmp_path / "events", **SETTINGS)
    images = {
        value.tag: tf.io.decode_png(value.image.encoded_image_string).numpy()
        for event in events(tmp_path / "events")
        for value in event.summary.value
        if value.HasField("image")
    }
    assert list(images) == [f"W/{name}" for name in CLASSES]
    weights = load_model(tmp_path / "model.h5").weights
    for label, image in enumerate(images.values()):
        assert math.isqrt(len(weights)) == image.shape[0] == image.shape[1]
        assert (image.reshape(-1, 3) == diverging(weights[:, label], np.abs(weights).max())).all()
        red, _, blue = (image[..., channel].astype(int).ravel() for channel in range(3))
        strong = np.abs(weights[:, label]) > np.abs(weights).max() / 10
        assert strong.any()
        assert (np.sign(blue - red) == np.sign(weights[:, label]))[strong].all(), "blue is for, red against"


def test_a_resumed_run_writes_no_step_twice(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    for crash in (30, 60):
        with pytest.raises(RuntimeError, match="crash"):
            train(store, tmp_path, steps=95, tensorboard=folder, progress=Failing(crash), **SETTINGS)
    train(store, tmp_path, steps=95, tensorboard=folder, **SETTINGS)
    train(store, tmp_path, steps=110, tensorboard=folder, **SETTINGS)
    found = shown(folder)
    assert list(found) == [*range(10, 101, 10), 110]
    train(store, tmp_path / "calm", steps=110, tensorboard=tmp_path / "calm" / "events", **SETTINGS)
    assert found == shown(tmp_path / "calm" / "events")


def test_a_run_from_the_start_drops_the_files_of_the_one_before(store: Path, tmp_path: Path) -> None:
    train(store, tmp_path, steps=50, tensorboard=tmp_path / "events", **SETTINGS)
    (tmp_path / "events" / "notes.txt").write_text("mine")
    train(store, tmp_path, steps=20, tensorboard=tmp_path / "events", resume="never", **SETTINGS)
    assert (tmp_path / "events" / "notes.txt").read_text() == "mine"
    (tmp_path / "events" / "notes.txt").unlink()
    assert list(shown(tmp_path / "events")) == [10, 20]


def test_event_files_do_not_touch_the_model(store: Path, tmp_path: Path) -> None:
    train(store, tmp_path / "without", steps=30, **SETTINGS)
    train(store, tmp_path / "with", steps=30, tensorboard=tmp_path / "events", **SETTINGS)
    for name in ("model.h5", "history.jsonl"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        train(store, tmp_path, steps=10, tensorboard=tmp_path / "file" / "events", **SETTINGS)
