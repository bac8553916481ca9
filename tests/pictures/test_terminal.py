"""Pictures in the terminal: curves in braille, and colours of a palette."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mnist_cli.cli.terminal import PALETTE, colours_of
from mnist_cli.pictures.braille import curve
from mnist_cli.pictures.terminal import Screen, half_blocks
from tests.support.command_line import Stream


def dots(lines: list[str]) -> list[tuple[int, int]]:
    """Return (column, row from below) of each dot."""
    bits = {0: (0, 0), 1: (0, 1), 2: (0, 2), 6: (0, 3), 3: (1, 0), 4: (1, 1), 5: (1, 2), 7: (1, 3)}
    height = 4 * len(lines)
    found = []
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            pattern = ord(character) - 0x2800
            found += [
                (2 * column + x, height - 1 - (4 * row + y)) for bit, (x, y) in bits.items() if pattern >> bit & 1
            ]
    return sorted(found)


def test_a_straight_line_is_a_diagonal_of_dots() -> None:
    lines = curve([(0, 0), (7, 7)], 4, 2, (0, 7), (0, 7))
    assert dots(lines) == [(place, place) for place in range(8)]


def test_a_steep_line_has_no_gaps() -> None:
    drawn = dots(curve([(0, 0), (4, 0), (5, 11), (9, 11)], 5, 3, (0, 9), (0, 11)))
    assert {column for column, _ in drawn} == set(range(10))
    assert {row for column, row in drawn if column == 5} >= set(range(1, 12))


def test_a_line_that_begins_later_begins_later() -> None:
    assert min(column for column, _ in dots(curve([(5, 1), (9, 0)], 5, 1, (0, 9), (0, 1)))) == 5


COLOUR = re.compile(r"[34]8;5;(\d+)")


def xterm(index: int) -> tuple[int, int, int]:
    """Return red, green and blue of a colour of the palette, from 16 on."""
    if index >= 232:
        return (8 + 10 * (index - 232),) * 3
    red, rest = divmod(index - 16, 36)
    levels = (0, 95, 135, 175, 215, 255)
    return levels[red], levels[rest // 6], levels[rest % 6]


def test_the_colours_of_the_palette_are_near_those_that_were_asked_for() -> None:
    random = np.random.default_rng(0)
    wanted = random.integers(0, 256, (2, 500, 3), dtype=np.uint8)
    [line] = half_blocks(wanted, has_palette=True)
    received = [xterm(int(index)) for index in COLOUR.findall(line)]
    pairs = np.stack([wanted[0], wanted[1]], axis=1).reshape(-1, 3).astype(int)
    everything = np.array([xterm(index) for index in range(16, 256)])
    nearest = np.array([np.square(everything - colour).sum(axis=1).min() for colour in pairs])
    distance = np.square(pairs - np.array(received)).sum(axis=1)
    assert (distance <= nearest + 200).all()


@pytest.mark.parametrize(
    ("colorterm", "term", "colours"),
    [
        ("truecolor", "xterm", 1 << 24),
        ("24bit", "xterm-256color", 1 << 24),
        ("", "xterm-256color", PALETTE),
        ("yes", "screen-256color", PALETTE),
        ("", "xterm", 0),
        ("truecolor", "dumb", 0),
    ],
)
def test_there_are_as_many_colours_as_the_terminal_says(
    monkeypatch: pytest.MonkeyPatch, colorterm: str, term: str, colours: int
) -> None:
    monkeypatch.setenv("COLORTERM", colorterm)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("CI", "")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Stream(terminal=True) as stream:
        assert colours_of(stream) == colours
        stream.reconfigure(encoding="ascii")
        assert colours_of(stream) == 0, "half blocks cannot be written there"


def test_text_on_the_colour_of_a_number_ends_with_the_reset() -> None:
    assert Screen(80, True).on_colour(" 12", -1.0) == "\x1b[97;48;2;216;58;60m 12\x1b[0m"
    assert Screen(80, True, has_palette=True).on_colour("x", 0.0).startswith("\x1b[30;48;5;")
