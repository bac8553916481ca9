"""One finished run, made once, for every test that only needs one to be there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command_line import mnist
from tests.support.data import digit, register_dataset, write_tiny_dataset

CONFIGURATION = """\
dataset: tiny
fetch:
  mirrors: [mirror]
preprocess:
  validation_size: 20
train:
  steps: 40
  batch_size: 10
  validate_every: 10
"""


@contextlib.contextmanager
def new_project(folder: Path) -> Iterator[None]:
    """Make a folder the current one, with the tiny data set and a configuration for it, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        write_tiny_dataset(folder / "mirror")
        register_dataset(folder / "mirror", patch)
        patch.setenv("MNIST_MIRRORS", "")
        patch.chdir(folder)
        Path("pipeline.yaml").write_text(CONFIGURATION, encoding="utf-8")
        yield


def enter_copy(project: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Copy such a folder, make the copy the current one and its data set known, and return it."""
    shutil.copytree(project, folder)
    register_dataset(folder / "mirror", patch)
    patch.setenv("MNIST_MIRRORS", "")
    patch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two trainings on the tiny data set, the second evaluated and locked, and two pictures.

    It is only to be read; `finished` gives a copy.
    """
    folder = tmp_path_factory.mktemp("finished")
    with new_project(folder):
        Image.fromarray(digit()).save("seven.png")
        Path("broken.png").write_bytes(b"no picture")
        for arguments in (["run", "--learning-rate", "0.01"], ["run"], ["lock"]):
            mnist(*arguments, "--quiet")
    return folder


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, as the current folder; the tiny data set is known."""
    return enter_copy(finished_run, tmp_path / "finished", monkeypatch)
