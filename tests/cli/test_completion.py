"""What the shell offers after TAB, asked for as the shells ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.cli.completion import config_keys
from mnist_cli.config.yaml_document import read_scalar
from mnist_cli.stages import PIPELINE
from tests.support.command_line import run_process


def offered(words: list[str], cwd: Path) -> list[str]:
    """Return what bash would offer for the last of the words."""
    variables = {
        "_MNIST_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    result = run_process(cwd=cwd, variables=variables)
    assert result.err == ""
    return result.out.split()


def test_stage_names_complete(tmp_path: Path) -> None:
    assert offered(["mnist", "run", "--from", ""], tmp_path) == list(PIPELINE.stages)
    assert offered(["mnist", "run", "--to", "pre"], tmp_path) == ["preprocess"]


def test_configuration_keys_complete(tmp_path: Path) -> None:
    keys = offered(["mnist", "status", "--set", "train.che"], tmp_path)
    assert keys == ["train.checkpoint_every", "train.checkpoint_seconds"]


def test_the_values_of_an_option_complete(tmp_path: Path) -> None:
    assert offered(["mnist", "train", "--optimizer", "ada"], tmp_path) == ["adam", "adamw", "adamax", "adagrad"]


def test_the_ids_of_kept_runs_complete(tmp_path: Path) -> None:
    for name in ("3f9a0000", "3fff0000", "41aa0000", ".tmp-1"):
        (tmp_path / "artifacts" / "runs" / name).mkdir(parents=True)
    assert offered(["mnist", "runs", "show", "3f"], tmp_path) == ["3f9a0000", "3fff0000"]
    assert offered(["mnist", "diff", "l"], tmp_path) == ["latest"]


def test_every_key_is_offered_with_its_meaning() -> None:
    assert config_keys(PIPELINE, "") == [(path, key.meaning) for path, key in PIPELINE.declarations.keys.items()]


@pytest.mark.parametrize("path", PIPELINE.declarations.keys)
def test_every_offered_value_is_a_valid_one(path: str) -> None:
    kind = PIPELINE.declarations.keys[path].kind
    for word in kind.words:
        assert kind.check(read_scalar(word)) == read_scalar(word)
