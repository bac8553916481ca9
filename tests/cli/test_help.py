"""The help of every command, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from mnist_cli.cli.app import application
from tests.support.command_line import mnist


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


@pytest.mark.parametrize("words", [*commands(typer.main.get_command(application()))], ids=" ".join)
def test_help_has_no_name_of_a_type_and_fits(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = mnist(*words, "--help").out
    assert "--help" in told
    for sign in ("<bool>", "<list", "<str", "<int", "<path", "[[", "]]", "{"):
        assert sign not in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_usage_line_tells_what_has_to_be_given_and_what_may_be_left_out() -> None:
    usage = {
        words: mnist(*words.split(), "--help").out.splitlines()[1].strip() for words in ("plot", "predict", "runs rm")
    }
    assert usage == {
        "plot": "Usage: mnist plot [OPTIONS] WHAT [N]",
        "predict": "Usage: mnist predict [OPTIONS] [FILE…]",
        "runs rm": "Usage: mnist runs rm [OPTIONS] RUN…",
    }
