"""The same bytes with other vector instructions, libraries, threads and languages: model, history and metrics.

Each variant is a process of its own, as libraries choose their kernels when they are loaded. Emulated processors are in
tests/portability.py; replicas and workers in the modules named after them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.formats.store import open_store
from tests import portability
from tests.support import ROOT, exact
from tests.support.data import write_small_store
from tests.support.pipeline_digests import WRITTEN
from tests.support.stages import evaluate, train

SETTINGS: dict[str, dict[str, Any]] = {
    "tutorial": {"steps": 300, "batch_size": 50, "validate_every": 70},
    "everything": {
        "steps": 100,
        "optimizer": "nesterov",
        "schedule": "cosine",
        "warmup_steps": 7,
        "l2": 1e-3,
        "weight_decay": 1e-4,
        "ema": 0.9,
        "batch_size": 3000,  # in blocks
        "learning_rate": 0.05,
    },
}
VARIANTS: dict[str, dict[str, str]] = {
    "1 thread": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "2 threads": {"TF_NUM_INTRAOP_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "4 threads": {"TF_NUM_INTRAOP_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"},
    "16 threads": {"TF_NUM_INTRAOP_THREADS": "16", "TF_NUM_INTEROP_THREADS": "16", "OPENBLAS_NUM_THREADS": "16"},
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "oneDNN with SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "OpenBLAS for Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "OpenBLAS for SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "NumPy without AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3"},
    "glibc without AVX2 and FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX,-AVX2_Usable,-FMA_Usable"},
}
# With what the processor has, or may not have.
_NEEDED = {"OpenBLAS for Haswell": "avx2", "OpenBLAS for SkylakeX": "avx512f", "NumPy without AVX2": "avx2"}


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in WRITTEN}


def flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return next((line.split() for line in lines if line.startswith("flags")), [])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("store") / "store.h5", train=700, validation=100)


@pytest.fixture(scope="module")
def usual(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What the settings give in this process."""
    found = {}
    for name, settings in SETTINGS.items():
        folder = tmp_path_factory.mktemp("usual")
        train(store, folder, **settings)
        evaluate(folder / "model.h5", store, folder)
        found[name] = digests(folder)
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_written_is_the_same(
    usual: dict[str, dict[str, str]], store: Path, tmp_path: Path, variant: str, settings: str
) -> None:
    if (needed := _NEEDED.get(variant, "")) and needed not in flags():
        pytest.skip(f"the processor has no {needed}")
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.pipeline_digests", str(store), str(tmp_path)]
    environment = {**os.environ, **VARIANTS[variant]}
    done = subprocess.run(
        [*command, json.dumps(SETTINGS[settings])], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == usual[settings]


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", ["oneDNN off", "glibc without AVX2 and FMA"])
def test_the_contract_is_the_same_in_numpy_alone(variant: str) -> None:
    command = [sys.executable, "-m", "tests.support.without_tensorflow"]
    here, there = (
        subprocess.run(command, env=os.environ | more, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for more in ({}, VARIANTS[variant])
    )
    assert here == there


@pytest.mark.parametrize("workers", [3, 7])
def test_the_contract_is_the_same_for_any_number_of_workers(store: Path, workers: int) -> None:
    split = open_store(store).train
    one, more = (
        exact.train(split.inputs, split.labels, steps=30, batch=50, seed=0, workers=count) for count in (1, workers)
    )
    assert (one.digest, one.losses) == (more.digest, more.losses)


def test_javascript_gives_the_same_model(store: Path, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    split = open_store(store).train
    for name, array in (("inputs", split.inputs), ("labels", split.labels)):
        np.ascontiguousarray(array).tofile(tmp_path / name)
    numbers = ("784", "10", "60", "50", "5", "0.3")
    program = [node, str(ROOT / "tests/support/exact.js"), str(tmp_path / "inputs"), str(tmp_path / "labels"), *numbers]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    result = train(store, tmp_path, steps=60, batch_size=50, seed=5, learning_rate=0.3)
    contract = exact.train(split.inputs, split.labels, steps=60, batch=50, seed=5, rate=Fraction(3, 10))
    assert done.stdout.strip() == result.model_digest == contract.digest


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="needs qemu-x86_64: apt-get install qemu-user")
def test_an_emulated_processor_gives_the_same_bytes() -> None:
    # What needs no TensorFlow, which an emulator runs in seconds; `python -m tests.portability` runs the pipeline.
    assert portability.main(["--quick", "SandyBridge"]) == 0
