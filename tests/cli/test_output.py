"""What a terminal gets: our own colours, and nobody else's escape sequences."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

from mnist_cli.cli import drawing, terminal
from mnist_cli.cli.output import Output
from mnist_cli.cli.terminal import wrapped
from tests.support.command_line import Stream

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


WORDS = "1,000 steps, loss 0.3083, validation accuracy 91.62 %, model 99ccfbed4f84; run 'mnist run --a b' now"


@pytest.mark.parametrize("columns", [20, 25, 31, 44, 60, 81, 200])
def test_a_terminal_gets_lines_that_end_between_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("CI", raising=False)
    with Stream(terminal=True) as stream:
        parts = wrapped(WORDS, stream)
    assert " ".join(parts) == WORDS
    assert all(len(part) <= columns for part in parts)
    assert any("'mnist run --a b'" in part for part in parts)
    assert not any(part.startswith("%") for part in parts)


def test_a_pipe_gets_lines_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with Stream(terminal=False) as stream:
        assert wrapped(WORDS + "\n" + WORDS, stream) == [WORDS, WORDS]


def test_the_last_cell_goes_on_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    with Stream(terminal=True) as stream, contextlib.redirect_stdout(stream):
        Output().columns(("train", 7), ("stale", 6), ("one reason that is too long for the line\nanother", 0))
        assert stream.text.splitlines() == [
            "train   stale  one reason that is too",
            "               long for the line",
            "               another",
        ]
