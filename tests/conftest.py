"""Fixtures that several test modules use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnist_cli.datasets import FILE_NAMES


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder with the four real MNIST files, when MNIST_MIRRORS names one."""
    for mirror in os.environ.get("MNIST_MIRRORS", "").split():
        folder = Path(mirror)
        if all((folder / name).is_file() for name in FILE_NAMES.values()):
            return folder
    pytest.skip("MNIST_MIRRORS names no folder with the four MNIST files")
