"""What training would run on, found without importing TensorFlow or NumPy, for the planner to compare."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from mnist_cli.errors import ConfigError
from mnist_cli.learning.distributed.setting import this_worker
from mnist_cli.machine import installed_version, onednn_setting, vector_instructions

# Where the drivers of NVIDIA, of AMD and of WSL put their devices; without one of them TensorFlow sees no GPU.
_GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def expected_runtime(device: str, strategy: str = "single") -> dict[str, object]:
    """Return what can move the bits of a training run started now.

    Args:
        device: `auto`, `cpu`, `gpu` or `gpu:N`.
        strategy: `single`, `mirrored` or `multiworker`.

    Returns:
        `device`: "cpu", "gpu", or None when only TensorFlow can tell; `tensorflow`, `keras` (the optimizers) and
        `numpy` (the order of the examples): their versions, None when one is not installed; `determinism`: whether
        TensorFlow's deterministic operations are switched on, None when the device is not known; `onednn`: "0" or
        "1"; `instructions`: the processor's, such as "x86_64 avx2"; `replicas`: devices that share a step, None when
        only TensorFlow can tell.
        The runtime of a run that took place has the same keys.
    """
    kind = _expected_device() if device == "auto" else device.partition(":")[0]
    return {
        "device": kind,
        **{package: installed_version(package) for package in ("tensorflow", "keras", "numpy")},
        # On a CPU the operations that training uses are deterministic by themselves.
        "determinism": None if kind is None else kind == "gpu",
        "onednn": onednn_setting(),
        "instructions": vector_instructions(),
        "replicas": _expected_replicas(kind, strategy),
    }


def _expected_replicas(kind: str | None, strategy: str) -> int | None:
    if strategy == "multiworker" and kind == "cpu":
        with contextlib.suppress(ConfigError):  # asking how things stand needs no worker
            return this_worker().count
    return 1 if strategy == "single" else None


def _expected_device() -> str | None:
    on_linux_without_gpu = sys.platform == "linux" and not any(Path(node).exists() for node in _GPU_NODES)
    return "cpu" if on_linux_without_gpu else None
