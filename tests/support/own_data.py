"""Data sets of one's own, small."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_cli.datasets import FILE_NAMES


def write_photos(folder: Path, count: int = 5) -> None:
    """Write two subfolders, `a` and `b`, of `count` pictures of 6 × 4 pixels each."""
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((6, 4), 20 * index + ord(label) - ord("a"), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{index}.png")


def unpack(folder: Path) -> None:
    """Replace the four files in a folder by the same ones without compression, whose bytes depend on no zlib."""
    for name in FILE_NAMES.values():
        content = gzip.decompress((folder / name).read_bytes())
        (folder / name).unlink()
        (folder / name.removesuffix(".gz")).write_bytes(content)
