"""Start processes: modules of this package, protected as the console script is, and a few other programs.

`python -m` searches the current folder first, so a file random.py there would run instead of Python's own. A child
therefore searches only where the console script does (-P), and uses the same `mnist_cli` as this process, wherever
that was found. Compilers and browsers run by a path from a search that leaves out the current folder. Only this module
starts processes; tests/base/test_children.py looks for others.
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
    """Start a Python process that calls `main` of a module of this package.

    Args:
        module: its name, such as `mnist_cli.cli.local_worker`.
        arguments: `sys.argv[1:]` as `main` sees it.
        options: for `subprocess.Popen`.

    Raises:
        OSError: the process cannot be started.
    """
    flags = ["-P"]  # children ignore what this process was told to ignore
    flags += ["-E"] if sys.flags.ignore_environment else []
    flags += ["-s"] if sys.flags.no_user_site else []
    command = [sys.executable, *flags, "-c", _PROGRAM, _PACKAGE.name, str(_PACKAGE), module, *arguments]
    return subprocess.Popen(command, **options)


def start_other(command: Sequence[str], **options: Any) -> Child:
    """Start another program, such as a browser; the arguments are those of `subprocess.Popen`."""
    return subprocess.Popen(command, **options)


def run_other(command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run another program to its end with `given` as standard input; return its exit code and its output."""
    return subprocess.run(command, input=given, capture_output=True, check=False)
