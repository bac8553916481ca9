"""Small stores for tests of training and evaluation."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.formats.store_writer import write_store
from tests.support.idx_files import SIDE, tiny_examples

CLASSES = tuple("0123456789")


def write_small_store(
    path: Path, *, train: int = 130, validation: int = 30, test: int = 50, classes: tuple[str, ...] = CLASSES
) -> Path:
    """Write a store of squares that a linear model tells apart; the same arguments give the same bytes."""
    counts = {"train": train, "validation": validation, "test": test}
    with write_store(path, counts, SIDE * SIDE) as writer:
        for seed, (split, count) in enumerate(counts.items()):
            images, labels = tiny_examples(count, seed)
            writer.append(split, images.reshape(count, SIDE * SIDE), labels)
        writer.describe(dataset="small", split_rule="made up", image_shape=(SIDE, SIDE), classes=classes, sources={})
    return path
