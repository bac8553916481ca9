"""Several replicas in one process: one replica's weights but for rounding, the same bits each time, exact resume.

TensorFlow makes logical CPU devices only before it is first used, so that each test trains in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.errors import ConfigError
from mnist_cli.progress import Progress
from mnist_cli.stages.runtime import expected_runtime
from tests.support import ROOT
from tests.support.data import write_small_store
from tests.support.stages import preprocess, train
from tests.support.trainings import difference, outputs

PROGRAM = """
import json, sys
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from tests.support.stages import train

import_tensorflow()
import tensorflow as tf

store, replicas, runs = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
for folder, settings in runs:
    result = train(store, folder, device="cpu", strategy="mirrored", **settings)
    print(json.dumps([result.resumed_from, result.runtime["replicas"]]))
"""


class Notes(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def train_mirrored(store: Path, replicas: int, *runs: tuple[Path, dict[str, Any]]) -> list[list[int]]:
    """Train once for each run, in one process; return from which step each went on and its number of replicas."""
    described = json.dumps([(str(folder), settings) for folder, settings in runs])
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store), str(replicas), described]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("small") / "store.h5")


# 100 and 7 do not divide by 3; of 2 examples one replica of three gets none; 10,000 are summed up in blocks.
CASES: dict[str, dict[str, Any]] = {
    "plain": {"steps": 1000},
    "uneven": {"steps": 300, "batch_size": 7},
    "idle": {"steps": 300, "batch_size": 2},
    "blocks": {"steps": 3, "batch_size": 10_000},
    "full": {"steps": 20, "batch_size": "full", "l2": 0.01},
    "adam": {"steps": 200, "optimizer": "adam", "schedule": "cosine", "ema": 0.9},
}


@pytest.mark.parametrize("replicas", [2, 3])
def test_weights_differ_from_those_of_one_replica_by_rounding_only(small: Path, tmp_path: Path, replicas: int) -> None:
    runs = [(tmp_path / "shared" / name, settings) for name, settings in CASES.items()]
    assert train_mirrored(small, replicas, *runs) == [[0, replicas]] * len(CASES)
    for name, settings in CASES.items():
        train(small, tmp_path / name, **settings)
        # Adam makes the rounding of a gradient near zero, as b's is here, large; see docs/distributed.md.
        bound = 1e-4 if name == "adam" else 1e-5
        assert difference(tmp_path / name, tmp_path / "shared" / name) < bound, name


def test_the_same_number_of_replicas_gives_the_same_bits_also_through_a_resume(small: Path, tmp_path: Path) -> None:
    settings = {"steps": 90, "validate_every": 20, "optimizer": "momentum"}
    runs = [(tmp_path / "calm", settings), (tmp_path / "cut", settings | {"steps": 50}), (tmp_path / "cut", settings)]
    assert train_mirrored(small, 3, *runs) == [[0, 3], [0, 3], [50, 3]]
    assert train_mirrored(small, 3, (tmp_path / "again", settings)) == [[0, 3]]
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "cut") == outputs(tmp_path / "again")


def test_another_number_of_replicas_does_not_go_on_from_a_checkpoint(small: Path, tmp_path: Path) -> None:
    assert train_mirrored(small, 2, (tmp_path, {"steps": 50})) == [[0, 2]]
    assert train_mirrored(small, 3, (tmp_path, {"steps": 60})) == [[0, 3]]


def test_one_mirrored_replica_has_the_bits_of_a_single_one(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path / "single", steps=50)
    told = Notes()
    train(small, tmp_path / "mirrored", steps=50, device="cpu", strategy="mirrored", progress=told)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "mirrored")
    assert told.notes == ["there is one device for train.strategy mirrored: it trains as single does"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_real_weights_differ_from_those_of_one_replica_by_rounding_only(
    real_mnist: Path, tmp_path: Path, optimizer: str
) -> None:
    preprocess(real_mnist, tmp_path)
    settings = {"optimizer": optimizer}
    assert train_mirrored(tmp_path / "store.h5", 3, (tmp_path / "shared", settings)) == [[0, 3]]
    train(tmp_path / "store.h5", tmp_path / "single", optimizer=optimizer)
    assert difference(tmp_path / "single", tmp_path / "shared") < 1e-5


def test_what_the_planner_expects_leaves_open_what_only_tensorflow_knows() -> None:
    assert expected_runtime("gpu:1")["device"] == "gpu"
    assert expected_runtime("cpu", "single")["replicas"] == 1
    assert expected_runtime("cpu", "mirrored")["replicas"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "sharded"}, r"train\.strategy: expected single, mirrored"),
        ({"device": "gpu:"}, r"train\.device: expected auto, cpu, gpu or gpu:N; received 'gpu:'"),
        ({"device": "gpu:0", "strategy": "mirrored"}, r"mirrored takes every GPU"),
    ],
)
def test_an_impossible_device_or_strategy_is_refused(
    small: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(small, tmp_path, **settings)
