"""Writes a test image as somebody would have drawn it: dark on white, ten times as large.

The first argument is a store, the second the PNG to write.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import mnist_cli


def main(store: str, file: str) -> None:
    """Write the first test image."""
    opened = mnist_cli.open_store(store)
    digit = 255 - opened.test.inputs[0].reshape(opened.image_shape)
    Image.fromarray(np.kron(digit, np.ones((10, 10), np.uint8))).save(file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
