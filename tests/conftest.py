"""Fixtures that several test modules use."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mnist_cli.datasets import FILE_NAMES
from tests.attacks.scene import Scene, scene
from tests.support.data import register_dataset, write_tiny_dataset

pytest_plugins = ["tests.support.fetch_fixtures", "tests.support.finished", "tests.support.pipelines"]

# A shell that starts the tests in the background has its children ignore Ctrl-C, and theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("GITHUB_ACTIONS", None)  # there, errors say more than what the tests of them expect


# How long an example takes says more about the machine than about the code; pytest-timeout ends what hangs.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder with the four real MNIST files, when MNIST_MIRRORS names one.

    Skips where it does not; fails instead where MNIST_REQUIRE_REAL_DATA is set, as .ci/run does.
    """
    for mirror in os.environ.get("MNIST_MIRRORS", "").split():
        folder = Path(mirror)
        if all((folder / name).is_file() for name in FILE_NAMES.values()):
            return folder
    reason = "MNIST_MIRRORS names no folder with the four MNIST files"
    if os.environ.get("MNIST_REQUIRE_REAL_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def actors() -> Iterator[Scene]:
    """Two tiny runs, old and new, and commands that start in milliseconds; see tests/attacks."""
    # Not pytest's own folder: nobody else may look into that one.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with scene(Path(name)) as given:
            yield given


@pytest.fixture
def tiny_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four files of a data set of 60 + 20 images that is known as `tiny` while the test runs."""
    folder = tmp_path / "mirror"
    write_tiny_dataset(folder)
    register_dataset(folder, monkeypatch)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, as the current one; no mirror is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_MIRRORS", "")
    return tmp_path
