"""Where a stage ran: recorded in its manifest for people who compare two runs, never part of a key."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from mnist_cli import __version__
from mnist_cli.processor import cpu_name

_PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow")


def environment() -> dict[str, Any]:
    """Return versions and machine facts; no host name, no user name, no paths."""
    return {
        "mnist-cli": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        **{name: package_version(name) for name in _PACKAGES},
    }


def package_version(name: str) -> str | None:
    """Return the version of an installed package without importing it; None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
