"""A store that grows over several runs: after any interruption, the result has the bytes of one undisturbed run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mnist_cli.formats.growing_store import GrowingStore
from mnist_cli.formats.store import ARRAYS, open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from tests.support.data import CLASSES

COUNTS = {"train": 50, "validation": 0, "test": 20}
WIDTH = 784
FACTS = StoreFacts(dataset="small", split_rule="made up", image_shape=(28, 28), classes=CLASSES, sources={})
PIECES = [(split, first) for split, count in COUNTS.items() for first in range(0, count, 10)]


class Killed(Exception):
    """Stands in for SIGKILL: no code of the store runs after it."""


def rows(split: str, first: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.uint8]], ...]:
    random = np.random.default_rng([len(split), first])
    return random.integers(0, 256, (10, WIDTH), dtype=np.uint8), random.integers(0, 10, 10, dtype=np.uint8)


def grow(folder: Path, key: str = "key", *, stop: int | None = None, finish: bool = True) -> int:
    """Resume a store, saving after each piece; return how many rows it had."""
    growing = GrowingStore(folder, key, COUNTS, WIDTH)
    there = sum(growing.rows(split) for split in COUNTS)
    for number, (split, first) in enumerate(PIECES):
        if stop is not None and number == stop:
            return there
        if first >= growing.rows(split):
            growing.append(split, *rows(split, first))
            growing.save()
    if finish:
        growing.finish(folder / "store.h5", FACTS)
    return there


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert grow(folder) == 0
    return digest(folder / "store.h5")


def test_the_bytes_are_those_of_a_store_written_in_one_go(tmp_path: Path, undisturbed: str) -> None:
    with write_store(tmp_path / "store.h5", COUNTS, WIDTH) as writer:
        for split, first in PIECES:
            writer.append(split, *rows(split, first))
        writer.describe(FACTS)
    one, other = open_store(tmp_path / "store.h5"), tmp_path / "other"
    grow(other)
    grown = open_store(other / "store.h5")
    assert grown.digest == one.digest
    assert np.array_equal(grown.train.inputs, one.train.inputs)
    assert sorted(path.name for path in other.iterdir()) == ["store.h5"]
    assert digest(other / "store.h5") == undisturbed


@pytest.mark.parametrize("stop", range(len(PIECES) + 1))
def test_it_resumes_after_any_piece_with_the_same_bytes(tmp_path: Path, undisturbed: str, stop: int) -> None:
    grow(tmp_path, stop=stop, finish=False)
    assert grow(tmp_path) == 10 * stop
    assert digest(tmp_path / "store.h5") == undisturbed


def test_rows_missing_from_the_journal_are_written_again(tmp_path: Path, undisturbed: str) -> None:
    growing = GrowingStore(tmp_path, "key", COUNTS, WIDTH)
    growing.append("train", *rows("train", 0))
    growing.save()
    growing.append("train", *(255 - part for part in rows("train", 10)))
    growing.close()
    assert grow(tmp_path) == 10
    assert digest(tmp_path / "store.h5") == undisturbed


def test_nothing_is_kept_for_another_key(tmp_path: Path, undisturbed: str) -> None:
    grow(tmp_path, "other", stop=3)
    assert grow(tmp_path) == 0
    assert digest(tmp_path / "store.h5") == undisturbed


def damage(path: Path, position: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        old = file.read(1)[0]
        file.seek(position)
        file.write(bytes([old ^ value]))


def other_arrays(folder: Path, width: int) -> None:
    """Replace the growing file with one whose arrays have other sizes, and a journal without rows."""
    other = GrowingStore(folder / "other", "key", {**COUNTS, "train": 30}, width)
    other.close()
    (folder / "other" / "store.part").replace(folder / "store.part")
    state = {name: [0, hashlib.sha256().hexdigest()] for name in ARRAYS}
    (folder / "journal.json").write_text(json.dumps({"key": "key", "arrays": state}))


def journal_of(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads((folder / "journal.json").read_bytes())
    change(document)
    (folder / "journal.json").write_text(json.dumps(document))


def claims(count: int) -> dict[str, list[object]]:
    return {name: [count, "0" * 64] for name in ARRAYS}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit in a row": lambda folder: damage(
        folder / "store.part", (folder / "store.part").read_bytes().index(rows("train", 10)[0].tobytes()) + 99, 1
    ),
    "a flipped bit in the signature": lambda folder: damage(folder / "store.part", 1, 1),
    "a flipped bit in the superblock": lambda folder: damage(folder / "store.part", 20, 1),
    "a flipped bit in a header": lambda folder: damage(
        folder / "store.part", (folder / "store.part").read_bytes().index(b"OHDR") + 9, 1
    ),
    "cut off": lambda folder: os.truncate(folder / "store.part", 20_000),
    "empty": lambda folder: os.truncate(folder / "store.part", 0),
    "longer": lambda folder: os.truncate(folder / "store.part", 300_000),
    "text": lambda folder: (folder / "store.part").write_text("no store"),
    "gone": lambda folder: (folder / "store.part").unlink(),
    "another HDF5 file": lambda folder: h5py.File(folder / "store.part", "w").close(),
    "arrays of other sizes": lambda folder: other_arrays(folder, WIDTH),
    "rows of another size": lambda folder: other_arrays(folder, 100),
    "no journal": lambda folder: (folder / "journal.json").unlink(),
    "an empty journal": lambda folder: (folder / "journal.json").write_text(""),
    "a journal that is a list": lambda folder: (folder / "journal.json").write_text("[]"),
    "a journal that nests": lambda folder: (folder / "journal.json").write_text("[" * 100_000),
    "a journal without arrays": lambda folder: journal_of(folder, lambda document: document.pop("arrays")),
    "a journal with arrays of another kind": lambda folder: journal_of(
        folder, lambda document: document.update(arrays=[1, 2])
    ),
    "a journal of fewer arrays": lambda folder: journal_of(folder, lambda document: document.update(arrays={})),
    "a journal that claims too much": lambda folder: journal_of(
        folder, lambda document: document.update(arrays=claims(10**9))
    ),
    "a journal that claims less than nothing": lambda folder: journal_of(
        folder, lambda document: document.update(arrays=claims(-3))
    ),
    "more labels than rows": lambda folder: journal_of(
        folder,
        lambda document: document["arrays"].update(  # type: ignore[attr-defined]
            {"/train/inputs": [0, hashlib.sha256().hexdigest()]}
        ),
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_or_foreign_file_is_started_over(tmp_path: Path, undisturbed: str, what: str) -> None:
    grow(tmp_path, stop=3)
    DAMAGES[what](tmp_path)
    grow(tmp_path)
    assert digest(tmp_path / "store.h5") == undisturbed
    assert not (tmp_path / "journal.json").exists()


@pytest.mark.parametrize("link", ["store.part", "journal.json"])
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, undisturbed: str, link: str) -> None:
    grow(tmp_path, stop=3)
    victim = tmp_path / "victim"
    (tmp_path / link).replace(victim)
    (tmp_path / link).symlink_to(victim)
    before = digest(victim)
    grow(tmp_path)
    assert digest(victim) == before
    assert digest(tmp_path / "store.h5") == undisturbed


@pytest.mark.parametrize("write", range(14))
def test_a_kill_while_finishing_changes_nothing(
    tmp_path: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """End the process at the n-th change that finishing makes."""
    grow(tmp_path, finish=False)
    calls = iter(range(1_000_000))

    def dying(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            if next(calls) >= write:
                raise Killed
            return function(*arguments)

        return call

    growing = GrowingStore(tmp_path, "key", COUNTS, WIDTH)
    with monkeypatch.context() as patch:
        for name in ("pwrite", "ftruncate", "fsync", "replace", "rename", "unlink"):
            patch.setattr(os, name, dying(getattr(os, name)))
        with contextlib.suppress(Killed, SystemError, OSError):
            growing.finish(tmp_path / "store.h5", FACTS)
    if not (tmp_path / "store.h5").exists():
        grow(tmp_path)
    assert digest(tmp_path / "store.h5") == undisturbed
