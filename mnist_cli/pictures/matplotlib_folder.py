"""Use Matplotlib where it cannot keep its files below the home folder, as in many containers."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from mnist_cli import files


@contextlib.contextmanager
def tidy_matplotlib() -> Iterator[None]:
    """Import and use Matplotlib in the block, without a warning about its folder and without leaving one behind.

    Without a writable home folder, it creates a temporary folder, sets MPLCONFIGDIR to it, and removes it when the
    interpreter shuts down, which our commands skip. Only for a process that ends after the block.
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
