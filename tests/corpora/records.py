"""Checkpoints and manifests: flipped bits, cut files, other versions and garbage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mnist_cli.formats import HISTORY_NAME
from mnist_cli.formats.history import Record, history_line
from mnist_cli.learning.checkpoint_state import STATE_NAME, State, check_files, read_state, state_of, write_state
from mnist_cli.pipeline.manifest import read_manifest
from tests.corpora.tally import Tally, flipped
from tests.fuzz.targets import seeds

GARBAGE: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b"NaN",
    b"9" * 5000,
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"schema": "mnist-manifest/2", "stage": "eval"}',
    b'{"schema": "mnist-checkpoint/9", "step": 1e999}',
    b'{"schema": "\x1b[2J"}',
    bytes(2 << 20),
)


def attack(folder: Path, count: int) -> Iterator[Tally]:
    """Give the tally of each attack, with `count` random flips."""
    checkpoint = _write_checkpoint(folder / "step-00000060")
    meaning = _read_checkpoint(checkpoint)
    paths = sorted(checkpoint.iterdir())
    same = lambda: _read_checkpoint(checkpoint) == meaning  # noqa: E731
    yield _flips(Tally("checkpoint: random flipped bits of all its files"), paths, count, same, named="")
    yield _cuts(Tally("checkpoint: truncated files, garbage for its state"), paths, same, named="")
    path = folder / "manifest.json"
    path.write_bytes(seeds("manifest")[0])
    said = read_manifest(path)
    unchanged = lambda: read_manifest(path) == said  # noqa: E731
    yield _flips(Tally("manifest.json: random flipped bits"), [path], count, unchanged, named=path.name)
    yield _cuts(Tally("manifest.json: truncated, of another version, garbage"), [path], unchanged, named=path.name)


def _write_checkpoint(folder: Path) -> Path:
    """Write what a checkpoint consists of; the weights' own format is TensorFlow's, and counts only by its digest."""
    folder.mkdir()
    dice = np.random.default_rng(0)
    (folder / "weights.index").write_bytes(dice.bytes(300))
    (folder / "weights.data-00000-of-00001").write_bytes(dice.bytes(31_400))
    records = tuple(Record(step, 1 / step, 2 / step, 0.9) for step in (20, 40, 60))
    (folder / HISTORY_NAME).write_bytes(b"".join(map(history_line, records)))
    write_state(folder, State(60, 3 << 20, records), {"seed": 0, "train.learning_rate": 0.5})
    return folder


def _read_checkpoint(folder: Path) -> list[object]:
    document = read_state(folder)
    check_files(folder, document["files"])
    state = state_of(folder, document)
    weights = [path.read_bytes() for path in sorted(folder.glob("weights.*"))]
    return [document, state.step, state.pending, state.history, weights]


def _flips(tally: Tally, paths: list[Path], count: int, same: Callable[[], bool], named: str) -> Tally:
    dice = random.Random(0)
    for _ in range(count):
        path = dice.choice(paths)
        good = path.read_bytes()
        bit = dice.randrange(8 * len(good))
        path.write_bytes(flipped(good, bit))
        tally.attempt(f"{path.name} bit {bit}", named or path.name, same)
        path.write_bytes(good)
    return tally


def _cuts(tally: Tally, paths: list[Path], same: Callable[[], bool], named: str) -> Tally:
    for path in paths:
        good = path.read_bytes()
        lengths = range(0, len(good), max(1, len(good) // 200))
        wrong = {f"first {length} bytes": good[:length] for length in lengths}
        if path.name in (STATE_NAME, "manifest.json"):
            wrong |= {f"garbage {number}": content for number, content in enumerate(GARBAGE)}
            document = json.loads(good)
            edits = {"schema": "mnist-other/9", "step": 59, "sha256": None, "version": True, "stage": 7}
            for name, value in edits.items():
                if name in document:
                    wrong[f"{name} edited"] = json.dumps(document | {name: value}).encode()
                    wrong[f"{name} gone"] = json.dumps({key: document[key] for key in document if key != name}).encode()
        for what, content in wrong.items():
            path.write_bytes(content)
            tally.attempt(f"{path.name} {what}", named or path.name, same)
        path.write_bytes(good)
    return tally
