"""What the configuration refuses, the Python functions refuse too, in the same words and before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_cli import EvalSettings, FetchSettings, PreprocessSettings, TrainSettings, fetch, preprocess, train
from mnist_cli.config.declarations import Section
from mnist_cli.errors import ConfigError
from mnist_cli.tutorial import read_data_sets
from tests.support.command_line import mnist


def refused_by_yaml(tmp_path: Path, key: str, value: str) -> str:
    """Return what a configuration with this value is refused with, without its place."""
    section, _, name = key.rpartition(".")
    text = f"{section}:\n  {name}: {value}\n" if section else f"{name}: {value}\n"
    (tmp_path / "wrong.yaml").write_text(text, encoding="utf-8")
    error = mnist("config", "check", "--config", str(tmp_path / "wrong.yaml"), "--json", code=3).document["error"]
    return str(error["problems"][0].partition(": ")[2])


@pytest.mark.parametrize(
    ("kind", "name", "value", "typed"),
    [
        (TrainSettings, "steps", 10**9 + 1, "1000000001"),
        (TrainSettings, "steps", 10.0, "10.0"),
        (TrainSettings, "epochs", 10**7, "10000000"),
        (TrainSettings, "batch_size", 0, "0"),
        (TrainSettings, "learning_rate", float("nan"), ".nan"),
        (TrainSettings, "optimizer", "best", "best"),
        (EvalSettings, "split", "x", "x"),
        (PreprocessSettings, "validation_size", -1, "-1"),
        (FetchSettings, "timeout", 0, "0"),
    ],
)
def test_settings_are_refused_as_in_the_file(
    tmp_path: Path, kind: type[Section], name: str, value: Any, typed: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        kind(**{name: value})
    assert refused.value.problems == (refused_by_yaml(tmp_path, f"{kind.section}.{name}", typed),)


CALLS: dict[str, Callable[[Path, Any], object]] = {
    "fetch": lambda folder, seed: fetch(folder / "out", dataset="synthetic", seed=seed),
    "preprocess": lambda folder, seed: preprocess(folder, folder / "out", dataset="synthetic", seed=seed),
    "train": lambda folder, seed: train(folder / "store.h5", folder / "out", seed=seed),
    "read_data_sets": lambda folder, seed: read_data_sets(folder / "out", dataset="synthetic", seed=seed),
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize(("value", "typed"), [(-1, "-1"), (2**63, str(2**63)), ("x", "x"), (1.5, "1.5")])
def test_a_seed_is_refused_as_in_the_file(tmp_path: Path, name: str, value: Any, typed: str) -> None:
    with pytest.raises(ConfigError) as refused:
        CALLS[name](tmp_path, value)
    assert refused.value.problems == (refused_by_yaml(tmp_path, "seed", typed),)
    assert not (tmp_path / "out").exists()
