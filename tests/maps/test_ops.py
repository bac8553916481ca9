"""The operations one by one: against the plain program, at the edge of what is exact, and refused beyond it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cli.maps import ops
from mnist_cli.maps.ops import Cat, Conv, Deskew, Extent, Modulus, Op, OutOfBounds, Pool, Relu2, Shrink, bounds
from tests.support import plain_maps


def integers(*values: Any) -> ops.Integers:
    return np.array(values, np.int64)


def kernel(*taps: int) -> ops.Integers:
    """Return one kernel of 3 × 3 with the given middle row."""
    made = np.zeros((1, 3, 3), np.int64)
    made[0, 1, : len(taps)] = taps
    return made


def applied(program: tuple[Op, ...], images: Any) -> Any:
    bounds(program, Extent(*images.shape[1:]))
    return ops.apply(program, ops.as_state(images), len(images))


def refusal(*program: Op, side: int = 8) -> str:
    with pytest.raises(OutOfBounds) as caught:
        bounds(program, Extent(side, side))
    return str(caught.value)


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)


def test_the_float32_root_of_every_whole_number_below_2_to_the_22_rounds_right() -> None:
    squares = np.arange(ops.ROOT, dtype=np.int64)
    roots = np.floor(np.sqrt(squares.astype(np.float32)) + np.float32(0.5)).astype(np.int64)
    # r is nearest to √N where (r − ½)² < N < (r + ½)², and whole numbers are never at the edge.
    assert (roots * roots - roots < np.maximum(squares, 1)).all()
    assert (squares <= roots * roots + roots).all()


@settings(max_examples=60)
@given(
    st.integers(1, 20),
    st.integers(1, 30),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 4),
    st.integers(0, 9),
    st.integers(0, 2**32),
)
def test_convolutions_are_those_of_the_plain_program(
    height: int, width: int, size: int, kernels: int, shift: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (2, height, width), dtype=np.uint8)
    bank = random.integers(-600, 600, (kernels, size, size))
    expected, _ = plain_maps.features([{"conv": {"kernels": bank.tolist(), "shift": shift}}], images)
    assert np.array_equal(applied((Conv(bank, shift),), images), expected)


@settings(max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 6), st.integers(0, 9), st.integers(0, 2**32))
def test_pools_are_those_of_the_plain_program(height: int, width: int, count: int, shift: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (2, height, width), dtype=np.uint8)
    rows, columns = random.integers(0, 9, (count, height)), random.integers(0, 9, (count + 1, width))
    values = {"rows": rows.tolist(), "columns": columns.tolist(), "shift": shift}
    expected, _ = plain_maps.features([{"pool": values}], images)
    assert np.array_equal(applied((Pool(rows, columns, shift),), images), expected)


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32))
def test_shrinking_is_that_of_the_plain_program(height: int, width: int, factor: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width), dtype=np.uint8)
    expected, _ = plain_maps.features([{"shrink": factor}], images)
    assert np.array_equal(applied((Shrink(factor),), images), expected)


@settings(max_examples=40)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 7),
    st.integers(0, 16),
    st.sampled_from([2, 20, 256]),
    st.integers(0, 2**32),
)
def test_deskewing_is_that_of_the_plain_program(
    height: int, width: int, position: int, shear: int, top: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, top, (2, height, width), dtype=np.uint8)
    images *= random.integers(0, 3, images.shape, dtype=np.uint8) == 0
    if position > shear + 1:
        assert "expected position from 1 to shear + 1" in refusal(Deskew(position, shear))
        return
    expected, _ = plain_maps.features([{"deskew": {"position": position, "shear": shear}}], images)
    assert np.array_equal(applied((Deskew(position, shear),), images), expected)


@pytest.mark.parametrize(("height", "width"), [(85, 85), (86, 86), (170, 20)])
def test_images_of_every_accepted_size_are_deskewed_exactly(height: int, width: int) -> None:
    images = np.zeros((3, height, width), np.uint8)
    images[0] = 255
    images[1, 0, 0] = images[1, -1, -1] = images[1, 0, -1] = 255
    images[2] = np.tri(height, width) * 255
    expected, _ = plain_maps.features(["deskew"], images)
    assert np.array_equal(applied((Deskew(6, 10),), images), expected)


@pytest.mark.parametrize(("height", "width"), [(87, 87), (4096, 4096), (1, 400)])
def test_images_whose_moments_are_too_large_are_refused(height: int, width: int) -> None:
    with pytest.raises(OutOfBounds, match=rf"^operation 1, deskew: .*; received {height} × {width}: shrink them first"):
        bounds((Deskew(6, 10),), Extent(height, width))


def test_the_parts_of_a_map_stand_map_by_map_and_row_by_row() -> None:
    first, second = kernel(0, 1), kernel(0, 2)
    program = (Conv(np.concatenate([first, second]), 0), Conv(np.concatenate([first, first * 3]), 0), Relu2())
    received = applied(program, IMAGES)
    flat = IMAGES.reshape(3, -1).astype(int)
    none = np.zeros_like(flat)
    assert np.array_equal(
        received, np.concatenate([flat, flat * 3, none, none, flat * 2, flat * 6, none, none], axis=1)
    )


def test_programs_side_by_side_see_the_same_state() -> None:
    inner: tuple[ops.Program, ...] = ((Conv(kernel(0, 1), 0), Relu2()), (Conv(kernel(0, -1), 0), Relu2()), ())
    received = applied((Cat(inner),), IMAGES)
    flat, none = IMAGES.reshape(3, -1), np.zeros((3, 64))
    assert np.array_equal(received, np.concatenate([flat, none, none, flat, flat], axis=1))


def test_halves_go_up() -> None:
    images = np.array([[[1, 2, 3, 5, 6, 7]]], np.uint8)
    received = applied((Conv(np.concatenate([kernel(0, 1), kernel(0, -1)]), 2),), images)
    assert received.tolist() == [[0, 1, 1, 1, 2, 2, 0, 0, -1, -1, -1, -2]]


# At the edge: the largest sum is one below what is refused, and an image that reaches it is exact.


def test_a_convolution_just_below_the_bound_is_exact_and_one_at_it_is_refused() -> None:
    most = 2**24 // 255  # 255 · 65,793 = 2^24 − 1
    images = np.full((1, 8, 8), 255, np.uint8)
    for taps in ((0, most), (most - 1, 1), (-most + 1, -1)):
        program = (Conv(kernel(*taps), 0),)
        expected, _ = plain_maps.features([{"conv": {"kernels": kernel(*taps).tolist(), "shift": 0}}], images)
        assert np.array_equal(applied(program, images), expected)
        assert np.abs(expected).max() == 2**24 - 1
    assert refusal(Conv(kernel(1, most), 0)).startswith("operation 1, conv: sums up to 2^24.0: expected less than 2^24")
    assert "conv: sums" in refusal(Conv(kernel(0, most), 1)), "the half that is added counts"


def test_negative_values_count_on_both_sides() -> None:
    half = 2**23 // 255
    signed = Conv(kernel(-1, 0, 1), 0)
    assert bounds((signed, Conv(kernel(half - 1, half), 0)), Extent(8, 8)).max() < 2**24
    assert refusal(signed, Conv(kernel(half + 1, -half - 1), 0)).startswith("operation 2, conv: sums")


def test_a_pool_just_below_the_bound_is_exact_and_one_at_it_is_refused() -> None:
    images = np.full((1, 8, 8), 255, np.uint8)
    rows, columns = integers([1] * 8), integers([1028] * 8)
    assert 255 * rows.sum() * columns.sum() < 2**24
    expected, _ = plain_maps.features(
        [{"pool": {"rows": rows.tolist(), "columns": columns.tolist(), "shift": 0}}], images
    )
    assert np.array_equal(applied((Pool(rows, columns, 0),), images), expected)
    assert refusal(Pool(rows, columns + 1, 0)).startswith("operation 1, pool: sums up to 2^24.0")


def test_a_modulus_just_below_the_bound_is_exact_and_one_at_it_is_refused() -> None:
    images = np.full((1, 8, 8), 1, np.uint8)
    images[0, ::2] = 255
    bank = np.concatenate([kernel(0, 5), kernel(0, 6)])
    expected, largest = plain_maps.features([{"conv": {"kernels": bank.tolist(), "shift": 0}}, "modulus"], images)
    assert np.array_equal(applied((Conv(bank, 0), Modulus()), images), expected)
    assert bounds((Conv(bank, 0), Modulus()), Extent(8, 8)).tolist() == largest
    larger = np.concatenate([kernel(0, 6), kernel(0, 6)])  # 2 · 1,530² > 2^22
    assert refusal(Conv(larger, 0), Modulus()).startswith("operation 2, modulus: squares up to 4,681,800: expected")


def test_operations_refuse_what_does_not_suit_them() -> None:
    assert refusal(Conv(np.concatenate([kernel(1)] * 3), 0), Modulus()) == (
        "operation 2, modulus: expected pairs of maps; received 3"
    )
    assert refusal(Conv(kernel(1), 0), Shrink(2)).startswith("operation 2, shrink: expected the bytes of an image")
    assert refusal(Relu2(), Deskew(6, 10)).startswith("operation 2, deskew: expected the bytes of an image")
    assert refusal(Pool(integers([1] * 7), integers([1] * 8), 0)) == (
        "operation 1, pool: expected windows over 8 × 8 values; received 7 × 8"
    )
    assert "expected weights from 0 up to 2^24" in refusal(Pool(integers([1] * 7 + [-1]), integers([1] * 8), 0))
    assert refusal(
        Cat(((Relu2(),), (Relu2(), Conv(kernel(2**20), 0)))),
    ).startswith("operation 1.2.2, conv: sums up")
    assert refusal(Cat(((),)), Relu2()) == "operation 1, cat: expected it to be the last operation"


@pytest.mark.parametrize(
    "op",
    [
        Conv(np.full((1, 17, 17), 2**31 - 1), 0),  # int64 would overflow
        Conv(np.full((1, 3, 5), 1), 0),
        Conv(np.full((1, 2, 2), 1), 0),
        Conv(kernel(1), -1),
        Conv(kernel(1), 30),
        Pool(np.full((1, 8), 2**62), np.full((1, 8), 2**62), 0),
        Pool(integers([1] * 8), integers([1] * 8), -1),
        Shrink(0),
        Shrink(-2),
        Shrink(4000),
        Deskew(0, 10),
        Deskew(6, 60),
    ],
)
def test_operations_that_no_map_file_can_describe_are_refused_too(op: Op) -> None:
    assert refusal(op).startswith(f"operation 1, {op.name}: ")


def test_programs_with_too_many_values_per_image_are_refused() -> None:
    many = Conv(np.concatenate([kernel(1)] * 256), 0)
    assert refusal(many, many).startswith("operation 2, conv: expected at most ")
    assert "features" in refusal(Cat(((many,),) * 10))
    assert "features" in refusal(Cat(((),) * 1_000_000))
