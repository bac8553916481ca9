"""The layer of exemplars and its fit: against the plain program, and its bounds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mnist_cli.maps.exemplars import (
    FIT_ROWS,
    MOST_INPUTS,
    Bytes,
    Exemplars,
    Projection,
    chosen_rows,
    fit_projection,
    start_of,
)
from mnist_cli.maps.ops import OutOfBounds
from mnist_cli.maps.quantising import fit_quantiser
from tests.support import contract, exact, plain_layers


def drawn(rows: int = 40, inputs: int = 30, seed: int = 0) -> Bytes:
    """Return rows in which some features are correlated and one is constant."""
    random = np.random.default_rng(seed)
    made = random.integers(0, 256, (rows, inputs), dtype=np.uint8)
    made[:, 1] = made[:, 0] // 2 + 10
    made[:, 2] = 80
    return made


def fitted(rows: Bytes, directions: int = 6, exemplars: int = 9) -> Exemplars:
    projection = fit_projection(rows, start_of(rows.shape[1], directions, 0))
    parts = (projection.projection, projection.centre, projection.shift, projection.exemplars_of(rows[:exemplars]))
    unfitted = Exemplars(*parts, quantiser=fit_quantiser(np.ones((1, 1), np.float32), np.ones(1, np.int64)))
    made = Exemplars(*parts, fit_quantiser(unfitted.features(rows), unfitted.largest))
    made.check()
    return made


@pytest.mark.parametrize(("directions", "seed"), [(1, 0), (5, 1), (12, 2**50 + 9)])
def test_the_fit_is_that_of_the_plain_program(directions: int, seed: int) -> None:
    rows = drawn()
    start = start_of(30, directions, seed)
    assert start.tolist() == plain_layers.start_of(30, directions, seed)
    received = fit_projection(rows, start)
    expected = plain_layers.fit_projection(rows.tolist(), plain_layers.start_of(30, directions, seed))
    assert received.projection.tolist() == expected.projection
    assert received.centre.tolist() == expected.centre
    assert received.shift == expected.shift
    assert received.exemplars_of(rows[:7]).T.tolist() == plain_layers.units(rows[:7].tolist(), expected)


@pytest.mark.parametrize("rows", [drawn(), drawn(3, 20), drawn(2, 3)])
def test_nearly_equal_rows_can_be_fitted(rows: Bytes) -> None:
    directions = min(3, *rows.shape)
    received = fit_projection(rows, start_of(rows.shape[1], directions, 0))
    expected = plain_layers.fit_projection(rows.tolist(), plain_layers.start_of(rows.shape[1], directions, 0))
    assert (received.projection.tolist(), received.shift) == (expected.projection, expected.shift)


def test_equal_rows_are_refused() -> None:
    with pytest.raises(OutOfBounds, match="expected rows that differ"):
        fit_projection(np.full((5, 8), 200, np.uint8), start_of(8, 3, 0))


def test_features_are_those_of_the_plain_program() -> None:
    rows = drawn()
    made = fitted(rows)
    others = np.concatenate([drawn(20, seed=1), np.zeros((1, 30), np.uint8), np.full((1, 30), 255, np.uint8)])
    layer = plain_layers.Layer(made.projection.tolist(), made.centre.tolist(), made.shift)
    expected = plain_layers.nearness(others.tolist(), layer, made.exemplars.T.tolist())
    assert made.features(others).tolist() == expected
    assert np.max(expected) <= 2**12


def test_features_are_those_of_the_program_of_the_contract() -> None:
    reference, rows = contract.program("layer_int"), drawn()
    made = fitted(rows)
    layer = {"P": made.projection.astype(float), "c": made.centre.astype(float), "s": made.shift}
    assert np.array_equal(reference.unit(rows[:9], layer).T, made.exemplars)
    layer["E"] = made.exemplars.astype(float)
    assert np.array_equal(reference.layer(rows, layer), made.features(rows))


def test_an_exemplar_is_nearest_to_itself() -> None:
    rows = drawn()
    found = fitted(rows).features(rows[:9])
    assert found.argmax(axis=1).tolist() == list(range(9))
    # The cosine with itself is 1: 2^22 less a tenth, in 2^-10.
    assert np.abs(found.diagonal() - (2**22 - 419_430) / 1024).max() < 16


def test_whitened_rows_have_no_directions_of_their_own() -> None:
    random = np.random.default_rng(0)
    factors = random.normal(0, 1, (500, 4)) * [40, 20, 10, 5]
    rows = np.clip(factors @ random.normal(0, 0.5, (4, 30)) + 80, 0, 255).astype(np.uint8)
    made = fit_projection(rows, start_of(30, 4, 0))
    white = (rows.astype(float) - 80) @ made.projection - made.centre
    covariance = np.corrcoef(white.T)
    assert np.abs(covariance - np.eye(4)).max() < 0.05


def test_the_seed_determines_the_chosen_rows() -> None:
    assert chosen_rows(100, 4000, 3).tolist() == [exact.row(3, 1 << 32, place, 100) for place in range(100)]
    chosen = chosen_rows(5000, 40, 7).tolist()
    assert chosen == [exact.row(7, 1 << 32, place, 5000) for place in range(40)]
    assert chosen != chosen_rows(5000, 40, 8).tolist()


@pytest.mark.parametrize("shape", [(FIT_ROWS + 1, 3), (3, MOST_INPUTS + 1)])
def test_more_rows_or_features_than_exact_sums_allow_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(OutOfBounds, match="expected at most 8,192 rows of 4,096 features"):
        fit_projection(np.zeros(shape, np.uint8), np.ones((shape[1], 1)))


def test_layers_that_would_not_be_exact_are_refused() -> None:
    made = fitted(drawn())
    wrong = {
        "projections below": dataclasses.replace(made, projection=made.projection * 3),
        "they need a larger shift": dataclasses.replace(made, centre=made.centre + 2**31, shift=0),
        "vectors of length": dataclasses.replace(made, exemplars=made.exemplars + made.exemplars // 4),
        "expected 6 directions": dataclasses.replace(made, exemplars=made.exemplars[1:]),
        "expected 8 factors": dataclasses.replace(made, exemplars=made.exemplars[:, 1:]),
    }
    for message, layer in wrong.items():
        with pytest.raises(OutOfBounds, match=message):
            layer.check()


def test_rows_outside_the_fit_are_exact_too() -> None:
    # Rows that differ by one: what is whitened of them is small, and of others a thousand times as large.
    rows = np.full((200, 300), 80, np.uint8)
    rows[np.arange(200), np.arange(200)] = 81
    made = fit_projection(rows, start_of(300, 5, 0))
    extremes = np.stack([np.where(made.projection[:, 0] > 0, 255, 0), np.where(made.projection[:, 0] > 0, 0, 255)])
    layer = plain_layers.Layer(made.projection.tolist(), made.centre.tolist(), made.shift)
    received = Projection(made.projection, made.centre, made.shift).exemplars_of(extremes.astype(np.uint8))
    assert received.T.tolist() == plain_layers.units(extremes.tolist(), layer)
