"""Turns TensorFlow's errors about writing files into the OSErrors that everything else raises."""

from __future__ import annotations

import re
from pathlib import Path

import tensorflow as tf

from mnist_cli.text import printable

# TensorFlow's file systems say `<file>; <reason>`; a compiled function adds a traceback before and its node after it.
_REASON = re.compile(r"; ([^;\n]+?)(?= \[Op:|\n|$)")


def not_written(path: Path, error: tf.errors.OpError) -> OSError:
    """Return an OSError about writing `path` with just the reason, such as `No space left on device`."""
    return OSError(f"{printable(path)}: cannot be written: {printable(_reason(error.message), 200)}")


def _reason(message: str) -> str:
    if found := _REASON.findall(message):
        return str(found[-1])
    return next((line.strip() for line in message.splitlines() if line.strip()), "TensorFlow gives no reason")
