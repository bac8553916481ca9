"""The model file and the answers of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.model import Model, load_model, save_model
from tests.support import reference

CLASSES = tuple("0123456789")


def random_model(seed: int = 0, pixels: int = 784) -> Model:
    random = np.random.default_rng(seed)
    weights = np.rint(random.normal(0, 0.3, (pixels, 10)) * 2**24) / 2**24
    bias = np.rint(random.normal(0, 1, 10) * 2**24) / 2**24
    shape = (28, pixels // 28) if pixels % 28 == 0 else (1, pixels)
    return Model(weights, bias, CLASSES, step=1000, seed=2**63 - 1, store_digest="ab" * 32, shape=shape)


def random_images(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path / "model.h5", random_model())
    return tmp_path / "model.h5"


def test_a_saved_model_loads_unchanged(saved: Path) -> None:
    model, loaded = random_model(), load_model(saved)
    assert (loaded.weights == model.weights).all()
    assert (loaded.bias == model.bias).all()
    for name in ("classes", "step", "seed", "store_digest", "shape"):
        assert getattr(loaded, name) == getattr(model, name)


def write_older(path: Path, model: Model, schema: bytes) -> None:
    """Write a file as earlier versions did: float32, with the digest of the float32 values."""
    save_model(path, model)
    content = b""
    with h5py.File(path, "r+") as file:
        for name, array in (("W", model.weights), ("b", model.bias)):
            replace_array(file, name, array.astype("<f4"))
            content += array.astype("<f4").tobytes()
        file.attrs.modify("schema", np.bytes_(schema))
        file.attrs.modify("digest", np.bytes_(hashlib.sha256(content).hexdigest().encode()))


@pytest.mark.parametrize(("pixels", "shape"), [(784, (28, 28)), (6, (1, 6)), (1, (1, 1))])
def test_a_file_of_the_first_schema_is_read_with_the_likely_shape(
    tmp_path: Path, pixels: int, shape: tuple[int, int]
) -> None:
    write_older(tmp_path / "model.h5", random_model(pixels=pixels), b"mnist-model/1")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        for name in ("shape", "input_zero", "input_step"):
            del file.attrs[name]
    assert load_model(tmp_path / "model.h5").shape == shape


def test_a_file_of_the_second_schema_is_read_as_float64(tmp_path: Path) -> None:
    model = random_model()
    write_older(tmp_path / "model.h5", model, b"mnist-model/2")
    loaded = load_model(tmp_path / "model.h5")
    assert loaded.weights.dtype == np.float64
    assert (loaded.weights == model.weights.astype(np.float32)).all()
    assert loaded.shape == (28, 28)


def test_equal_models_give_equal_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again.h5", random_model())
    assert saved.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_the_digest_is_that_of_the_bytes_of_both_arrays() -> None:
    model = random_model()
    content = model.weights.astype("<f8").tobytes() + model.bias.astype("<f8").tobytes()
    assert model.digest == hashlib.sha256(content).hexdigest()


def test_the_digest_does_not_distinguish_minus_zero_from_zero() -> None:
    one, other = (Model(np.full((1, 2), zero), np.full(2, zero), ("a", "b"), 1, 0, "", (1, 1)) for zero in (0.0, -0.0))
    assert one.digest == other.digest


def test_logits_of_bytes_are_exact() -> None:
    model, images = random_model(), random_images(700, 784)
    units = model.weights * 2**24
    for image, received in zip(images[:5], model.logits(images)[:5], strict=True):
        for label in range(10):
            total = sum(int(q) * int(v) for q, v in zip(image, units[:, label], strict=True))
            assert received[label] == (total + 255 * int(model.bias[label] * 2**24)) / 2**24 / 255


def test_probabilities_agree_with_the_reference() -> None:
    model, images = random_model(), random_images(2500, 784)
    expected = reference.probabilities(images, model.weights.astype(float), model.bias.astype(float))
    received = model.probabilities(images)
    assert received.dtype == np.float64
    assert np.abs(received - expected).max() < 1e-12
    assert (model.predict(images) == expected.argmax(axis=1)).all()


def test_probabilities_survive_large_logits() -> None:
    model = Model(np.full((4, 2), 1e30), np.array([0, 1e38]), ("a", "b"), 1, 0, "", (2, 2))
    assert model.probabilities(np.full(4, 255, np.uint8)).tolist() == [[0, 1]]


@pytest.mark.parametrize("shape", [(1, 784), (784,), (1, 28, 28), (28, 28)])
def test_a_single_image_may_come_in_any_shape(shape: tuple[int, ...]) -> None:
    image = random_images(784)
    expected = random_model().probabilities(image[np.newaxis])
    assert (random_model().probabilities(image.reshape(shape)) == expected).all()


def test_bytes_and_their_255th_parts_mean_the_same() -> None:
    images = random_images(3, 28, 28)
    scaled = images.astype(np.float32) / np.float32(255)
    assert np.abs(random_model().logits(images) - random_model().logits(scaled)).max() < 1e-5


def test_no_images_give_no_answers() -> None:
    assert random_model().probabilities(np.empty((0, 784), np.uint8)).shape == (0, 10)
    assert random_model().predict(np.empty((0, 28, 28), np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (np.zeros((2, 784)), "received float64"),
        (np.zeros((2, 784), np.int64), "received int64"),
        (np.zeros((2, 783), np.uint8), r"received \[2, 783\]"),
        (np.zeros((2, 28, 27), np.uint8), r"received \[2, 28, 27\]"),
        (np.zeros((1, 2, 28, 14), np.uint8), r"received \[1, 2, 28, 14\]"),
        (np.uint8(3), r"received \[\]"),
        (np.full(784, 255, np.float32), "received 255 to 255"),
        (np.full(784, -0.1, np.float32), "received -0.1 to -0.1"),
        (np.full(784, np.nan, np.float32), "received nan to nan"),
    ],
)
def test_images_of_another_type_shape_or_range_are_refused(images: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        random_model().predict(images)


def test_a_missing_model_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as caught:
        load_model(tmp_path / "model.h5")
    assert caught.value.hint == "run 'mnist train'"


def replace_array(file: h5py.File, name: str, array: npt.NDArray[Any]) -> None:
    del file[name]
    file[name] = array


def set_item(file: h5py.File, name: str, position: Any, value: float) -> None:
    file[name][position] = value


DAMAGE: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "another schema": (lambda file: file.attrs.modify("schema", np.bytes_(b"other/1")), "not a model of this version"),
    "no schema": (lambda file: file.attrs.__delitem__("schema"), "no attribute 'schema'"),
    "no b": (lambda file: file.__delitem__("b"), "not the arrays of a model"),
    "one more array": (lambda file: file.__setitem__("c", [1.0]), "not the arrays of a model"),
    "float32": (lambda file: replace_array(file, "W", np.zeros((784, 10), np.float32)), "/W has the wrong type"),
    "flat W": (lambda file: replace_array(file, "W", np.zeros(7840)), "/W has the wrong type"),
    "long b": (lambda file: replace_array(file, "b", np.zeros(11)), "do not fit"),
    "NaN": (lambda file: set_item(file, "W", (3, 3), np.nan), "/W is not finite"),
    "infinity": (lambda file: set_item(file, "b", 3, np.inf), "/b is not finite"),
    "another weight": (lambda file: set_item(file, "W", (3, 3), 0.25), "W and b do not match their digest"),
    "classes no JSON": (lambda file: file.attrs.modify("classes", np.bytes_(b"[")), "is not JSON"),
    "classes no list": (lambda file: file.attrs.modify("classes", np.bytes_(b"{}")), "attribute 'classes' is wrong"),
    "another shape": (lambda file: file.attrs.modify("shape", np.bytes_(b"[28, 29]")), "attribute 'shape' is wrong"),
    "shape no list": (lambda file: file.attrs.modify("shape", np.bytes_(b"784")), "attribute 'shape' is wrong"),
    "no shape": (lambda file: file.attrs.__delitem__("shape"), "no attribute 'shape'"),
    "features": (lambda file: file.attrs.modify("input_step", np.int64(32)), "its inputs are not pixels"),
    "no step": (lambda file: file.attrs.__delitem__("step"), "attribute 'step' is wrong"),
    "seed no number": (lambda file: file.attrs.create("seed", 0.5), "attribute 'seed' is wrong"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused(saved: Path, damage: str) -> None:
    do_damage, complaint = DAMAGE[damage]
    with h5py.File(saved, "r+") as file:
        do_damage(file)
    with pytest.raises(FormatError, match=complaint) as caught:
        load_model(saved)
    assert caught.value.hint == "run 'mnist train'"


def test_a_file_that_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"<html>")
    with pytest.raises(FormatError):
        load_model(tmp_path / "model.h5")
