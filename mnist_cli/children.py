"""Starting processes: programs of this package, as protected as the console script, and a few of others.

`python -m` looks for modules in the current folder first: a file random.py there would be run in the place of Python's
own. So a child looks where the console script does (-P), and its `mnist_cli` is the one of this process, wherever that
was found. Compilers and browsers are named by a path that was searched for, never by one in the current folder. This is
the one place that starts processes; tests/base/test_children.py looks for others.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Child = subprocess.Popen[bytes]

_PACKAGE = Path(__file__).parent
_PROGRAM = """\
import importlib, importlib.util, sys
name, home, module = sys.argv[1:4]
del sys.argv[1:4]
spec = importlib.util.spec_from_file_location(name, home + "/__init__.py", submodule_search_locations=[home])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
importlib.import_module(module).main()
"""


def start(module: str, *arguments: str, **options: Any) -> Child:
    """Start a Python process that calls the function `main` of a module of this package.

    Args:
        module: its name, such as `mnist_cli.cli.local_worker`.
        arguments: what `main` finds in `sys.argv` from 1 on.
        options: of `subprocess.Popen`.

    Raises:
        OSError: the process cannot be started.
    """
    flags = ["-P"]  # what this process was told to leave alone, its children leave alone
    flags += ["-E"] if sys.flags.ignore_environment else []
    flags += ["-s"] if sys.flags.no_user_site else []
    command = [sys.executable, *flags, "-c", _PROGRAM, _PACKAGE.name, str(_PACKAGE), module, *arguments]
    return subprocess.Popen(command, **options)


def start_other(command: Sequence[str], **options: Any) -> Child:
    """Start a program that is not ours, such as a browser; arguments as `subprocess.Popen`."""
    return subprocess.Popen(command, **options)


def run_other(command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run such a program to its end, with bytes on its standard input; return its exit code and what it printed."""
    return subprocess.run(command, input=given, capture_output=True, check=False)
