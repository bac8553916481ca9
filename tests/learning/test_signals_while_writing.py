"""Signals that come while a checkpoint is half written: nothing half is left, and the bits are those of a calm run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.stages.train import TrainResult
from tests.support import ROOT
from tests.support.data import write_small_store
from tests.support.stages import train

# The second checkpoint is written until a byte comes: its weights are there, and neither on the disk nor named.
PROGRAM = """
import os, sys
from mnist_cli.errors import Interrupted
from mnist_cli.signals import raise_on_signals
from tests.support.stages import train
from mnist_cli.learning.tensorflow_setup import import_tensorflow
import_tensorflow()
from mnist_cli.learning import checkpoints

sync, wait, begun = checkpoints._sync, checkpoints.Checkpoints.wait, []

def slow_sync(folder):
    begun.append(folder)
    if len(begun) == 2:
        os.write(1, b"writing\\n")
        os.read(0, 1)
    sync(folder)

def telling_wait(self):
    os.write(1, b"waiting\\n")
    wait(self)

checkpoints._sync, checkpoints.Checkpoints.wait = slow_sync, telling_wait
raise_on_signals()
try:
    train(sys.argv[1], sys.argv[2], steps=10**6, batch_size=10, checkpoint_every=100)
except Interrupted as error:
    print(error, flush=True)
    os._exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("store") / "store.h5")


@contextmanager
def signalled_while_writing(store: Path, folder: Path, number: signal.Signals) -> Iterator[subprocess.Popen[str]]:
    """Train, send the signal while a checkpoint is being written, and hand over when training waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            process.send_signal(number)
            assert process.stdout.readline() == "waiting\n"
            yield process
        finally:
            process.kill()


def go_on(store: Path, folder: Path, steps: int, **settings: Any) -> TrainResult:
    return train(store, folder, steps=steps, batch_size=10, checkpoint_every=100, **settings)


def assert_same_bits(one: Path, other: Path) -> None:
    for name in ("model.h5", "history.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_sigterm_while_a_checkpoint_is_written_completes_it_and_one_of_the_last_step(
    store: Path, tmp_path: Path
) -> None:
    with signalled_while_writing(store, tmp_path / "cut", signal.SIGTERM) as process:
        said = process.communicate("\n", timeout=60)[0]
        assert process.returncode == 143
    reached = re.fullmatch(r"interrupted at step ([\d,]+); the same call resumes from there\n", said)
    assert reached, said
    step = int(reached[1].replace(",", ""))
    assert go_on(store, tmp_path / "cut", step + 150).resumed_from == step
    go_on(store, tmp_path / "calm", step + 150)
    assert_same_bits(tmp_path / "cut", tmp_path / "calm")


@pytest.mark.exhaustive
def test_a_second_ctrl_c_does_not_wait_for_the_disk_and_leaves_whole_checkpoints(store: Path, tmp_path: Path) -> None:
    with signalled_while_writing(store, tmp_path / "cut", signal.SIGINT) as process:
        process.send_signal(signal.SIGINT)
        # The checkpoint that is being written would never be complete.
        assert process.wait(timeout=30) == 130
    names = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").glob("*/*"))
    assert names[0].startswith(".tmp-step-")
    assert names[1:] == ["step-00000100"]
    assert go_on(store, tmp_path / "cut", 250, resume="require").resumed_from == 100
    go_on(store, tmp_path / "calm", 250)
    assert_same_bits(tmp_path / "cut", tmp_path / "calm")
