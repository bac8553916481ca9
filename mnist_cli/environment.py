"""Environment variables that the libraries read by themselves, and how each is treated.

A variable that could change results, break a command or make workers wait for ever is cleared or set. The others are
the user's choice and respected: where to look, how much to use, what to log. tests/base/test_environment.py trains
with every variable, and compares docs/reference.md with this table.

Commands prepare their whole process. Training that is called from Python prepares only what TensorFlow and Keras read.
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
        names: a * matches any characters.
        treatment: how they are treated.
        reason: why.
        value: the value they are set to.
    """

    reader: str
    names: tuple[str, ...]
    treatment: Treatment
    reason: str
    value: str = ""


TABLE = (
    Variables(
        TENSORFLOW, ("TF_XLA_FLAGS", "XLA_FLAGS"), "cleared", "XLA rounds differently; an unknown flag ends the process"
    ),
    Variables(
        TENSORFLOW,
        ("TF_AUTO_MIXED_PRECISION_*", "TF_SET_ONEDNN_FPMATH_MODE", "TF_FP16_*", "NVIDIA_TF32_OVERRIDE"),
        "cleared",
        "lower the precision",
    ),
    Variables(
        TENSORFLOW,
        ("TF2_BEHAVIOR", "TF_USE_LEGACY_KERAS"),
        "cleared",
        "select another interface",
    ),
    Variables(
        TENSORFLOW,
        ("TF_CPP_MIN_LOG_LEVEL",),
        "set unless set",
        "errors arrive as exceptions; the rest of the log is for TensorFlow's developers",
        "3",
    ),
    Variables(
        TENSORFLOW,
        ("TF_CONFIG",),
        "cleared for one process",
        "names the workers of multiworker; other strategies read it too",
    ),
    Variables(TENSORFLOW, ("SLURM_*",), "respected", "name the workers if TF_CONFIG does not"),
    Variables(
        TENSORFLOW,
        ("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_*", "CUDA_*", "NCCL_*"),
        "respected",
        "do not change whole-number arithmetic: devices, memory, logs, dumps",
    ),
    Variables(KERAS, ("KERAS_BACKEND",), "set", "the optimizers run in TensorFlow", "tensorflow"),
    Variables(KERAS, ("KERAS_HOME",), "set unless set", "no keras.json is created or read", os.devnull),
    Variables(
        GRPC,
        ("grpc_proxy", "http_proxy", "https_proxy", "GRPC_ADDRESS_HTTP_PROXY*"),
        "cleared for workers",
        "workers talk to each other, and a proxy makes them wait for ever",
    ),
    Variables(GRPC, ("GRPC_*", "no_grpc_proxy", "no_proxy"), "respected", "logs, certificates, name resolution"),
    Variables(
        OPENMP,
        ("OPENBLAS_NUM_THREADS",),
        "set unless set",
        "where several threads help, mnist starts them itself",
        "1",
    ),
    Variables(
        OPENMP,
        ("OMP_*", "KMP_*", "GOMP_*", "MKL_*", "OPENBLAS_*"),
        "respected",
        "the number of threads does not change bits",
    ),
    Variables(MATPLOTLIB, ("MPLBACKEND",), "set", "plots are files; a notebook's backend may not be installed", "agg"),
    Variables(MATPLOTLIB, ("MPLCONFIGDIR", "MATPLOTLIBRC"), "respected", "the style is set by each plot"),
    Variables(OTHERS, ("NPY_*", "HDF5_*", "PILLOW_*"), "respected", "processor, files, memory: contents are verified"),
    Variables(OTHERS, ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHON*"), "respected", "terminal, interpreter"),
)


def prepare(*readers: str) -> None:
    """Set and clear variables of this process as TABLE says, for some readers or all, before they are imported."""
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
    """Remove, inside the block, the variables that must not be read while workers or a single process train."""
    treatment = "cleared for workers" if by_workers else "cleared for one process"
    names = [name for variables in TABLE if variables.treatment == treatment for name in _present(variables)]
    before = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(before)


def treatment(name: str) -> Treatment | None:
    """Return the treatment of a variable from the first line that names it; None if no line does."""
    found = (each for each in TABLE if any(fnmatch.fnmatchcase(name, pattern) for pattern in each.names))
    return next((each.treatment for each in found), None)


def _present(variables: Variables) -> list[str]:
    return [name for pattern in variables.names for name in fnmatch.filter(list(os.environ), pattern)]
