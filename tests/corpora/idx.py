"""IDX files: what preprocessing makes of wrong ones, and what only the pinned digests can see."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mnist_cli.datasets import DATASETS, FILE_NAMES, DataFile, Dataset
from mnist_cli.files import sha256_of
from mnist_cli.formats import STORE_NAME
from mnist_cli.formats.store import open_store
from tests.corpora.tally import Tally, flipped
from tests.support.data import idx_bytes, tiny_examples, write_tiny_dataset
from tests.support.stages import fetch, preprocess

_NAME = "corpus"


class Files:
    """Four good files in a folder, of which one at a time is replaced by a wrong one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fetch"
        self._out = folder / "out"
        write_tiny_dataset(self.folder)
        self.good = {name: (self.folder / name).read_bytes() for name in FILE_NAMES.values()}
        pinned = {}
        for role, name in FILE_NAMES.items():
            pinned[role] = DataFile(name, len(self.good[name]), sha256_of(self.folder / name))
        self._dataset = Dataset(_NAME, pinned, (), tuple("0123456789"))
        DATASETS[_NAME] = self._dataset
        self.arrays = self._preprocess()

    def _preprocess(self) -> list[bytes]:
        preprocess(self.folder, self._out, dataset=_NAME, validation_size=10)
        store = open_store(self._out / STORE_NAME)
        splits = (store.train, store.validation, store.test)
        return [array.tobytes() for split in splits for array in (split.inputs, split.labels)]

    def by_structure(self, tally: Tally, name: str, content: bytes, what: str) -> None:
        """Let preprocessing read a wrong file."""
        self._replaced(name, content, lambda: tally.attempt(what, name, lambda: self._preprocess() == self.arrays))

    def by_digest(self, tally: Tally, name: str, content: bytes, what: str) -> None:
        """Let fetching look at a wrong file that stands where it puts files; there is no mirror to mend it."""

        def use() -> bool:
            fetch(self.folder, dataset=_NAME, mirrors=[str(self.folder / "none")])
            return False

        self._replaced(name, content, lambda: tally.attempt(what, name, use))

    def _replaced(self, name: str, content: bytes, action: Callable[[], None]) -> None:
        (self.folder / name).write_bytes(content)
        action()
        (self.folder / name).write_bytes(self.good[name])


def attack(folder: Path, count: int) -> Iterator[Tally]:
    """Give the tally of each attack, with `count` random flips where flips are random."""
    files = Files(folder)
    try:
        yield _headers(files)
        yield _payloads(files, count)
        yield _pins(files, count)
        yield _crafted(files)
        yield _bomb(files, 1 << 30 if count >= 10_000 else 1 << 26)
    finally:
        del DATASETS[_NAME]


def _headers(files: Files) -> Tally:
    """Every bit and every length of each header, in a plain file and in a gzip file with a right checksum."""
    tally = Tally("IDX: every flipped bit and every truncation of each header, plain and packed")
    for name, packed in files.good.items():
        plain = gzip.decompress(packed)
        size = 4 + 4 * plain[3]
        for pack in (bytes, lambda content: gzip.compress(content, 1, mtime=0)):
            for bit in range(8 * size):
                files.by_structure(tally, name, pack(flipped(plain, bit)), f"{name} bit {bit}")
            for length in range(size):
                files.by_structure(tally, name, pack(plain[:length]), f"{name} first {length} bytes")
    return tally


def _payloads(files: Files, count: int) -> Tally:
    tally = Tally("IDX: random flipped bits of the gzip files, by structure and checksum alone")
    dice = random.Random(0)
    for _ in range(count):
        name = dice.choice(list(files.good))
        bit = dice.randrange(8 * len(files.good[name]))
        files.by_structure(tally, name, flipped(files.good[name], bit), f"{name} bit {bit}")
    return tally


def _pins(files: Files, count: int) -> Tally:
    tally = Tally("IDX: random flipped bits of the fetched files, by the pinned SHA-256")
    dice = random.Random(1)
    for _ in range(count):
        name = dice.choice(list(files.good))
        bit = dice.randrange(8 * len(files.good[name]))
        files.by_digest(tally, name, flipped(files.good[name], bit), f"{name} bit {bit}")
    return tally


def _crafted(files: Files) -> Tally:
    tally = Tally("IDX: dimensions 0, 2^32 - 1 and overflowing, types, lengths, labels, counts, swaps, gzip tricks")
    for what, name, content in _wrong_files(files):
        files.by_structure(tally, name, content, what)
        files.by_structure(tally, name, gzip.compress(content, mtime=0), f"{what}, packed")
    for name, packed in files.good.items():
        plain = gzip.decompress(packed)
        tricks = {
            "trailing zeros": packed + bytes(512),
            "trailing bytes": packed + b"more",
            "a second member": packed + gzip.compress(b""),
            "two members": gzip.compress(plain[:20]) + gzip.compress(plain[20:]),
            "no checksum": packed[:-8],
            "packed twice": gzip.compress(packed),
            "an empty member": gzip.compress(b""),
        }
        for what, content in tricks.items():
            files.by_structure(tally, name, content, f"{name}: {what}")
    return tally


def _wrong_files(files: Files) -> Iterator[tuple[str, str, bytes]]:
    images, labels = tiny_examples(60, 0)
    name, label_name = FILE_NAMES["train-images"], FILE_NAMES["train-labels"]
    most = 2**32 - 1
    shapes = ((0, 28, 28), (60, 0, 28), (most, 28, 28), (60, most, 28), (most,) * 3, (2**31, 2**31, 4), (most,) * 8)
    for shape in shapes:
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        yield f"dimensions {shape}", name, header + images.tobytes()
    for kind in ("i1", "i2", "i4", "f4", "f8"):
        yield f"images of type {kind}", name, idx_bytes(images.astype(kind))
        yield f"labels of type {kind}", label_name, idx_bytes(labels.astype(kind))
    for good, what in ((images, name), (labels, label_name)):
        yield "trailing bytes", what, idx_bytes(good) + b"\0"
        yield "a byte less", what, idx_bytes(good)[:-1]
        yield "a row less", what, idx_bytes(good[:-1])
        yield "a row more", what, idx_bytes(np.concatenate([good, good[:1]]))
        yield "no content", what, b""
        yield "a page", what, b"<!DOCTYPE html><title>403</title>"
    for position, label in ((0, 10), (59, 255)):
        wrong = labels.copy()
        wrong[position] = label
        yield f"label {label}", label_name, idx_bytes(wrong)
    yield "labels as images", name, idx_bytes(labels)
    yield "images as labels", label_name, idx_bytes(images)
    yield "images of 27 rows", FILE_NAMES["test-images"], idx_bytes(tiny_examples(20, 1)[0][:, :27])


def _bomb(files: Files, size: int) -> Tally:
    tally = Tally(f"IDX: gzip bombs of {size >> 20:,} MiB")
    name, (images, _) = FILE_NAMES["train-images"], tiny_examples(60, 0)
    headers = {
        "more than declared": idx_bytes(images),
        "as much as declared, in rows": struct.pack(">HBB3I", 0, 8, 3, size >> 10, 32, 32),
        "as much as declared, in one row": struct.pack(">HBB3I", 0, 8, 3, 1, size >> 15, 1 << 15),
        "as much as declared, as labels": struct.pack(">HBBI", 0, 8, 1, size),
    }
    for what, header in headers.items():
        packer = zlib.compressobj(1, wbits=31)
        zeros = (packer.compress(bytes(1 << 20)) for _ in range(size >> 20))
        content = b"".join([packer.compress(header), *zeros, packer.flush()])
        files.by_structure(tally, name, content, what)
    return tally
