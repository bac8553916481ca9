"""Training that is killed at random moments, and resumed each time, ends with the bits of a run that was not.

`MNIST_KILLS=200 python -m pytest --exhaustive=all tests/learning/test_kills.py` kills more often than the 30 times of
`python -m tests.check --all`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.data import write_small_store

KILLS = int(os.environ.get("MNIST_KILLS", "30"))

# TensorFlow is imported once. It may be forked as long as it has done nothing: each child starts its own threads.
PROGRAM = """
import os, random, signal, sys, time
from pathlib import Path
from mnist_cli.learning import training
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from mnist_cli.progress import Progress
from tests.support.stages import train

store, folder, kills, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
training._MAX_CHUNK_EXAMPLES = 200  # many small chunks: more moments that differ

class Ready(Progress):
    def start(self, label, total, unit):
        os.write(pipe, b"r")

def run(name):
    try:
        train(store, folder / name, steps=20_000 + 10 * kills, batch_size=10, validate_every=150, checkpoint_every=100,
              optimizer=sys.argv[5], progress=Ready())
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(130 if isinstance(error, KeyboardInterrupt) else 1)

def start(name):
    global pipe
    read, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        run(name)
    os.close(pipe)
    os.read(read, 1)
    os.close(read)
    return child

import_tensorflow()
chance, done = random.Random(number), 0
for _ in range(kills):
    child = start("rough")
    time.sleep(chance.uniform(0, 0.3))
    os.kill(child, number)
    done += os.WIFSIGNALED(status := os.waitpid(child, 0)[1]) or os.waitstatus_to_exitcode(status) == 130
codes = [os.waitstatus_to_exitcode(os.waitpid(start(name), 0)[1]) for name in ("rough", "calm")]
print(done, codes)
"""


@pytest.mark.exhaustive
@pytest.mark.timeout(60 + 20 * KILLS)
@pytest.mark.parametrize(
    ("number", "kills", "optimizer"),
    [
        (signal.SIGKILL, KILLS, "sgd"),
        (signal.SIGKILL, max(1, KILLS // 6), "adam"),
        (signal.SIGTERM, max(1, KILLS // 6), "sgd"),
    ],
)
def test_training_that_is_killed_again_and_again_ends_with_the_same_bits(
    tmp_path: Path, number: signal.Signals, kills: int, optimizer: str
) -> None:
    store = write_small_store(tmp_path / "store.h5")
    arguments = [str(store), str(tmp_path), str(kills), str(int(number)), optimizer]
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "MNIST_KILLS"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    killed, codes = lines[-1].split(maxsplit=1)
    assert (int(killed), codes) == (kills, "[0, 0]"), done.stdout + done.stderr
    for name in ("model.h5", "history.jsonl"):
        assert (tmp_path / "rough" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
