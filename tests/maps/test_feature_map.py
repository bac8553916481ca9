"""Whole maps against the plain program, another program, the contract's digests, and themselves in other blocks."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cli.maps import feature_map
from mnist_cli.maps.description import Description, find_map
from mnist_cli.maps.feature_map import FeatureMap, whole_features
from mnist_cli.maps.ops import Extent, bounds
from mnist_cli.maps.programs import make_program
from mnist_cli.maps.quantising import FIT_EXAMPLES, fit_quantiser
from tests.support import contract, plain_maps
from tests.support.data import tiny_examples

Bytes = npt.NDArray[np.uint8]
NAMES = ("grad8", "scat1", "scat2")
# The first twelve digits of the SHA-256 of the features of MNIST's test images, fitted to 3,000 training images.
CONTRACT = {
    ("grad8", False): "6208fbcb7344",
    ("grad8", True): "f93c967c7ed8",
    ("scat1", False): "65967e0cd0f7",
    ("scat1", True): "f2683cd7865c",
    ("scat2", True): "5be9a5522acf",
}


def drawn(shape: tuple[int, int], count: int = 3, seed: int = 0) -> Bytes:
    """Return strokes on black and the extremes: all 0, all 255, and one pixel."""
    random = np.random.default_rng([seed, *shape])
    images = random.integers(0, 256, (count + 3, *shape), dtype=np.uint8)
    images[:count] *= random.integers(0, 4, (count, *shape), dtype=np.uint8) == 0
    images[count:] = 0
    images[count + 1] = 255
    images[count + 2, shape[0] // 3, shape[1] // 4] = 7
    return images


def plainly(name: str, images: Bytes, *, deskew: bool, shrink: int = 1) -> tuple[plain_maps.Array, list[int]]:
    program = plain_maps.described(name, deskew=deskew)
    return plain_maps.features([*([{"shrink": shrink}] if shrink > 1 else []), *program], images)


def fitted(name: str, images: Bytes, *, deskew: bool = False) -> FeatureMap:
    shape = (images.shape[1], images.shape[2])
    program = make_program(find_map(name), shape, deskew=deskew)
    quantiser = fit_quantiser(whole_features(program, images), bounds(program, Extent(*shape)))
    made = FeatureMap(name, shape, program, quantiser)
    made.check()
    return made


@pytest.mark.parametrize("deskew", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(16, 16), (40, 24), (28, 28), (17, 9), (13, 31)])
def test_features_and_their_bounds_are_those_of_the_plain_program(
    name: str, deskew: bool, shape: tuple[int, int]
) -> None:
    images = drawn(shape)
    program = make_program(find_map(name), shape, deskew=deskew)
    expected, largest = plainly(name, images, deskew=deskew)
    received = whole_features(program, images)
    assert np.array_equal(received, expected)
    assert bounds(program, Extent(*shape)).tolist() == largest
    assert (np.abs(received) <= largest).all()


@pytest.mark.parametrize(("shape", "factor"), [((65, 30), 2), ((64, 64), 1), ((40, 129), 3)])
def test_images_with_a_side_above_64_are_shrunk_first(shape: tuple[int, int], factor: int) -> None:
    images = drawn(shape, 1)
    expected, _ = plainly("grad8", images, deskew=True, shrink=factor)
    received = whole_features(make_program(find_map("grad8"), shape, deskew=True), images)
    assert np.array_equal(received, expected)


@settings(max_examples=15)
@given(
    st.integers(3, 33),
    st.integers(3, 33),
    st.sampled_from(NAMES),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_any_size_and_any_image_give_the_features_of_the_plain_program(
    height: int, width: int, name: str, deskew: bool, seed: int
) -> None:
    images = drawn((height, width), 1, seed)
    expected, _ = plainly(name, images, deskew=deskew)
    assert np.array_equal(
        whole_features(make_program(find_map(name), (height, width), deskew=deskew), images), expected
    )


@pytest.mark.parametrize(("name", "shape"), [("grad8", (28, 28)), ("scat1", (11, 14)), ("scat2", (9, 7))])
def test_the_bytes_are_those_of_the_plain_program(name: str, shape: tuple[int, int]) -> None:
    images = drawn(shape, 8)
    whole, largest = plainly(name, images, deskew=True)
    plain = plain_maps.fit_quantiser(whole, largest)
    made = fitted(name, images, deskew=True)
    assert made.quantiser.factors.tolist() == plain.factors
    assert made.quantiser.offsets.tolist() == plain.offsets
    assert made.quantiser.shift == plain.shift
    assert np.array_equal(made.rows(images), plain(whole))


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 2**13), st.integers(0, 2**32))
def test_the_quantiser_is_that_of_the_plain_program(count: int, top: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = random.integers(0, top + 1, (count, 6))
    whole[:, 0] = 0
    largest = [top] * 6
    try:
        plain = plain_maps.fit_quantiser(whole, largest)
    except AssertionError:
        return  # the next test
    made = fit_quantiser(whole.astype(np.float32), np.array(largest))
    assert (made.factors.tolist(), made.offsets.tolist(), made.shift) == (plain.factors, plain.offsets, plain.shift)
    every = np.array([[0] * 6, largest, *whole.tolist()])
    assert np.array_equal(made.bytes_of(every.astype(np.float32)), plain(every))


def test_bytes_are_standardised() -> None:
    images = tiny_examples(500, 0)[0]
    rows = fitted("grad8", images).rows(images).astype(float)
    varied = rows.std(axis=0) > 20
    assert varied.sum() > 20
    assert np.abs(rows.mean(axis=0)[varied] - 80).max() < 10
    assert (rows.std(axis=0) < 40).all()


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_the_size_of_a_block_changes_no_byte(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    images = tiny_examples(120, 1)[0]
    made = fitted("scat1", images[:30], deskew=True)
    expected = made.rows(images)
    monkeypatch.setattr(feature_map, "BLOCK", block)
    assert np.array_equal(made.rows(images), expected)


def test_rows_accepts_images_in_either_shape_and_does_not_change_them() -> None:
    images = drawn((28, 28))
    made = fitted("scat1", images)
    kept = images.copy()
    assert np.array_equal(made.rows(images), made.rows(images.reshape(len(images), 784)))
    assert np.array_equal(images, kept)
    assert made.rows(images[:0]).shape == (0, len(made))


def test_copies_are_changed_after_shrinking_and_deskewing() -> None:
    images = drawn((28, 28), 2)
    seen: list[Bytes] = []

    def change(given: Bytes) -> Bytes:
        seen.append(given)
        return given[:, ::-1]

    made = fitted("grad8", images, deskew=True)
    rows = made.block(images, change)
    deskewed, _ = plain_maps.features(["deskew"], images)
    assert np.array_equal(seen[0].reshape(len(images), -1), deskewed)
    turned = deskewed.reshape(images.shape).astype(np.uint8)[:, ::-1]
    expected, _ = plainly("grad8", turned, deskew=False)
    plain = plain_maps.Quantiser(made.quantiser.factors.tolist(), made.quantiser.offsets.tolist(), made.quantiser.shift)
    assert np.array_equal(rows, plain(expected))


@pytest.fixture
def real_images(real_mnist: Path) -> tuple[Bytes, Bytes]:
    """The first training images after the 5,000 of the validation split, and the test images."""

    def read(name: str) -> Bytes:
        content = gzip.decompress((real_mnist / name).read_bytes())
        return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)

    train = read("train-images-idx3-ubyte.gz")
    return train[5000 : 5000 + FIT_EXAMPLES], read("t10k-images-idx3-ubyte.gz")


@pytest.mark.parametrize(
    ("name", "deskew"),
    [pytest.param(name, deskew, marks=[] if name == "grad8" else pytest.mark.exhaustive) for name, deskew in CONTRACT],
)
def test_the_test_images_of_mnist_have_the_features_of_the_contract(
    real_images: tuple[Bytes, Bytes], name: str, deskew: bool
) -> None:
    sample, test = real_images
    rows = fitted(name, sample, deskew=deskew).rows(test)
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:12] == CONTRACT[name, deskew]


@pytest.mark.parametrize("deskew", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_of_the_program_of_the_contract(name: str, deskew: bool) -> None:
    reference = contract.program("features_int")
    images = np.concatenate([drawn((28, 28), 20), tiny_examples(20, 0)[0]])
    program = reference.program(f"{name}+deskew" if deskew else name)
    affine = reference.fit(reference.features(program, images), reference.bound(program))
    made = fitted(name, images, deskew=deskew)
    assert affine == {
        "a": made.quantiser.factors.tolist(),
        "c": made.quantiser.offsets.tolist(),
        "s": made.quantiser.shift,
    }
    assert np.array_equal(made.rows(images), reference.store(program, images, affine))


def test_a_map_reads_back_equal_from_its_document() -> None:
    made = fitted("scat2", drawn((28, 28)), deskew=True)
    document, arrays = feature_map.document_of(made)
    again = feature_map.from_document(document, arrays)
    assert again.digest == made.digest
    assert np.array_equal(again.rows(drawn((28, 28))), made.rows(drawn((28, 28))))


def test_the_digest_of_a_map_covers_everything_that_determines_a_feature() -> None:
    images = drawn((28, 28))
    digests = {
        fitted(name, images[: len(images) - less], deskew=deskew).digest
        for name in NAMES
        for deskew in (False, True)
        for less in (0, 1)
    }
    assert len(digests) == 12


def test_every_shipped_map_has_a_title() -> None:
    described: list[Description] = [find_map(name) for name in (*NAMES, "scat2-exemplars")]
    assert all(each.title for each in described)
    assert [each.identity for each in described] == [*NAMES, "scat2-exemplars"]
