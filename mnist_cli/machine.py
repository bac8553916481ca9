"""Describe what this process runs on: the processor and the packages that do the computing."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from pathlib import Path
from typing import Any

from mnist_cli import __version__
from mnist_cli.files import naming

_PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow")
_CPUINFO = Path("/proc/cpuinfo")
_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)


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


def cpu_name() -> str:
    """Return the processor's own name, or "unknown"."""
    return _first("model name") or platform.processor() or "unknown"


def installed_version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed; the package is not imported."""
    from importlib import metadata  # 7 ms that few commands need

    try:
        with naming(Path(f"{package}.dist-info/METADATA")):
            described = metadata.distribution(package).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return None
    # `metadata.version` parses the whole file as an e-mail, which takes 10 ms and finds the same line.
    found = _VERSION.search(described)
    return found[1] if found else metadata.version(package)


def _first(field: str) -> str | None:
    """Return a field of the first processor in /proc/cpuinfo, or None; reading all processors is slow."""
    with contextlib.suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return None
