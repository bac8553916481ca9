"""How numbers are laid out: cells over the image, grids side by side."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.layout import layout_of, over_image
from tests.support.feature_maps import made_map


@pytest.fixture(scope="module")
def scat1() -> FeatureMap:
    return made_map("scat1")


def test_pixels_are_one_grid_and_their_picture_is_the_image() -> None:
    layout = layout_of(None, (3, 5))
    values = np.arange(15.0)
    assert (layout.picture(values) == values.reshape(3, 5)).all()
    assert (layout.cells(values) == values.reshape(3, 5)).all()
    assert layout.by_map(values)[0][0] == "pixels"


def test_the_parts_of_a_map_are_named_after_their_operations(scat1: FeatureMap) -> None:
    parts = layout_of(scat1, scat1.shape).parts
    assert [(part.name, part.maps, part.height, part.width) for part in parts] == [
        ("pool", 1, 7, 7),
        ("conv → modulus → pool", 8, 7, 7),
        ("pool → conv → modulus → pool", 8, 7, 7),
    ]


def test_a_feature_belongs_to_the_cell_that_it_depends_on() -> None:
    # Ink in one corner of the image only: what changes is in that corner of every grid.
    made = made_map("grad8")
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 1:7, 21:27] = 200
    blank, inked = (made.rows(each)[0].astype(float) for each in (np.zeros_like(image), image))
    cells = layout_of(made, made.shape).cells(np.abs(inked - blank))
    assert cells[:2, 5:].sum() == cells.sum() > 0


@pytest.mark.parametrize(("name", "shape"), [("scat1", (28, 28)), ("scat2", (28, 28)), ("scat2", (21, 14))])
def test_cells_and_maps_add_up_to_all_numbers(name: str, shape: tuple[int, int]) -> None:
    made = made_map(name, shape)
    layout = layout_of(made, shape)
    values = np.random.default_rng(1).integers(-(2**40), 2**40, len(made)).astype(np.float64) / 2**29
    assert layout.cells(values).sum() == values.sum()
    assert sum(sums.sum() for _, sums in layout.by_map(values)) == values.sum()


def test_grids_of_different_sizes_share_the_cells_of_the_finest(scat1: FeatureMap) -> None:
    made = made_map("own", program=[[("pool", {"box": 7, "shift": 8})], [("pool", {"box": 14, "shift": 10})]])
    layout = layout_of(made, made.shape)
    assert layout.cells_shape == (4, 4)
    coarse = np.concatenate([np.zeros(16), [1, 2, 4, 8]])
    assert layout.cells(coarse).sum() == 15
    assert layout.cells(coarse)[1, 1] == 1, "the middle of the first quarter"


def test_every_number_is_in_the_picture_once_and_grids_do_not_touch(scat1: FeatureMap) -> None:
    layout = layout_of(scat1, scat1.shape)
    places = layout.places()
    assert places.shape == (3 * 8 - 1, 8 * 8 - 1)
    assert sorted(places[places >= 0]) == list(range(len(scat1)))
    assert (places[:7, :7].ravel() == np.arange(49)).all(), "the blurred image stands first, alone in its row"
    assert (places[:7, 7:] == -1).all()
    assert (places[7] == -1).all()
    assert np.isnan(layout.picture(np.ones(len(scat1)))[7]).all()


def test_eight_grids_make_two_rows_and_a_narrow_picture_more() -> None:
    made = made_map("grad8")
    layout = layout_of(made, made.shape)
    assert layout.places().shape == (15, 31)
    assert layout.places(widest=20).shape == (31, 15)
    assert layout.places(widest=3).shape == (8 * 8 - 1, 7)


def test_exemplars_are_a_block_below_the_grids_without_a_cell() -> None:
    made = made_map("grad8", exemplars=40)
    layout = layout_of(made, made.shape)
    assert layout.parts[-1].name == "exemplars"
    places = layout.places()
    assert sorted(places[places >= 0]) == list(range(len(made)))
    only_exemplars = np.zeros(len(made))
    only_exemplars[-40:] = 1
    assert layout.cells(only_exemplars).sum() == 0
    assert layout.by_map(only_exemplars)[-1][1].tolist() == [40]


def test_a_cell_covers_its_pixels() -> None:
    cells = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert over_image(cells, (4, 5)).tolist() == [[1, 1, 2, 2, 2]] * 2 + [[3, 3, 4, 4, 4]] * 2
