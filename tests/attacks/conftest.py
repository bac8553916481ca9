"""The fixture that the attacks share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.scene import Scene, scene
from tests.support.warm import Warm


@pytest.fixture(scope="session")
def actors(warm: Warm) -> Iterator[Scene]:
    """Two tiny runs, old and new, and commands that start in milliseconds; see tests/attacks."""
    # Not pytest's own folder: nobody else may look into that one.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield scene(Path(name), warm)
