"""`python -m tests.recipes [NAME …]`: hold the recipes to their locks, locks/NAME.lock, to the bit.

Each is run in a folder of its own, from the files in the first folder of MNIST_MIRRORS. With --write the locks are
written from what the runs give: only where the change is meant. All six take about ten minutes and 5 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mnist_cli.recipes import RECIPES
from tests.support import ROOT


def main(arguments: Sequence[str]) -> int:
    """Run the recipes that are named; return 1 if one gives something else than its lock says."""
    parser = argparse.ArgumentParser(prog="python -m tests.recipes", description=__doc__, allow_abbrev=False)
    parser.add_argument("recipe", nargs="*", default=list(RECIPES), help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--write", action="store_true", help="write the locks instead of comparing with them")
    options = parser.parse_args(arguments)
    code = 0
    for name in options.recipe:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"recipe-{name}-") as scratch:
            told = write(name, Path(scratch)) if options.write else hold(name, Path(scratch))
        code = code or int(told is not None)
        print(f"{name:12} {told or 'as its lock says'} ({time.monotonic() - started:.0f} s)", flush=True)
    return code


def hold(name: str, folder: Path) -> str | None:
    """Run a recipe under its lock in an empty folder; return what is wrong, or None."""
    shutil.copy(ROOT / "pipeline.yaml", folder)
    done = _mnist(folder, "run", "--frozen", "--lock", str(ROOT / "locks" / f"{name}.lock"))
    return None if done.returncode == 0 else done.stderr.strip()


def write(name: str, folder: Path) -> str | None:
    """Run a recipe and write its lock; return what went wrong, or None."""
    shutil.copy(ROOT / "pipeline.yaml", folder)
    lock = ROOT / "locks" / f"{name}.lock"
    for words in (("run", "--recipe", name), ("lock", "--output", str(lock))):
        done = _mnist(folder, *words)
        if done.returncode:
            return done.stderr.strip()
    return None


def _mnist(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mnist_cli", *words, "--quiet"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
