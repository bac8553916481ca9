"""What TensorFlow says when a file cannot be written, in the words that everybody else uses."""

from __future__ import annotations

import re
from pathlib import Path

import tensorflow as tf

from mnist_cli.text import printable

# `<file>; <reason>` is what its file systems say; a compiled function puts a traceback before it and its node behind.
_REASON = re.compile(r"; ([^;\n]+?)(?= \[Op:|\n|$)")


def not_written(path: Path, error: tf.errors.OpError) -> OSError:
    """Return the failure to write `path` with the reason alone, such as `No space left on device`."""
    return OSError(f"{printable(path)}: cannot be written: {printable(_reason(error.message), 200)}")


def _reason(message: str) -> str:
    if found := _REASON.findall(message):
        return str(found[-1])
    return next((line.strip() for line in message.splitlines() if line.strip()), "TensorFlow does not say why")
