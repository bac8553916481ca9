"""Where a stage ran: recorded in its manifest for people who compare two runs, never part of a key."""

from __future__ import annotations

import os
import platform
from typing import Any

from mnist_cli import __version__
from mnist_cli.distribution import installed_version
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
        **{name: installed_version(name) for name in _PACKAGES},
    }
