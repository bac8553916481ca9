"""A hint that names a command can be followed: it repeats what was typed, and it helps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.command_line import mnist
from tests.support.pipelines import Pipeline

CONFIGURATION = "dataset: tiny\npreprocess: {validation_size: 10}\n"


def commands(text: str) -> list[str]:
    """Return the commands that a text quotes."""
    return re.findall(r"'(mnist [^']*)'", text)


def follow(command: str, code: int | None = 0) -> None:
    mnist(*shlex.split(command)[1:], code=code)


@pytest.fixture
def elsewhere(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The pipeline of a configuration and artifacts with names of their own."""
    monkeypatch.setenv("MNIST_MIRRORS", str(pipeline.mirror))
    Path("mine.yaml").write_text(CONFIGURATION, encoding="utf-8")
    return pipeline


def test_status_repeats_folder_file_and_settings(elsewhere: Pipeline) -> None:
    done = mnist("status", "--artifacts", "mine", "--config", "mine.yaml", "--set", "train.learning_rate=0.3")
    assert commands(done.out) == ["mnist run --artifacts mine --config mine.yaml --learning-rate 0.3"]


def test_what_needs_another_stage_names_a_command_that_makes_it(elsewhere: Pipeline) -> None:
    typed = ("--artifacts", "my files", "--config", "mine.yaml", "--set", "preprocess.validation_size=12")
    mnist("fetch", *typed)
    done = mnist("train", *typed, "--learning-rate", "0.3", code=5)
    preprocess, everything = re.findall(r"'(mnist (?:preprocess|run) .*?)'(?:,| for)", done.err)
    follow(preprocess)
    assert "--learning-rate" not in preprocess
    assert "--learning-rate 0.3" in everything
    assert "preprocess  fresh" in mnist("status", *typed).out


def test_the_same_command_with_another_option_keeps_its_own(elsewhere: Pipeline) -> None:
    typed = ("--artifacts", "mine", "--config", "mine.yaml")
    mnist("fetch", *typed)
    (elsewhere.artifacts.root.parent / "mine/fetch/manifest.json").write_bytes(b"{")
    done = mnist("verify", *typed, code=6)
    assert commands(done.err) == ["mnist verify --artifacts mine --config mine.yaml --repair"]
    follow(commands(done.err)[0])
    mnist("verify", *typed)


def test_run_repeats_what_the_last_run_was_given(elsewhere: Pipeline) -> None:
    mnist("run", "--to", "fetch", "--dataset", "tiny")
    Path("artifacts/fetch/manifest.json").unlink()
    done = mnist("train", code=5)
    assert "or 'mnist run --dataset tiny' for everything" in done.err


def test_a_frozen_run_is_not_what_is_run_when_the_change_is_meant(elsewhere: Pipeline) -> None:
    typed = ("--artifacts", "mine", "--config", "mine.yaml")
    mnist("run", "--to", "preprocess", *typed)
    done = mnist("run", "--frozen", *typed, code=3)
    assert commands(done.err) == ["mnist lock --artifacts mine --config mine.yaml"]


def test_a_missing_file_is_written_by_the_command_in_the_hint(elsewhere: Pipeline) -> None:
    done = mnist("status", "--config", "other.yaml", "--artifacts", "mine", code=3)
    assert commands(done.err) == ["mnist config init --config other.yaml"]
    follow(commands(done.err)[0])
    mnist("status", "--config", "other.yaml")


def test_an_internal_error_repeats_the_whole_command(elsewhere: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cli.pipeline.plan.examine_all", lambda *_: 1 / 0)
    done = mnist("status", "--artifacts", "mine", code=1)
    assert commands(done.err) == ["mnist status --artifacts mine --debug"]


def test_a_hint_shows_no_password(elsewhere: Pipeline) -> None:
    done = mnist("status", "--set", "fetch.mirrors=[https://me:secret@example.org/]")
    assert "mnist run" in done.out
    assert "secret" not in done.out
