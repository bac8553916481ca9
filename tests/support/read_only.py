"""Run a command where nothing but some folders can be written, as in a container with `--read-only`; Linux only.

`unshare` gives the command mounts of its own, which needs no root. This module, run in there, makes all of them
read-only but those of the folders, and becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
# From <linux/mount.h>; the number is the same on every architecture, and glibc has the function since 2.36 only.
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1


def read_only(*command: str, writable: tuple[Path, ...] = ()) -> list[str]:
    """Return the command line that runs a command where only the given folders can be written."""
    return [*_UNSHARE, sys.executable, str(Path(__file__)), str(len(writable)), *map(str, writable), *command]


def why_not() -> str:
    """Return why this system cannot run such a command; empty: it can."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        tried = subprocess.run(read_only("true"), env=variables, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return "" if tried.returncode == 0 else (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


def _change(place: str, flags: int, *, set: int = 0, clear: int = 0) -> None:
    """Change the attributes of a mount."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = _Attributes(set, clear, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(place), flags, ctypes.byref(attributes), size):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)


def _main(count: str, *words: str) -> None:
    folders, command = words[: int(count)], words[int(count) :]
    for folder in folders:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
    _change("/", _AT_RECURSIVE, set=_READ_ONLY)
    for folder in folders:
        _change(folder, 0, clear=_READ_ONLY)
    os.execvp(command[0], command)


if __name__ == "__main__":
    _main(*sys.argv[1:])
