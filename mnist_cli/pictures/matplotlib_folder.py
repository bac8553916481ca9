"""Matplotlib where it cannot keep its files below the home folder, as in many containers."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from mnist_cli import files


@contextlib.contextmanager
def tidy_matplotlib() -> Iterator[None]:
    """Import and use Matplotlib in the block: it says nothing of its folder, and leaves none behind.

    Without a home folder that it can write, it makes a temporary one, lets MPLCONFIGDIR name it, and removes it when
    the interpreter is taken apart, which a command of ours never is. For a process that ends after the block.
    """
    logger, is_named = logging.getLogger("matplotlib"), "MPLCONFIGDIR" in os.environ
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if not is_named and (made := os.environ.pop("MPLCONFIGDIR", None)):
            with contextlib.suppress(OSError):
                files.remove(Path(made), Path(made).parent)
