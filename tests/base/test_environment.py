"""Variables that libraries read by themselves are listed, treated, and do not change results."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_cli import environment
from mnist_cli.environment import TABLE, prepare, prepared_for_training, treatment
from tests.support import ROOT
from tests.support.command_line import environment as variables_of_a_process
from tests.support.data import write_small_store
from tests.support.trainings import outputs

# Each value differs from the default and, where possible, does harm.
HARMFUL = {
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "XLA_FLAGS": "--there_is_no_such_flag",
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_LEVEL": "TREAT_INFER_AS_ALLOW",
    "TF_SET_ONEDNN_FPMATH_MODE": "bf16",
    "TF_FP16_CONV_USE_FP32_COMPUTE": "0",
    "NVIDIA_TF32_OVERRIDE": "1",
    "TF2_BEHAVIOR": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "0",
    "TF_CONFIG": "no JSON",
    "KERAS_BACKEND": "no_such_backend",
    "KERAS_HOME": "/nowhere/at/all",
    "MPLBACKEND": "module://no_such_backend",
    "MPLCONFIGDIR": "/nowhere/at/all",
    "MATPLOTLIBRC": "/nowhere/at/all",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "grpc_proxy": "http://127.0.0.1:9",
    "GRPC_ADDRESS_HTTP_PROXY": "127.0.0.1:9",
    "no_proxy": "example.org",
    "no_grpc_proxy": "example.org",
    "GRPC_VERBOSITY": "INFO",
}
OTHER = {
    "SLURM_JOB_ID": "7",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_NUM_INTRAOP_THREADS": "3",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_DISABLE_JIT_KERNELS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "NCCL_NTHREADS": "64",
    "OMP_NUM_THREADS": "3",
    "OMP_PROC_BIND": "true",
    "KMP_BLOCKTIME": "0",
    "GOMP_SPINCOUNT": "0",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "",
    "HDF5_USE_FILE_LOCKING": "FALSE",
    "PILLOW_BLOCKS_MAX": "1",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "COLUMNS": "20",
    "TERM": "dumb",
    "PYTHONHASHSEED": "7",
}
PROGRAM = """
import json, sys
from tests.support.stages import train

for folder, settings in json.loads(sys.argv[2]):
    train(sys.argv[1], folder, **settings)
"""
RUNS = {
    "exact": {"steps": 60},
    "mirrored": {"steps": 60, "strategy": "mirrored", "device": "cpu"},
    "keras": {"steps": 60, "optimizer": "adam"},
}


def train_all(store: Path, folder: Path, variables: dict[str, str]) -> dict[str, tuple[bytes, bytes]]:
    """Train in a process with these variables, in each way of RUNS; return the outputs."""
    runs = [(str(folder / name), settings) for name, settings in RUNS.items()]
    clean = {name: value for name, value in variables_of_a_process().items() if name not in HARMFUL | OTHER}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store), json.dumps(runs)],
        env=clean | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: outputs(folder / name) for name in RUNS}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("store") / "store.h5")


@pytest.fixture(scope="module")
def undisturbed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, bytes]]:
    return train_all(store, tmp_path_factory.mktemp("undisturbed"), {})


@pytest.mark.parametrize("variables", [HARMFUL, OTHER], ids=["harmful", "other"])
def test_training_gives_the_same_bits_with_every_variable(
    store: Path, undisturbed: dict[str, tuple[bytes, bytes]], tmp_path: Path, variables: dict[str, str]
) -> None:
    assert train_all(store, tmp_path, variables) == undisturbed


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*HARMFUL, *OTHER])
def test_training_gives_the_same_bits_with_one_variable(
    store: Path, undisturbed: dict[str, tuple[bytes, bytes]], tmp_path: Path, name: str
) -> None:
    assert train_all(store, tmp_path, {name: (HARMFUL | OTHER)[name]}) == undisturbed


def test_a_plot_ignores_the_backend_of_a_notebook(finished: Path) -> None:
    command = [sys.executable, "-m", "mnist_cli", "plot", "weights"]
    variables = {name: value for name, value in HARMFUL.items() if name != "MPLCONFIGDIR"}
    done = subprocess.run(
        command, cwd=finished, env=variables_of_a_process(variables), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


def test_every_line_of_the_table_is_tried() -> None:
    tried = {name: treatment(name) for name in HARMFUL | OTHER}
    assert None not in tried.values()
    for line in TABLE:
        for pattern in line.names:
            assert any(fnmatch.fnmatchcase(name, pattern) for name in tried), pattern


def test_the_page_says_what_the_table_says() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    page = reference.partition("\n## Variables that libraries read\n")[2]
    for line in TABLE:
        names = ", ".join(f"`{name}`" for name in line.names)
        value = f": `{line.value}`" if line.value else ""
        assert f"| {line.reader} | {names} | {line.treatment}{value} | {line.reason} |\n" in page
    assert page.count("\n| ") == len(TABLE) + 1


def test_preparing_sets_and_clears_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (HARMFUL | OTHER).items():
        monkeypatch.setenv(name, value)
    prepare()
    now = {name: os.environ.get(name) for name in HARMFUL | OTHER}
    assert now["TF_XLA_FLAGS"] is None and now["TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_LEVEL"] is None
    assert (now["KERAS_BACKEND"], now["MPLBACKEND"]) == ("tensorflow", "agg")
    kept = {name: value for name, value in (HARMFUL | OTHER).items() if treatment(name) not in ("cleared", "set")}
    assert kept.items() <= now.items()
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    prepare()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


def test_from_python_only_what_training_reads_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://mine")
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    prepare(environment.TENSORFLOW, environment.KERAS)
    assert os.environ["MPLBACKEND"] == "module://mine"
    assert "XLA_FLAGS" not in os.environ


@pytest.mark.parametrize(("by_workers", "hidden"), [(True, "grpc_proxy"), (False, "TF_CONFIG")])
def test_variables_hidden_from_training_come_back_afterwards(
    monkeypatch: pytest.MonkeyPatch, by_workers: bool, hidden: str
) -> None:
    for name in ("grpc_proxy", "TF_CONFIG"):
        monkeypatch.setenv(name, "mine")
    with pytest.raises(ValueError, match="fails"), prepared_for_training(by_workers=by_workers):
        assert [name for name in ("grpc_proxy", "TF_CONFIG") if name not in os.environ] == [hidden]
        raise ValueError("it fails")
    assert [os.environ.get(name) for name in ("grpc_proxy", "TF_CONFIG")] == ["mine", "mine"]
