"""Pictures that do not show one whole digit: a row of them, a page, one that is cut."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.pictures.normalize import find_ink, normalize, placed
from mnist_cli.pictures.pieces import doubts, labelled, row_of_digits
from tests.support.command_line import mnist
from tests.support.data import digit
from tests.support.plain_digits import plain_digit

Bytes = npt.NDArray[np.uint8]
SHAPE = (28, 28)


def drawn(label: int) -> Bytes:
    """Return a digit in black on white, uint8 [160, 160]; its strokes are smooth."""
    small = Image.frombytes("L", SHAPE, plain_digit(label, 0, label)).resize((160, 160), Image.Resampling.BILINEAR)
    return 255 - np.asarray(small)


def row(*labels: int, slope: int = 0) -> Bytes:
    """Return digits side by side, a small gap between their ink, each `slope` pixels below the one before."""
    page = np.full((320, 1200), 255, np.uint8)
    left = 30
    for place, label in enumerate(labels):
        image = drawn(label)
        columns = np.flatnonzero((image < 255).any(axis=0))
        part = image[:, columns[0] : columns[-1] + 1]
        page[60 + slope * place :, left:][: len(part), : part.shape[1]] = part
        left += part.shape[1] + 10
    return page[:, : left + 20]


def seen(picture: Bytes) -> npt.NDArray[np.float32]:
    ink, in_place = find_ink(picture, SHAPE)
    assert not in_place
    return ink


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_pieces_are_those_that_a_walk_from_pixel_to_pixel_finds(
    height: int, width: int, share: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    labels, count = labelled(mask)
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    pieces = set()
    while left:
        piece, border = set(), {left.pop()}
        while border:
            piece |= border
            border = {(r + i, c + j) for r, c in border for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= border
        pieces.add(frozenset(piece))
    found = {frozenset(map(tuple, np.argwhere(labels == number).tolist())) for number in range(1, count + 1)}
    assert found == pieces
    assert (labels > 0).tolist() == mask.tolist()


@pytest.mark.parametrize("label", range(10))
def test_one_digit_raises_no_doubt(label: int) -> None:
    assert doubts(seen(np.pad(drawn(label), 20, constant_values=255))) == []


@pytest.mark.parametrize("slope", [0, 25])
def test_several_digits_in_a_row_are_noticed_and_read_one_by_one(slope: int) -> None:
    labels = (2, 0, 2, 6)
    ink = seen(row(*labels, slope=slope))
    assert doubts(ink) == ["several-pieces"]
    images = [placed(one, SHAPE) for one in row_of_digits(ink)]
    assert len(images) == len(labels)
    for image, label in zip(images, labels, strict=True):
        alone = normalize(drawn(label), SHAPE)
        assert np.corrcoef(image.ravel(), alone.ravel())[0, 1] > 0.95


def test_a_stroke_that_does_not_touch_the_rest_belongs_to_its_digit() -> None:
    broken = np.full((200, 300), 255, np.uint8)
    broken[40:50, 40:110] = broken[60:160, 40:50] = broken[150:160, 40:100] = 0  # the bar of a five is apart
    broken[40:160, 180:190] = 0
    assert len(row_of_digits(seen(broken))) == 2


def test_specks_are_neither_pieces_nor_digits() -> None:
    page = np.pad(digit(), 60, constant_values=255)
    page[20:24, 20:24] = page[290:294, 280:284] = 0
    assert doubts(seen(page)) == []
    assert len(row_of_digits(seen(page))) == 1


def test_a_page_of_digits_is_ink_all_over() -> None:
    page = np.vstack([np.pad(row(4, 8, 3), ((0, 0), (0, 40)), constant_values=255)[:240, :520]] * 4)
    assert "ink-all-over" in doubts(seen(page))


@pytest.mark.parametrize("side", range(4))
def test_a_digit_that_the_edge_cuts_is_noticed(side: int) -> None:
    cut = np.rot90(np.rot90(digit(), side)[:, 90:], -side)
    assert doubts(seen(cut)) == ["cut-by-the-edge"]


def test_a_picture_that_is_cropped_to_its_digit_is_not_called_cut() -> None:
    dark = digit() < 255
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    assert doubts(seen(digit()[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures and a model of ten classes whose columns are the drawn digits."""
    (tmp_path / "artifacts/train").mkdir(parents=True)
    images = np.array([normalize(drawn(label), SHAPE).ravel() / 255 - 0.1 for label in range(10)])
    weights = (images / np.linalg.norm(images, axis=1, keepdims=True)).T.astype(np.float32)
    model = Model(weights, np.zeros(10, np.float32), tuple("0123456789"), 1, 0, "", SHAPE)
    save_model(tmp_path / "artifacts/train/model.h5", model)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(row(2, 0, 2, 6)).save("row.png")
    Image.fromarray(drawn(7)).save("seven.png")
    return tmp_path


def test_predict_warns_of_several_digits_on_stderr_and_in_the_json(folder: Path) -> None:
    done = mnist("predict", "seven.png", "row.png")
    assert done.err.splitlines() == [
        "warning: row.png: several pieces side by side were read as one digit; for a row of digits, add --several"
    ]
    seven, several = mnist("predict", "seven.png", "row.png", "--json").documents
    assert (seven["warnings"], several["warnings"]) == ([], ["several-pieces"])


def test_with_several_each_digit_of_the_row_is_predicted(folder: Path) -> None:
    done = mnist("predict", "row.png", "seven.png", "--several")
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "row.png: 2026"
    assert [line.split(",")[0] for line in lines[1:5]] == [f"row.png [{n}]: {label}" for n, label in
                                                          enumerate("2026", 1)]  # fmt: skip
    assert lines[5] == "seven.png: 7"
    (read,) = mnist("predict", "row.png", "--several", "--explain", "--json").documents
    assert read["text"] == "2026"
    assert read["warnings"] == []
    for answer, label in zip(read["digits"], (2, 0, 2, 6), strict=True):
        assert answer["prediction"] == label
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert np.shape(answer["image"]) == np.shape(answer["evidence"]) == SHAPE


def test_an_image_of_the_models_shape_is_one_digit(folder: Path) -> None:
    Image.fromarray(normalize(drawn(3), SHAPE)).save("three.png")
    (read,) = mnist("predict", "three.png", "--several", "--json").documents
    assert (read["text"], read["warnings"]) == ("3", [])


def test_a_stored_image_is_not_read_as_several(folder: Path) -> None:
    done = mnist("predict", "--index", "3", "--several", "--json", code=2)
    assert "--several: expected a FILE" in json.loads(done.out)["error"]["message"]


def test_a_model_of_resized_pictures_has_no_doubts_and_reads_no_rows(folder: Path) -> None:
    path = folder / "artifacts/train/model.h5"
    save_model(path, replace(load_model(path), fit="resize"))
    (read,) = mnist("predict", "row.png", "--json").documents
    assert read["warnings"] == []
    done = mnist("predict", "row.png", "--several", code=2)
    assert "--several: expected a model of single digits; this one reads whole pictures" in done.err
