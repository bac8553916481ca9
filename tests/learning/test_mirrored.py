"""Several replicas in one process: the bits of one, also through a resume with another number of them.

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
from mnist_cli.learning.distributed.setting import cpu_devices
from tests.support import ROOT
from tests.support.data import write_small_store
from tests.support.progress import Listener
from tests.support.stages import preprocess, train
from tests.support.trainings import outputs

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
    print(result.resumed_from)
"""


def train_mirrored(store: Path, replicas: int, *runs: tuple[Path, dict[str, Any]]) -> list[int]:
    """Train once for each run, in one process; return the step that each resumed from."""
    described = json.dumps([(str(folder), settings) for folder, settings in runs])
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store), str(replicas), described]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.splitlines()]


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
def test_replicas_have_the_bits_of_one_device(small: Path, tmp_path: Path, replicas: int) -> None:
    runs = [(tmp_path / "shared" / name, settings) for name, settings in CASES.items()]
    assert train_mirrored(small, replicas, *runs) == [0] * len(CASES)
    for name, settings in CASES.items():
        train(small, tmp_path / name, **settings)
        assert outputs(tmp_path / name) == outputs(tmp_path / "shared" / name), name


def test_a_checkpoint_can_be_resumed_with_another_number_of_replicas(small: Path, tmp_path: Path) -> None:
    settings = {"steps": 90, "validate_every": 20, "optimizer": "momentum"}
    assert train_mirrored(small, 3, (tmp_path / "cut", settings | {"steps": 30})) == [0]
    assert train(small, tmp_path / "cut", **settings | {"steps": 60}).resumed_from == 30
    assert train_mirrored(small, 2, (tmp_path / "cut", settings)) == [60]
    train(small, tmp_path / "calm", **settings)
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "cut")


def test_one_mirrored_replica_has_the_bits_of_a_single_one(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path / "single", steps=50)
    listener = Listener()
    train(small, tmp_path / "mirrored", steps=50, device="cpu", strategy="mirrored", progress=listener)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "mirrored")
    assert listener.notes == ["train.strategy mirrored: there is only one device, so it trains like single"]


@pytest.mark.parametrize("text", ["0", "65", "-1", "two", "1.5", "100"])
def test_an_invalid_number_of_cpu_devices_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MNIST_CPU_DEVICES", text)
    with pytest.raises(ConfigError, match="MNIST_CPU_DEVICES: expected a number from 1 to 64; received"):
        cpu_devices()


@pytest.mark.exhaustive
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_replicas_have_the_bits_of_one_device_on_real_digits(real_mnist: Path, tmp_path: Path, optimizer: str) -> None:
    preprocess(real_mnist, tmp_path)
    settings = {"optimizer": optimizer}
    assert train_mirrored(tmp_path / "store.h5", 3, (tmp_path / "shared", settings)) == [0]
    train(tmp_path / "store.h5", tmp_path / "single", optimizer=optimizer)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "shared")


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
