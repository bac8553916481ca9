"""The kernels in kernels.json, recomputed from their formulas, and the windows made from them."""

from __future__ import annotations

import cmath
import json
import math
from pathlib import Path

import numpy as np
import pytest

from mnist_cli import maps
from mnist_cli.maps import kernels
from tests.support import plain_maps

TABLES = json.loads(Path(kernels.__file__).with_name("kernels.json").read_text(encoding="utf-8"))


def away_from_zero(value: float, bits: int) -> int:
    """Round to whole 2^-bits, halves away from zero, so that −v is the negative of v."""
    return int(math.copysign(math.floor(abs(value) * 2**bits + 0.5), value))


def morlet(angle: float) -> list[list[complex]]:
    """Return a wavelet: a wave along `angle` under an oval Gaussian, less so much of it that the sum is zero."""
    sigma, slant, frequency = 0.8, 0.5, 3 * math.pi / 4
    window, wave = [], []
    for y in range(-3, 4):
        for x in range(-3, 4):
            along = x * math.cos(angle) + y * math.sin(angle)
            across = y * math.cos(angle) - x * math.sin(angle)
            window.append(math.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2)))
            wave.append(cmath.exp(1j * frequency * along))
    mean = sum(g * w for g, w in zip(window, wave, strict=True)) / sum(window)
    scale = slant / (2 * math.pi * sigma**2)
    values = [g * (w - mean) * scale for g, w in zip(window, wave, strict=True)]
    return [values[start : start + 7] for start in range(0, 49, 7)]


def test_the_differences_are_those_of_their_formula() -> None:
    expected = []
    for number in range(4):
        angle = number * math.pi / 4
        right, down = (away_from_zero(each / 2, 8) for each in (math.cos(angle), math.sin(angle)))
        expected.append([[0, -down, 0], [-right, 0, right], [0, down, 0]])
    assert TABLES["kernels"]["differences"] == expected
    assert kernels.kernels("differences").tolist() == expected


def test_the_wavelets_are_those_of_their_formula() -> None:
    wavelets = [morlet(number * math.pi / 8) for number in range(8)]
    real = [[[math.floor(each.real * 256 + 0.5) for each in row] for row in wavelet] for wavelet in wavelets]
    imaginary = [[[away_from_zero(each.imag, 8) for each in row] for row in wavelet] for wavelet in wavelets]
    for kernel in real + imaginary:
        kernel[3][3] -= sum(map(sum, kernel))
    assert TABLES["kernels"]["morlet"] == real + imaginary


@pytest.mark.parametrize("bank", maps.KERNELS)
def test_every_kernel_sums_to_zero(bank: str) -> None:
    assert not kernels.kernels(bank).sum(axis=(1, 2)).any()


@pytest.mark.parametrize("sigma", maps.GAUSSIANS)
def test_the_gaussians_are_those_of_their_formula(sigma: int) -> None:
    def weight(distance: float) -> int:
        return math.floor(math.exp(-(distance**2) / 2 / sigma**2) / sigma / math.sqrt(2 * math.pi) * 64 + 0.5)

    table = TABLES["gaussians"][str(sigma)]
    assert table == [weight(half / 2) for half in range(len(table))]
    assert weight(len(table) / 2) == 0
    assert list(map(int, TABLES["gaussians"])) == list(maps.GAUSSIANS)


@pytest.mark.parametrize("side", [1, 2, 7, 14, 28, 33])
@pytest.mark.parametrize(("sigma", "every"), [(1, 2), (2, 4), (3, 5)])
def test_windows_are_symmetric_and_as_the_plain_program_makes_them(side: int, sigma: int, every: int) -> None:
    windows = kernels.gaussians(side, sigma, every)
    assert windows.tolist() == plain_maps.gaussians(side, sigma, every, -(-side // every))
    assert np.array_equal(windows, windows[::-1, ::-1])


@pytest.mark.parametrize(("side", "size", "last"), [(28, 4, 4), (7, 2, 1), (3, 5, 3)])
def test_every_value_is_in_one_box(side: int, size: int, last: int) -> None:
    windows = kernels.boxes(side, size)
    assert windows.sum(axis=0).tolist() == [1] * side
    assert windows[-1].sum() == last


def test_changed_kernels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "kernels.json"
    changed.write_bytes(Path(kernels.__file__).with_name("kernels.json").read_bytes() + b" ")
    monkeypatch.setattr(kernels, "_FILE", changed)
    with pytest.raises(RuntimeError, match=r"kernels\.json is not the file of this version"):
        kernels._tables.__wrapped__()
