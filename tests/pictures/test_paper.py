"""Photographs of paper: the table around it, ruled lines on it, and what cannot be told from either."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from mnist_cli.errors import InputError
from mnist_cli.pictures.normalize import normalize
from mnist_cli.pictures.paper import sheet, without_ruling
from tests.support.data import digit
from tests.support.plain_digits import plain_digit

Floats = npt.NDArray[np.float32]
SHAPE = (28, 28)


def closeness(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    """Return the correlation of two images, 1 where one is the other; a pixel up or down does not matter."""
    moved = [np.roll(first, rows, axis=0) for rows in (-1, 0, 1)]
    return max(float(np.corrcoef(one.ravel(), second.ravel())[0, 1]) for one in moved)


def photograph(angle: float = 0, place: tuple[int, int] = (250, 150), table: float = 0.25) -> Floats:
    """Return a photograph of the seven on a sheet of 320 × 320 pixels that lies on a table, float32 [620, 800]."""
    random = np.random.default_rng(0)
    wood = table + 0.05 * np.sin(np.arange(620) / 9)[:, np.newaxis] + random.normal(0, 0.02, (620, 800))
    picture = Image.fromarray((255 * wood.clip(0, 1)).astype(np.uint8))
    paper = Image.fromarray(digit(320)).point(lambda level: 40 + level * 3 // 4)
    everywhere = Image.new("L", paper.size, 255)
    turned, mask = (one.rotate(angle, Image.Resampling.BILINEAR, expand=True) for one in (paper, everywhere))
    picture.paste(turned, place, mask)
    light = np.linspace(0.75, 1, 800)
    return (np.asarray(picture) / 255 * light).astype(np.float32)


@pytest.mark.parametrize("angle", [0, 5, -12])
@pytest.mark.parametrize("table", [0.1, 0.25, 0.45])
def test_paper_on_a_dark_table_is_found(angle: float, table: float) -> None:
    expected = normalize(
        np.asarray(Image.fromarray(digit(320)).rotate(angle, Image.Resampling.BILINEAR, fillcolor=255)), SHAPE
    )
    assert closeness(normalize(photograph(angle, table=table), SHAPE), expected) > 0.93


def test_paper_that_the_picture_cuts_is_found() -> None:
    assert closeness(normalize(photograph(place=(500, 280)), SHAPE), normalize(digit(), SHAPE)) > 0.9


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("label", range(10))
def test_a_drawing_is_not_mistaken_for_paper_or_ruling(label: int, inverted: bool) -> None:
    small = Image.frombytes("L", SHAPE, plain_digit(label, 0, label))
    picture = np.asarray(small.resize((224, 224), Image.Resampling.BILINEAR)).astype(np.float32) / np.float32(255)
    grey = 1 - picture if inverted else picture
    assert sheet(grey) is grey
    assert (without_ruling(picture) == picture).all()


def test_a_bold_white_letter_with_holes_is_not_taken_for_paper() -> None:
    letter = Image.new("L", (300, 300))
    ImageDraw.Draw(letter).rectangle((60, 40, 240, 260), fill=255)
    for top in (85, 165):
        ImageDraw.Draw(letter).rectangle((120, top, 180, top + 45), fill=0)
    result = normalize(np.asarray(letter), SHAPE)
    assert result[14].any()
    assert result.any(axis=1).sum() == 20
    assert (result > 128).sum() > 200, "the letter is seen, not its holes"


def test_light_that_is_too_uneven_is_not_called_blank() -> None:
    random = np.random.default_rng(0)
    patches = np.kron(random.uniform(0.1, 0.9, (8, 8)), np.ones((50, 50)))
    with pytest.raises(InputError, match="too uneven: crop the picture to the digit"):
        normalize(patches.astype(np.float32), SHAPE)


def ruled(step: int, slope: float, *, squared: bool, level: float) -> Floats:
    """Return the seven on ruled paper, float32 [600, 600]; the lines are 2 pixels thick."""
    sheet_of_paper = 1 - np.pad(digit(300), 150, constant_values=255).astype(np.float32) / 255
    rows, columns = np.mgrid[:600, :600]
    lines = (rows + slope * columns + 20).astype(int) % step < 2
    if squared:
        lines |= (columns - slope * rows + 30).astype(int) % step < 2
    return 1 - np.maximum(sheet_of_paper, np.where(lines, np.float32(level), np.float32(0)))


@pytest.mark.parametrize("level", [0.3, 1], ids=["grey", "black"])
@pytest.mark.parametrize("squared", [False, True], ids=["ruled", "squared"])
@pytest.mark.parametrize("slope", [0, 0.01, -0.03])
def test_lines_of_the_paper_are_not_ink(slope: float, squared: bool, level: float) -> None:
    expected = normalize(digit(300), SHAPE)
    assert closeness(normalize(ruled(41, slope, squared=squared, level=level), SHAPE), expected) > 0.95


def test_ruled_paper_with_nothing_on_it_is_blank() -> None:
    rows = np.arange(600)[:, np.newaxis] % 40 < 2
    with pytest.raises(InputError, match="blank"):
        normalize(np.where(np.repeat(rows, 600, axis=1), 0.4, 1).astype(np.float32), SHAPE)


def test_a_long_thin_stroke_or_two_are_not_ruling() -> None:
    ink = np.zeros((400, 400), np.float32)
    ink[100:103] = ink[250:253] = 1
    assert (without_ruling(ink) == ink).all()


@pytest.mark.parametrize("quality", [75, 90])
def test_a_jpeg_of_the_models_shape_is_normalised_like_the_drawing(quality: int) -> None:
    small = np.zeros(SHAPE, np.uint8)
    small[2:20, 4:16] = 255 - np.asarray(Image.fromarray(digit()[55:145, 65:135]).resize((12, 18)))
    written = io.BytesIO()
    Image.fromarray(small).save(written, "JPEG", quality=quality)
    result = normalize(Image.open(written), SHAPE)
    assert closeness(result, normalize(small, SHAPE)) > 0.95
    assert closeness(result, small) < 0.8
