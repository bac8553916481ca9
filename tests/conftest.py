"""Fixtures that several test modules use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.sources.mirrors import listed_mirrors
from tests.support.data import register_dataset, write_tiny_dataset

if TYPE_CHECKING:
    from tests.support.browser import Browser

pytest_plugins = [f"tests.support.{name}" for name in ("exhaustive", "fetch_fixtures", "finished", "pipelines", "warm")]

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
    for mirror in listed_mirrors(os.environ.get("MNIST_MIRRORS", "")):
        folder = Path(mirror)
        if all((folder / name).is_file() for name in FILE_NAMES.values()):
            return folder
    reason = (
        "needs the real MNIST files: set MNIST_MIRRORS to a folder that holds the four, as 'mnist fetch' leaves them"
        " in artifacts/fetch"
    )
    if os.environ.get("MNIST_REQUIRE_REAL_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core, which a package for another browser driver brings along; the tests use only its script."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; where there is none, the test is skipped."""
    from tests.support.browser import start_browser  # Selenium takes longer to import than most tests

    yield from start_browser(tmp_path_factory.mktemp("profile"))


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
