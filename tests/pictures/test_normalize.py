"""Pictures become images like those of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mnist_cli.errors import InputError
from mnist_cli.formats.store import open_store
from mnist_cli.pictures import normalize as normalizing
from mnist_cli.pictures.luminance import area_average, luminance, shrunk
from mnist_cli.pictures.normalize import centre_of_mass
from tests.support.data import digit
from tests.support.stages import fetch, preprocess

Bytes = npt.NDArray[np.uint8]


def normalize(image: Any, shape: tuple[int, int] = (28, 28)) -> Bytes:
    """Normalise to MNIST's shape, where a test does not say another."""
    return normalizing.normalize(image, shape)


def closeness(first: Bytes, second: Bytes) -> float:
    """Correlation of two images, 1 where one is the other."""
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def slow_area_average(image: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float64]:
    """The mean over each new pixel's area, from a copy in which every old pixel is cut into height × width parts."""
    fine = np.kron(image.astype(float), np.ones((height, width)))
    rows, columns = image.shape
    means: npt.NDArray[np.float64] = fine.reshape(height, rows, width, columns).mean(axis=(1, 3))
    return means


@given(st.tuples(*[st.integers(1, 12)] * 4), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_area_averages_agree_with_the_slow_way(sizes: tuple[int, int, int, int], seed: int) -> None:
    rows, columns, height, width = sizes
    image = np.random.default_rng(seed).random((rows, columns), dtype=np.float32)
    assert area_average(image, height, width) == pytest.approx(slow_area_average(image, height, width), abs=1e-5)


def test_the_centre_of_mass_is_the_weighted_mean_of_the_positions() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5)).astype(np.uint8)
    total = sum(int(value) for value in image.flat)
    expected = [sum(place[axis] * int(value) for place, value in np.ndenumerate(image)) / total for axis in (0, 1)]
    assert [centre_of_mass(image, axis) for axis in (0, 1)] == pytest.approx(expected)


strokes = st.lists(st.tuples(st.integers(20, 180), st.integers(20, 180)), min_size=2, max_size=8)


@given(strokes, st.integers(4, 20), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_strokes_fill_the_box_and_lie_in_the_middle(
    points: list[tuple[int, int]], width: int, light_on_dark: bool
) -> None:
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line(points, fill=0, width=width)
    ImageDraw.Draw(image).ellipse((points[0][0], points[0][1], points[0][0] + width, points[0][1] + width), fill=0)
    pixels = np.asarray(image)
    result = normalize(255 - pixels if light_on_dark else pixels)
    rows, columns = np.flatnonzero(result.any(axis=1)), np.flatnonzero(result.any(axis=0))
    assert result.max() == 255
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    for axis, found in enumerate((rows, columns)):
        at_the_edge = found[0] == 0 or found[-1] == 27
        assert abs(centre_of_mass(result, axis) - 14) <= 0.51 or at_the_edge


def test_dark_on_light_and_light_on_dark_are_the_same() -> None:
    assert (normalize(digit()) == normalize(255 - digit())).all()


@pytest.mark.parametrize("shift", [(-40, 0), (30, 45), (0, -50)])
def test_where_the_digit_stands_does_not_matter(shift: tuple[int, int]) -> None:
    assert (normalize(digit(shift=shift)) == normalize(digit())).all()


@pytest.mark.parametrize("size", [80, 450, 1600])
def test_the_size_of_the_picture_hardly_matters(size: int) -> None:
    assert closeness(normalize(digit(size)), normalize(digit())) > 0.97


def test_a_small_digit_on_a_large_page_is_found() -> None:
    page = np.full((1200, 900), 255, np.uint8)
    page[100:200, 700:800] = digit(100)
    assert closeness(normalize(page), normalize(digit(100))) > 0.9


def test_a_photograph_on_grey_paper_in_slanting_light_is_read() -> None:
    random = np.random.default_rng(0)
    paper = 0.6 + np.linspace(0, 0.2, 400) + random.normal(0, 0.03, (400, 400))
    paper[100:300, 100:300] -= 0.4 * (digit() == 0)
    assert closeness(normalize(np.clip(paper, 0, 1)), normalize(digit())) > 0.97


def test_specks_of_dust_are_not_part_of_the_digit() -> None:
    page = np.pad(digit(), 150, constant_values=255)
    page[3, 3] = page[480, 250] = 0
    assert closeness(normalize(page), normalize(digit())) > 0.99


def test_faint_ink_becomes_black() -> None:
    assert closeness(normalize(200 + digit() // 8), normalize(digit())) > 0.99


def noise(level: float) -> npt.NDArray[np.float64]:
    return np.clip(0.7 + np.random.default_rng(1).normal(0, level, (400, 400)), 0, 1)


@pytest.mark.parametrize(
    "image",
    [
        np.full((50, 50), 255, np.uint8),
        np.zeros((50, 50), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.full((30, 30), 0.5),
        noise(0.02),
        noise(0.1),
        np.tile(np.linspace(0.4, 0.8, 300), (200, 1)),
    ],
    ids=["white", "black", "one pixel", "grey", "paper", "rough paper", "shadow"],
)
def test_a_picture_without_ink_is_blank(image: npt.NDArray[np.number]) -> None:
    with pytest.raises(InputError, match="blank"):
        normalize(image)


@pytest.mark.parametrize("shape", [(3, 2000), (2000, 3), (4, 4)])
def test_a_picture_of_any_proportions_gives_an_image(shape: tuple[int, int]) -> None:
    image = np.full(shape, 255, np.uint8)
    image[shape[0] // 2 :, shape[1] // 2 :] = 0
    assert normalize(image).shape == (28, 28)


@pytest.mark.parametrize("shape", [(40, 24), (14, 42), (16, 16), (64, 64), (1, 50), (50, 1), (256, 256)])
def test_an_image_of_any_shape_gets_a_box_in_proportion_and_its_middle(shape: tuple[int, int]) -> None:
    result = normalize(digit(), shape)
    assert result.shape == shape
    assert result.max() == 255
    rows, columns = result.any(axis=1), result.any(axis=0)
    box = [max(1, round(side * 20 / 28)) for side in shape]
    assert rows.sum() == box[0] or columns.sum() == box[1], "it fills the box in one direction"
    assert rows.sum() <= box[0]
    assert columns.sum() <= box[1]
    for axis, side in enumerate(shape):
        assert abs(centre_of_mass(result, axis) - side / 2) <= 0.51


def test_a_drawing_keeps_its_proportions_in_an_image_that_is_not_square() -> None:
    page = np.full((300, 300), 255, np.uint8)
    page[100:200, 130:180] = 0  # twice as tall as wide
    result = normalize(page, (56, 28))
    assert (result.any(axis=1).sum(), result.any(axis=0).sum()) == (40, 20)
    result = normalize(page, (28, 56))
    assert (result.any(axis=1).sum(), result.any(axis=0).sum()) == (20, 10)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_shrunk_image_fits_and_keeps_its_mean_and_proportions(rows: int, columns: int, high: int, wide: int) -> None:
    image = np.random.default_rng(rows).normal(0, 1, (rows, columns)).astype(np.float32)
    small = shrunk(image, high, wide)
    assert small.shape[0] <= max(1, high)
    assert small.shape[1] <= max(1, wide)
    assert small.mean() == pytest.approx(image.mean(), abs=1e-4)
    if rows <= high and columns <= wide:
        assert (small == image).all()
    else:
        scale = min(high / rows, wide / columns)
        assert small.shape == tuple(max(1, round(side * scale)) for side in (rows, columns))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_mode_of_pillow_gives_the_same(mode: str) -> None:
    grey = Image.fromarray(digit())
    if mode.startswith("I"):
        image = Image.fromarray(digit().astype(np.uint16) * 257)
        image = image.convert("I") if mode == "I" else image
    elif mode == "F":
        image = Image.fromarray(digit() / np.float32(255))
    else:
        image = grey.convert(mode)
    assert image.mode == mode
    assert closeness(normalize(image), normalize(digit())) > 0.99


@pytest.mark.parametrize("ink", [0, 255], ids=["black", "white"])
def test_ink_on_nothing_is_seen_whatever_its_colour(ink: int) -> None:
    pixels = np.full((200, 200, 4), ink, np.uint8)
    pixels[..., 3] = 255 - digit()
    assert closeness(normalize(pixels), normalize(digit())) > 0.99


def test_transparent_corners_of_a_sheet_are_paper() -> None:
    pixels = np.dstack([digit(), np.full((200, 200), 255, np.uint8)])
    for rows, columns in ((slice(0, 20), slice(0, 20)), (slice(180, 200), slice(180, 200))):
        pixels[rows, columns] = 0
    assert (normalize(pixels) == normalize(digit())).all()


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2, 5), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.int64),
     np.full((2, 2), np.nan), np.full((2, 2), 1.5)],
    ids=["channels", "dimensions", "empty", "type", "NaN", "range"],
)  # fmt: skip
def test_an_array_that_is_not_a_picture_is_refused(array: npt.NDArray[np.number]) -> None:
    with pytest.raises(InputError, match="picture: expected"):
        luminance(array)


def test_normalizing_twice_changes_nothing() -> None:
    once = normalize(digit())
    assert (normalize(once) == once).all()
    assert (normalize(255 - once) == once).all()


def test_a_drawing_of_the_shape_that_is_out_of_place_is_moved() -> None:
    once = normalize(digit())
    moved = np.roll(once, 3, axis=1)
    assert moved[:, [0, -1]].max() == 0
    assert closeness(normalize(moved), once) > 0.9 > closeness(moved, once)


def test_speckled_images_of_the_shape_stay_as_they_are() -> None:
    image = normalize(digit())
    image[0, 5] = image[20, 27] = image[27, 3] = image[10, 0] = 90
    assert (normalize(image) == image).all()


def test_stored_images_of_mnist_stay_as_they_are(real_mnist: Path, tmp_path: Path) -> None:
    fetch(tmp_path / "fetch", dataset="mnist", mirrors=[str(real_mnist)])
    preprocess(tmp_path / "fetch", tmp_path, dataset="mnist")
    images = open_store(tmp_path / "store.h5").test.inputs[:1000].reshape(-1, 28, 28)
    assert np.mean([(normalize(image) == image).all() for image in images]) > 0.98
