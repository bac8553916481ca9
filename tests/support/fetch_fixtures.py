"""Fixtures of the fetch tests: a data set of a few kB, two mirrors that serve it, and a clock that does not wait."""

from __future__ import annotations

import gzip
import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mnist_cli.datasets import DATASETS, FILE_NAMES, DataFile, Dataset
from mnist_cli.sources.time_limits import Clock
from mnist_cli.stages.fetch import FetchResult
from tests.support.mirror_server import MirrorServer
from tests.support.progress import Listener
from tests.support.stages import fetch


@dataclass
class Small:
    """A data set of four small files, how to fetch it, and what was heard and slept meanwhile."""

    root: Path
    files: dict[str, bytes]
    listener: Listener = field(default_factory=Listener)
    slept: list[float] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def images(self) -> str:
        """The name of the largest file, the first to be fetched."""
        return FILE_NAMES["train-images"]

    @property
    def part(self) -> Path:
        """Where the unfinished download of `images` stands."""
        digest = hashlib.sha256(self.files[self.images]).hexdigest()
        return self.out / "partial" / f"{digest[:16]}-{self.images}.part"

    def fetch(self, *mirrors: object, **options: object) -> FetchResult:
        quick = Clock(now=time.monotonic, sleep=self.slept.append, random=lambda: 0.5)
        defaults: dict[str, object] = {"timeout": 5, "deadline": 60, "progress": self.listener, "clock": quick}
        return fetch(self.out, dataset="small", mirrors=[str(m) for m in mirrors], **{**defaults, **options})

    def folder(self, name: str = "folder") -> Path:
        """A folder that holds the right files."""
        folder = self.root / name
        folder.mkdir()
        for file_name, content in self.files.items():
            (folder / file_name).write_bytes(content)
        return folder

    def published(self) -> dict[str, bytes]:
        """What stands in the output folder."""
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file()}

    def begin(self, content: bytes) -> None:
        """Leave an unfinished download of `images` as an earlier run would."""
        self.part.parent.mkdir(parents=True)
        self.part.write_bytes(content)


def small_idx(dimensions: tuple[int, ...], content: bytes) -> bytes:
    header = bytes([0, 0, 8, len(dimensions)]) + b"".join(length.to_bytes(4, "big") for length in dimensions)
    return gzip.compress(header + content, mtime=0)


def small_data_set(root: Path) -> tuple[Small, Dataset]:
    """Return a small data set, to be fetched into `root`, and its entry in the table of data sets."""
    noise = random.Random(1)
    contents = {
        "train-images": small_idx((6, 28, 28), noise.randbytes(6 * 784)),
        "train-labels": small_idx((6,), bytes(range(6))),
        "test-images": small_idx((2, 28, 28), noise.randbytes(2 * 784)),
        "test-labels": small_idx((2,), bytes(2)),
    }
    table = {
        role: DataFile(FILE_NAMES[role], len(content), hashlib.sha256(content).hexdigest())
        for role, content in contents.items()
    }
    small = Small(root, {FILE_NAMES[role]: content for role, content in contents.items()})
    return small, Dataset("small", table, mirrors=(), classes=tuple("0123456789"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    small, data_set = small_data_set(tmp_path)
    monkeypatch.setitem(DATASETS, "small", data_set)
    # A proxy of the machine that runs the tests has no way to loopback.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return small


@pytest.fixture
def mirror(small: Small) -> Iterator[MirrorServer]:
    with MirrorServer(small.files) as server:
        yield server


@pytest.fixture
def second(small: Small) -> Iterator[MirrorServer]:
    with MirrorServer(small.files) as server:
        yield server
