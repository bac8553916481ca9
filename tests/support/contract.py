"""The programs that the contract of feature maps was made with, where they lie beside the checkout."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT


def program(name: str) -> Any:
    """Return one of the programs as a module; skips the test where there is none.

    They are expected in shared/reference beside the checkout, or where MNIST_REFERENCE says.
    """
    folder = Path(os.environ.get("MNIST_REFERENCE", ROOT.parent / "shared" / "reference"))
    if not (folder / f"{name}.py").is_file():
        pytest.skip("the programs of the contract are not beside this checkout")
    return _imported(folder, name)


@functools.cache
def _imported(folder: Path, name: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setattr(sys, "dont_write_bytecode", True)
        for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # which they set
            patch.setenv(variable, os.environ.get(variable, "1"))
        return importlib.import_module(name)
