"""What the libraries read from the environment by themselves, and what is done about each of it.

A variable that could move bits, keep a command from working or let workers wait for ever is cleared or set. The rest is
the user's business and respected: where to look, how much to use, what to log. tests/base/test_environment.py trains
with every one of them, and holds docs/reference.md to this table.

The commands prepare their whole process. Called from Python, training prepares what TensorFlow reads and nothing else.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Treatment = Literal["respected", "cleared", "set", "set unless set", "cleared for workers", "cleared for one process"]

TENSORFLOW, KERAS, GRPC, OPENMP = "TensorFlow", "Keras", "gRPC", "OpenMP and other pools of threads"
MATPLOTLIB, OTHERS = "Matplotlib", "others"


@dataclass(frozen=True)
class Variables:
    """Variables of one kind.

    Attributes:
        reader: the library that reads them.
        names: a * stands for any characters.
        treatment: what is done about them.
        reason: why.
        value: what they are set to.
    """

    reader: str
    names: tuple[str, ...]
    treatment: Treatment
    reason: str
    value: str = ""


TABLE = (
    Variables(TENSORFLOW, ("TF_XLA_FLAGS", "XLA_FLAGS"), "cleared", "XLA rounds elsewhere; an unknown flag ends it"),
    Variables(
        TENSORFLOW,
        ("TF_AUTO_MIXED_PRECISION_*", "TF_SET_ONEDNN_FPMATH_MODE", "TF_FP16_*", "NVIDIA_TF32_OVERRIDE"),
        "cleared",
        "they lower the precision",
    ),
    Variables(
        TENSORFLOW,
        ("TF2_BEHAVIOR", "TF_USE_LEGACY_KERAS"),
        "cleared",
        "they ask for another interface",
    ),
    Variables(
        TENSORFLOW,
        ("TF_CPP_MIN_LOG_LEVEL",),
        "set unless set",
        "its errors arrive as exceptions; what it logs beside them is for its developers",
        "3",
    ),
    Variables(
        TENSORFLOW,
        ("TF_CONFIG",),
        "cleared for one process",
        "it says who the workers of multiworker are, and other strategies read it too",
    ),
    Variables(TENSORFLOW, ("SLURM_*",), "respected", "who the workers are, where TF_CONFIG does not say so"),
    Variables(
        TENSORFLOW,
        ("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_*", "CUDA_*", "NCCL_*"),
        "respected",
        "they do not move bits of arithmetic in whole numbers: devices, memory, logs, dumps",
    ),
    Variables(KERAS, ("KERAS_BACKEND",), "set", "the optimizers run in TensorFlow", "tensorflow"),
    Variables(KERAS, ("KERAS_HOME",), "set unless set", "no keras.json is left at home or obeyed", os.devnull),
    Variables(
        GRPC,
        ("grpc_proxy", "http_proxy", "https_proxy", "GRPC_ADDRESS_HTTP_PROXY*"),
        "cleared for workers",
        "workers talk to each other, and a proxy lets them wait for ever",
    ),
    Variables(GRPC, ("GRPC_*", "no_grpc_proxy", "no_proxy"), "respected", "logs, certificates, name resolution"),
    Variables(
        OPENMP,
        ("OPENBLAS_NUM_THREADS",),
        "set unless set",
        "where work is worth several threads, they are ours",
        "1",
    ),
    Variables(
        OPENMP,
        ("OMP_*", "KMP_*", "GOMP_*", "MKL_*", "OPENBLAS_*"),
        "respected",
        "the number of threads does not move bits",
    ),
    Variables(MATPLOTLIB, ("MPLBACKEND",), "set", "plots are files; a notebook's backend may not be installed", "agg"),
    Variables(MATPLOTLIB, ("MPLCONFIGDIR", "MATPLOTLIBRC"), "respected", "the style is set by each plot"),
    Variables(OTHERS, ("NPY_*", "HDF5_*", "PILLOW_*"), "respected", "processor, files, memory: contents are verified"),
    Variables(OTHERS, ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHON*"), "respected", "terminal, interpreter"),
)


def prepare(*readers: str) -> None:
    """Set and clear in this process what TABLE says, of these readers or of all; before they are imported."""
    for variables in TABLE:
        if readers and variables.reader not in readers:
            continue
        if variables.treatment == "cleared":
            for name in _present(variables):
                del os.environ[name]
        elif variables.treatment == "set":
            os.environ.update(dict.fromkeys(variables.names, variables.value))
        elif variables.treatment == "set unless set":
            for name in variables.names:
                os.environ.setdefault(name, variables.value)


@contextlib.contextmanager
def prepared_for_training(*, by_workers: bool) -> Iterator[None]:
    """Hide what must not be read while workers train together, or while one process trains by itself."""
    treatment = "cleared for workers" if by_workers else "cleared for one process"
    names = [name for variables in TABLE if variables.treatment == treatment for name in _present(variables)]
    before = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(before)


def treatment(name: str) -> Treatment | None:
    """Return what is done about a variable, by the first line that names it; None for one that nobody reads."""
    found = (each for each in TABLE if any(fnmatch.fnmatchcase(name, pattern) for pattern in each.names))
    return next((each.treatment for each in found), None)


def _present(variables: Variables) -> list[str]:
    return [name for pattern in variables.names for name in fnmatch.filter(list(os.environ), pattern)]
