"""The softmax in whole numbers: against its contract in Python's integers, and against the library's exp and log."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.maps import softmax
from tests.support import exact

TABLES = Path(softmax.__file__).with_name("softmax.json")


def scores(seed: int = 0, spread: float = 8.0) -> tuple[exact.Array, exact.Array]:
    random = np.random.default_rng(seed)
    return np.rint(random.normal(0, spread * 2**24 * 255, (500, 10))), random.integers(0, 10, 500)


def test_the_tables_are_the_rounded_values_of_the_functions() -> None:
    tables = json.loads(TABLES.read_text())
    assert [tables["A"], tables["B"], tables["C"]] == exact.TABLES
    assert tables["ln"] == exact.LOGARITHMS


def test_changed_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "softmax.json"
    changed.write_text(TABLES.read_text().replace("16777216", "16777217", 1))
    monkeypatch.setattr(softmax, "_TABLES", changed)
    with pytest.raises(RuntimeError, match=r"softmax\.json is not the file of this version"):
        softmax._read.__wrapped__()


def test_the_first_two_tables_are_multiplied_before_use() -> None:
    a, b, _ = exact.TABLES
    high = softmax.tables().high
    assert all(high[256 * i + j] == (a[i] * b[j] + 2**23) >> 24 for i in range(256) for j in range(0, 256, 17))


@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0, 3000.0])
def test_losses_are_those_of_whole_numbers(spread: float) -> None:
    z, labels = scores(spread=spread)
    expected, _ = exact.losses_and_errors(z.astype(np.int64), labels)
    assert softmax.losses(z, labels, 255).tolist() == expected


def test_losses_agree_with_the_formula_to_a_millionth() -> None:
    z, labels = scores()
    logits = z / 2**24 / 255
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    assert np.abs(softmax.losses(z, labels, 255) * 2.0**-20 - expected).max() < 2e-6


def test_logarithms_are_right_for_every_possible_sum() -> None:
    powers = [2**exponent + offset for exponent in range(24, 33) for offset in (0, 1, 2**exponent - 1)]
    sums = np.array([*powers, *np.random.default_rng(0).integers(2**24, 2**33, 1000)], np.float64)
    received = softmax.logarithms(sums)
    assert received.tolist() == [exact.logarithm(int(total)) for total in sums]
    assert np.abs(received * 2.0**-20 - [math.log(total / 2**24) for total in sums]).max() < 2**-20


def test_logits_take_the_zero_of_the_inputs_into_account() -> None:
    random = np.random.default_rng(0)
    rows, weights = random.integers(0, 256, (5, 30), np.uint8), random.integers(-(2**30), 2**30, (30, 4))
    bias = random.integers(-(2**30), 2**30, 4)
    received = softmax.logits(rows.astype(float), weights.astype(float), bias.astype(float), 80, 32)
    assert received.tolist() == exact.scores(rows, weights, bias, 80, 32).tolist()


def test_the_largest_weights_keep_every_sum_exact() -> None:
    assert softmax.largest(784) == 2**31
    assert softmax.largest(16_448) == 2**31
    assert softmax.largest(16_449) < 2**31
    assert 255 * 65_536 * softmax.largest(65_536) <= 2**53
