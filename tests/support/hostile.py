"""A folder full of files that must never be run."""

from __future__ import annotations

import sys
from pathlib import Path

_HOSTILE = "open({marker!r}, 'a').write(__name__ + chr(10))\nraise SystemExit(66)\n"
_INSTALLED = {"numpy", "h5py", "tensorflow", "keras", "typer", "click", "yaml", "mnist_cli"}


def hostile_folder(folder: Path) -> Path:
    """Fill a folder with files that have the names of modules; return the file in which they say that they were run."""
    marker = folder / "was-run"
    for name in _INSTALLED | set(sys.stdlib_module_names):
        (folder / f"{name}.py").write_text(_HOSTILE.format(marker=str(marker)))
    return marker
