"""A disk that is really full, a limit on the size of files, and a standard output that takes nothing."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.attacks.operations import complaints
from tests.attacks.scene import Figures, Scene, arguments, leftovers, published
from tests.support.warm import Process

# Up to more than the largest file of the tiny runs, so that each kind of file is the first over one of them. Not less:
# the limit holds also for the file that takes the error message.
SIZES = (400, 1_000, 1_500, 2_000, 3_000, 10_000, 20_000, 30_000, 60_000, 66_000, 90_000)


def limit_sizes(scene: Scene, command: str) -> Figures:
    """Run a command with each of SIZES as the largest size of a file (RLIMIT_FSIZE)."""
    figures = Figures("RLIMIT_FSIZE", command)
    for size in SIZES:
        with scene.copy(command) as folder:
            before = published(folder / "artifacts")
            process = scene.warm.run(*arguments(folder, command), folder=folder, file_size=size)
            _count(scene, figures, process, folder, before, f"{size} bytes")
    return figures


def full_output(scene: Scene, command: str) -> Figures:
    """Run a command whose standard output is /dev/full."""
    figures = Figures("/dev/full as stdout", command, attempts=1)
    with scene.copy(command) as folder:
        process = scene.warm.run(*arguments(folder, command), folder=folder, output="/dev/full")
        figures.hits, figures.refused = 1, int(process.code != 0)
        if process.code != 1 or "error: standard output: No space left on device" not in process.err:
            figures.violations.append(f"ended with {process.code}: {process.err}")
        figures.violations += scene.judge(folder) + scene.recover(folder)
    return figures


@functools.cache
def why_no_mount() -> str | None:
    """Return the reason why no file system of a given size can be made here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return "only root on Linux may mount"
    with tempfile.TemporaryDirectory() as place:
        mount = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
    return None if result.returncode == 0 else f"mounting is not allowed here: {result.stderr.strip()}"


def _count(
    scene: Scene, figures: Figures, process: Process, folder: Path, before: dict[str, dict[str, str]], what: str
) -> None:
    figures.attempts += 1
    figures.hits += process.code != 0
    figures.refused += process.code != 0
    wrong = scene.judge(folder)
    if process.code != 0:
        wrong += complaints(process)
    if process.code == 0 or published(folder / "artifacts") != before or leftovers(folder / "artifacts"):
        wrong += scene.recover(folder)
    figures.violations += [f"{what}: {problem}" for problem in wrong]
