"""The locks of this repository: what the default pipeline and the synthetic digits give, on any machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnist_cli.config.yaml_document import read_yaml
from mnist_cli.recipes import RECIPES
from tests.recipes import hold
from tests.support import ROOT
from tests.support.command_line import run_process


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the configuration and the locks of this repository, and without artifacts."""
    for name in ("pipeline.yaml", "pipeline.lock"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    return tmp_path


def test_the_default_pipeline_gives_what_its_lock_says(real_mnist: Path, clone: Path) -> None:
    done = run_process("run", "--frozen", "--mirror", str(real_mnist), cwd=clone)
    assert "test accuracy 91.54 %" in done.out
    run_process("lock", "--check", cwd=clone)


def test_the_synthetic_digits_give_what_their_lock_says_without_naming_them(clone: Path) -> None:
    done = run_process("run", "--frozen", "--lock", "locks/synthetic.lock", cwd=clone)
    assert "4 files, 55.0 MB, generated" in done.out
    run_process("status", "--frozen", "--lock", "locks/synthetic.lock", "--check", cwd=clone)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reaches_what_its_lock_says(name: str) -> None:
    lock = read_yaml((ROOT / "locks" / f"{name}.lock").read_bytes()).content
    assert lock["overrides"] == {"recipe": name}
    assert lock["accuracy"] == RECIPES[name].accuracy


# The others take minutes: `python -m tests.recipes` holds all of them to their locks.
def test_gradients_give_what_their_lock_says(real_mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_MIRRORS", str(real_mnist))
    assert hold("gradients", tmp_path) is None


def test_a_lock_of_other_digits_is_refused(clone: Path) -> None:
    done = run_process("run", "--frozen", "--lock", "locks/synthetic.lock", "--seed", "1", cwd=clone, code=4)
    assert "seed 0 → 1" in done.err
