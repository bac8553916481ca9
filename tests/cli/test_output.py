"""What a terminal gets: our own colours, and nobody else's escape sequences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mnist_cli.cli import drawing, terminal
from mnist_cli.cli.output import Output

HOSTILE = "\x1b[2J\x9b1m\u202e"


@pytest.fixture
def in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "shows_colour", lambda _stream: True)
    monkeypatch.setattr(drawing, "colours_of", lambda _stream: 1 << 24)


@pytest.mark.usefixtures("in_colour")
def test_colours_are_ours_and_escapes_from_outside_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line(HOSTILE, bold=True)
    output.columns((HOSTILE, 30, "red"), (HOSTILE, 1))
    output.warn(HOSTILE)
    printed = "".join(capsys.readouterr())
    assert printed.count("\\u001b[2J\\u009b1m\\u202e") == 4
    assert "\x1b[1m" in printed and "\x1b[31m" in printed
    assert "\x1b[2J" not in printed and "\x9b" not in printed and "\u202e" not in printed


@pytest.mark.usefixtures("in_colour")
def test_an_image_is_drawn_in_colours(capsys: pytest.CaptureFixture[str]) -> None:
    for line in drawing.screen().ink(np.array([[0, 255], [255, 0]], np.uint8)).lines:
        Output().drawing(line)
    assert "\x1b[38;2;255;255;255;48;2;0;0;0m" in capsys.readouterr().out


def test_json_reads_back_as_it_was_and_holds_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True, name="config-init")
    output.document(file=HOSTILE)
    output.render()
    output.finish()
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == {"file": HOSTILE}
