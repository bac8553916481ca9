"""The feature map in a store and in a model: a damaged or inexact map is refused with the file's name."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mnist_cli.errors import FormatError
from mnist_cli.formats.hdf5_writing import write_text
from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.maps.feature_map import FeatureMap, document_of, from_document
from mnist_cli.maps.ops import OutOfBounds
from tests.support.data import CLASSES, write_strokes
from tests.support.stages import features

Read = Callable[[Path], Any]
SHAPE = (12, 10)
PROGRAM = """
program:
  - cat:
      - - conv: {kernels: differences, shift: 4}
        - relu2
        - pool: {box: 4, shift: 4}
      - - pool: {gauss: 1, every: 4, shift: 6}
exemplars: {directions: 4, count: 6}
"""


def read_store(path: Path) -> FeatureMap | None:
    return open_store(path).feature_map


def read_model(path: Path) -> FeatureMap | None:
    return load_model(path).feature_map


READERS: dict[str, Read] = {"store.h5": read_store, "model.h5": read_model}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of features and a model of them."""
    folder = tmp_path_factory.mktemp("map")
    (folder / "map.yaml").write_text(PROGRAM)
    features(write_strokes(folder / "pixels.h5", SHAPE), folder, map=str(folder / "map.yaml"), deskew=True)
    made = read_store(folder / "store.h5")
    assert made is not None
    weights = np.random.default_rng(0).integers(-(2**20), 2**20, (len(made), 10)) / 2**24
    model = Model(weights, weights[0].copy(), CLASSES, 10, 3, "ab" * 32, SHAPE, feature_map=made)
    save_model(folder / "model.h5", model)
    return folder


@pytest.fixture(params=READERS)
def path(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Path:
    """A copy of the store or the model, to be damaged."""
    target = tmp_path / str(request.param)
    target.write_bytes((made / request.param).read_bytes())
    return target


def refused(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        READERS[path.name](path)
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.message.replace("\n", "").isprintable()
    assert len(caught.value.message) < 1000
    return caught.value.message


def test_a_map_comes_back_from_a_store_and_from_a_model(made: Path) -> None:
    one, other = read_store(made / "store.h5"), read_model(made / "model.h5")
    assert one is not None
    assert other is not None
    assert one.digest == other.digest
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    assert np.array_equal(one.rows(images), other.rows(images))


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bits_are_refused_or_change_nothing(path: Path, seed: int) -> None:
    good = path.read_bytes()
    original = READERS[path.name](path).digest
    with h5py.File(path) as file:
        places = [(item.id.get_offset(), item.id.get_storage_size()) for item in file["/map"].values()]
    dice = random.Random(seed)
    header = [*range(2048), *range(len(good) - 6000, len(good))]
    arrays = [offset + dice.randrange(size) for offset, size in places]
    for position in [*arrays, *(dice.choice(header) for _ in range(15))]:
        content = bytearray(good)
        content[position] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
        try:
            assert READERS[path.name](path).digest == original
        except FormatError as error:
            assert error.message.startswith(f"{path}: ")
        else:
            assert position not in arrays


def array(change: Callable[[Any], Any], number: int = 0) -> Callable[[h5py.File], None]:
    """Return an edit that replaces an array of the map."""

    def edit(file: h5py.File) -> None:
        name = f"/map/{number:03}"
        value = change(file[name][()])
        del file[name]
        file[name] = value

    return edit


def document(change: Callable[[Any], Any]) -> Callable[[h5py.File], None]:
    """Return an edit of the map's document."""

    def edit(file: h5py.File) -> None:
        content = json.loads(file["/map"].attrs["document"])
        text = change(content)
        del file["/map"].attrs["document"]
        write_text(file["/map"], "document", text if isinstance(text, str) else json.dumps(content))

    return edit


EDITS: dict[str, Callable[[h5py.File], Any]] = {
    "another value": array(lambda value: value + 1),
    "int64": array(lambda value: value.astype("<i8")),
    "float32": array(lambda value: value.astype("<f4")),
    "int16": array(lambda value: value.astype("<i2")),
    "other byte order": array(lambda value: value.astype(">i4")),
    "one dimension more": array(lambda value: value[np.newaxis]),
    "one dimension less": array(lambda value: value.ravel()),
    "a number": array(lambda value: np.int32(5)),
    "nothing": array(lambda value: value[:0]),
    "text": array(lambda value: "text"),
    "fewer windows": array(lambda value: value[:1], 1),
    "fewer factors": array(lambda value: value[:-1], 5),
    "huge weights": array(lambda value: np.full_like(value, 2**31 - 1)),
    "the smallest weights": array(lambda value: np.full_like(value, -(2**31))),
    "an array is gone": lambda file: file.__delitem__("/map/001"),
    "the last array is gone": lambda file: file.__delitem__(f"/map/{len(file['/map']) - 1:03}"),
    "an array is a group": lambda file: (file.__delitem__("/map/001"), file.create_group("/map/001")),
    "an array more": lambda file: file.__setitem__(f"/map/{len(file['/map']):03}", np.ones(3, "<i4")),
    "another name": lambda file: file.move("/map/000", "/map/zero"),
    "an array elsewhere": lambda file: file.__setitem__("/map/inner/000", np.ones(3, "<i4")),
    "the map is an array": lambda file: (file.__delitem__("/map"), file.__setitem__("/map", np.ones(3, "<i4"))),
    "the map is gone": lambda file: file.__delitem__("/map"),
    "no document": lambda file: file["/map"].attrs.__delitem__("document"),
    "no digest": lambda file: file["/map"].attrs.__delitem__("digest"),
    "another digest": lambda file: write_text(file["/map"], "digest", "0" * 64),
    "a digest with escapes": lambda file: write_text(file["/map"], "digest", "\x1b[2J"),
    "a document that is a number": document(lambda _: "7"),
    "a document that is no JSON": document(lambda _: "{"),
    "a document that nests": document(lambda _: "[" * 60_000),
    "an empty document": document(lambda _: "{}"),
}
CHANGES: dict[str, Callable[[Any], Any]] = {
    "another name": lambda content: content.update(name="other"),
    "a name with escapes": lambda content: content.update(name="\x1b[2J"),
    "a name that is a number": lambda content: content.update(name=7),
    "another shape": lambda content: content.update(shape=[10, 12]),
    "a huge shape": lambda content: content.update(shape=[4096, 4096]),
    "an endless shape": lambda content: content.update(shape=[2**40, 2**40]),
    "no shape": lambda content: content.update(shape=[0, 5]),
    "another zero": lambda content: content.update(zero=0),
    "another step": lambda content: content.update(step=0),
    "no program": lambda content: content.update(program=[]),
    "a program that is a number": lambda content: content.update(program=7),
    "a program that is text": lambda content: content.update(program="conv"),
    "no exemplars": lambda content: content.update(exemplars=None),
    "exemplars that are a list": lambda content: content.update(exemplars=[]),
    "one key more": lambda content: content.update(more=1),
    "an unknown operation": lambda content: content["program"].insert(0, {"op": "blur"}),
    "an operation without a name": lambda content: content["program"].insert(0, {}),
    "an operation that is a number": lambda content: content["program"].insert(0, 7),
    "one value more": lambda content: content["program"][0].update(more=1),
    "one value less": lambda content: content["program"][0].pop("shear"),
    "a factor of 0": lambda content: content["program"].insert(0, {"op": "shrink", "factor": 0}),
    "a factor that is true": lambda content: content["program"].insert(0, {"op": "shrink", "factor": True}),
    "a factor with a fraction": lambda content: content["program"].insert(0, {"op": "shrink", "factor": 1.0}),
    "a factor that is text": lambda content: content["program"].insert(0, {"op": "shrink", "factor": "1"}),
    "a shift of −1": lambda content: content["quantiser"].update(shift=-1),
    "a shift of 64": lambda content: content["quantiser"].update(shift=64),
    "a shift without end": lambda content: content["quantiser"].update(shift=10**30),
    "a shift of NaN": lambda content: content["quantiser"].update(shift=float("nan")),
    "an array of no number": lambda content: content["quantiser"].update(factors={"array": "x"}),
    "an array from the end": lambda content: content["quantiser"].update(factors={"array": -1}),
    "an array that is not there": lambda content: content["quantiser"].update(factors={"array": 99}),
    "numbers instead of an array": lambda content: content["quantiser"].update(factors=[1, 2]),
    "swapped arrays": lambda content: content["quantiser"].update(
        factors=content["quantiser"]["offsets"], offsets=content["quantiser"]["factors"]
    ),
    "the same twice": lambda content: content.update(program=content["program"] * 2),
    "cat of nothing": lambda content: content.update(program=[{"op": "cat", "programs": []}]),
    "cat of millions": lambda content: content.update(program=[{"op": "cat", "programs": [[]] * 200_000}]),
    "cat of a number": lambda content: content.update(program=[{"op": "cat", "programs": 7}]),
    "cat within cat": lambda content: content.update(program=nested(content["program"], 300)),
    "something after cat": lambda content: content["program"].append({"op": "relu2"}),
}


def nested(program: Any, depth: int) -> Any:
    for _ in range(depth):
        program = [{"op": "cat", "programs": [program]}]
    return program


@pytest.mark.parametrize("what", EDITS)
def test_a_map_of_other_arrays_or_texts_is_refused(path: Path, what: str) -> None:
    with h5py.File(path, "r+") as file:
        EDITS[what](file)
    refused(path)


@pytest.mark.parametrize("what", ["a shift of 64", "cat within cat", "another shape", "an unknown operation"])
def test_a_map_with_another_document_is_refused(path: Path, what: str) -> None:
    with h5py.File(path, "r+") as file:
        document(CHANGES[what])(file)
    assert "/map is not a feature map" in refused(path)


@pytest.mark.parametrize("what", CHANGES)
def test_an_invalid_document_is_refused_even_with_its_own_digest(made: Path, what: str) -> None:
    feature_map = read_store(made / "store.h5")
    assert feature_map is not None
    content, arrays = document_of(feature_map)
    changed = copy.deepcopy(content)
    CHANGES[what](changed)
    try:
        other = from_document(changed, arrays)
    except OutOfBounds as problem:
        assert len(str(problem)) < 500
    else:
        assert "name" in what
        assert other.digest != feature_map.digest


def wrong_shape(folder: Path, target: Path, name: str) -> None:
    """Write a file that states images of 10 × 12, with a map for 12 × 10 of the right digest."""
    target.write_bytes((folder / name).read_bytes())
    with h5py.File(target, "r+") as file:
        del file.attrs["shape"]
        write_text(file, "shape", "[10, 12]")


def test_a_map_for_images_of_another_shape_is_refused(path: Path, made: Path) -> None:
    wrong_shape(made, path, path.name)
    refused(path)


def test_a_map_of_another_number_of_features_is_refused(made: Path, tmp_path: Path) -> None:
    features(made / "pixels.h5", tmp_path, map="grad8")
    with h5py.File(tmp_path / "store.h5", "r+") as target, h5py.File(made / "store.h5") as source:
        del target["/map"]
        source.copy("/map", target)
    with pytest.raises(FormatError, match=r"/map does not fit the rows\nexpected 72 features of images \[12, 10\]"):
        read_store(tmp_path / "store.h5")


def test_a_store_of_features_without_a_map_is_refused_at_once(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "store.h5"
    target.write_bytes((made / "store.h5").read_bytes())
    with h5py.File(target, "r+") as file:
        del file["/map"]
    with pytest.raises(FormatError, match="zero and step do not fit the rows"):
        open_store(target)
