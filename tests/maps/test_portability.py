"""The same bytes of features with other vector instructions, matrix kernels, threads and sizes of blocks.

Each variant is a process of its own, as libraries choose their kernels when they are loaded.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.support.feature_digests import digests

VARIANTS: dict[str, dict[str, str]] = {
    "1 thread": {"OPENBLAS_NUM_THREADS": "1"},
    "4 threads": {"OPENBLAS_NUM_THREADS": "4"},
    "OpenBLAS for Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "OpenBLAS for Prescott, 4 threads": {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "4"},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "NumPy without AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3"},
    "NumPy without AVX512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
}


@functools.cache
def here() -> dict[str, str]:
    return digests()


def elsewhere(variables: dict[str, str], *arguments: str) -> dict[str, str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.feature_digests", *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("variant", VARIANTS)
def test_features_are_the_same(variant: str) -> None:
    assert elsewhere(VARIANTS[variant]) == here()


@pytest.mark.parametrize("block", [1, 13, 1000])
def test_the_size_of_a_block_changes_nothing(block: int) -> None:
    assert elsewhere({}, str(block)) == here()
