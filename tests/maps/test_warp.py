"""Warped copies: against the plain program, point by point, and against another program."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cli.maps import MOST_COPIES
from mnist_cli.maps.warp import warped
from tests.support import contract, plain_layers
from tests.support.data import tiny_examples


def places(*positions: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(positions, np.int64)


@settings(max_examples=12)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([0, 5, 54_999, 2**31 - 1]),
    st.integers(1, MOST_COPIES),
    st.sampled_from([0, 1, 2**32, 2**63 - 1]),
    st.sampled_from([0.1, 0.5, 1.0, 2.0]),
)
def test_a_copy_is_that_of_the_plain_program(
    height: int, width: int, position: int, copy: int, seed: int, strength: float
) -> None:
    image = np.random.default_rng(height * width).integers(0, 256, (1, height, width), dtype=np.uint8)
    received = warped(image, places(position), copy, seed=seed, strength=strength)
    assert received[0].tolist() == plain_layers.warped(image[0].tolist(), position, copy, seed, Fraction(strength))


@pytest.mark.parametrize(("copy", "strength"), [(1, 1.0), (3, 0.5)])
def test_copies_are_those_of_the_program_of_the_contract(copy: int, strength: float) -> None:
    images, positions = tiny_examples(50, 0)[0], np.arange(7, 57)
    expected = contract.program("warp_int").warp(images, positions, copy, strength)
    assert np.array_equal(warped(images, positions, copy, strength=strength), expected)


def test_a_copy_depends_on_no_other_image() -> None:
    images = tiny_examples(20, 0)[0]
    together = warped(images, np.arange(100, 120), 2)
    apart = np.concatenate([warped(images[i : i + 1], places(100 + i), 2) for i in range(20)])
    assert np.array_equal(together, apart)


def test_copies_differ_by_position_copy_seed_and_strength() -> None:
    images = tiny_examples(1, 0)[0]
    ways = [
        warped(images, places(0), 1),
        warped(images, places(1), 1),
        warped(images, places(0), 2),
        warped(images, places(0), 1, seed=1),
        warped(images, places(0), 1, seed=2**40),
        warped(images, places(0), 1, strength=0.5),
    ]
    assert len({way.tobytes() for way in ways}) == len(ways)


def test_with_strength_zero_an_image_does_not_change() -> None:
    images = tiny_examples(5, 0)[0]
    assert np.array_equal(warped(images, np.arange(5), 1, strength=0.0), images)


def test_a_copy_is_moved_by_about_a_pixel_and_keeps_its_ink() -> None:
    images = np.zeros((300, 28, 28), np.uint8)
    images[:, 12:16, 12:16] = 255
    copies = warped(images, np.arange(300), 1).astype(float)
    ink = copies.sum(axis=(1, 2))
    centres = (copies.sum(axis=2) @ np.arange(28)) / ink
    assert 0.3 < centres.std() < 1.2
    assert abs(centres.mean() - 13.5) < 0.2
    assert abs(ink.mean() / images[0].sum(dtype=float) - 1) < 0.05


@pytest.mark.parametrize("value", [0, 255])
def test_the_extremes_stay_in_range(value: int) -> None:
    images = np.full((3, 28, 28), value, np.uint8)
    copies = warped(images, np.arange(3), 1, strength=2.0)
    assert copies.max() == value
    assert (copies[:, 10:18, 10:18] == value).all()
