"""What people type from habit, or without seeing it, and the word that puts them right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.config.yaml_document import read_yaml
from tests.support.command_line import mnist

NO_BREAK = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("train --lr 0.3", "error: No such option: --lr; did you mean '--learning-rate'?"),
        ("train --stepz 3", "error: No such option: --stepz; did you mean '--steps'?"),
        ("run --workers 2", "error: No such option: --workers; 'mnist train' takes it"),
        ("version", "hint: run 'mnist --version'"),
        ("trian", "error: No such command 'trian'. Did you mean 'train'?"),
        ("--artifacts mine status", "hint: options go after the command: 'mnist status --artifacts mine'"),
        ("-q status", "hint: options go after the command: 'mnist status -q'"),
    ],
)
def test_a_slip_on_the_command_line_is_put_right(empty: Path, words: str, line: str) -> None:
    assert line in mnist(*words.split(), code=2).err.splitlines()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--set train.lr=0.3", "train.learning_rate"),
        ("--set lr=0.3", "train.learning_rate"),
        ("--set train.step=3", "train.steps"),
        ("--optimizer Adam", "adam"),
        ("--dataset MNIST", "mnist"),
    ],
)
def test_a_slip_in_a_key_or_value_is_put_right(empty: Path, words: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in mnist("run", *words.split(), code=3).err


@pytest.mark.parametrize("words", [("--learning-rate", ""), ("--set", "train.steps="), ("--set", "train.steps= ")])
def test_an_empty_value_is_refused(empty: Path, words: tuple[str, str]) -> None:
    done = mnist("run", *words, code=3)
    assert "expected a value; received an empty one" in done.err
    assert "for no value, give null" in done.err


def test_a_file_with_the_other_ending_is_named(empty: Path) -> None:
    Path("pipeline.yml").write_text("seed: 1\n", encoding="utf-8")
    words = "note: pipeline.yml was not read: rename it to pipeline.yaml, or give --config pipeline.yml"
    assert words in mnist("status").err.splitlines()
    assert not mnist("status", "--config", "pipeline.yml").err
    Path("pipeline.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert not mnist("status").err


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("train:\n  steps: 5\n\tbatch_size: 3\n", (3, 1), "a tab"),
        ("seed: 1\ntrain:\n\tsteps: 5\n", (3, 1), "a tab"),
        ("seed: 1\n<<<<<<< HEAD\ntrain:\n=======\n", (2, 1), "a merge conflict marker (<<<<<<<)"),
        ("train:\n  steps: 5\n>>>>>>> theirs\nseed: 1\n", (3, 1), "a merge conflict marker (>>>>>>>)"),
        (f"train:\n  steps:{NO_BREAK}5\n", (2, 9), "a no-break space"),
        (f"train:\n {NO_BREAK}steps: 5\n", (2, 2), "a no-break space"),
        (f"train:\n  steps: 5{NO_BREAK}\n", (2, 11), "a no-break space"),
    ],
)
def test_what_nobody_sees_is_named_at_its_own_line(text: str, place: tuple[int, int], problem: str) -> None:
    (found,) = read_yaml(text.encode()).problems
    assert found[0] == place
    assert problem in found[1]


@pytest.mark.parametrize("text", [f"seed: 1  #{NO_BREAK}a\tnote\n", f"title: 'a{NO_BREAK}b'\n", "seed:\t1\n"])
def test_such_characters_are_welcome_where_they_do_no_harm(text: str) -> None:
    assert not read_yaml(text.encode()).problems
