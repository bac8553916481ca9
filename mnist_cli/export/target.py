"""The declaration of an export target: how its file is written, run and verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.export.about import About
from mnist_cli.formats.model import Model

Bytes = npt.NDArray[np.uint8]
EXTRA = "install mnist-cli with its extra 'export', as docs/installation.md says"


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of an exported file for n images.

    Attributes:
        probabilities: float [n, K].
        labels: int [n].
        logits: int64 [n, K] in units of 2^-24 / step; only from exact targets.
        features: uint32 [n], `fingerprints` of the features; only from exact targets.
    """

    probabilities: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    logits: npt.NDArray[np.int64] | None = None
    features: npt.NDArray[np.uint32] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A format that a model can be exported to.

    Attributes:
        name: its name, which is also that of its folder in artifacts/export.
        file: the file that it writes there; a SavedModel writes more files beside it.
        write: writes a model with its facts into an empty folder.
        run: returns the answers of a written file for images uint8 [n, h, w].
        needs: packages that writing needs, besides those that mnist-cli always needs.
        packages: other packages that can change the file's bytes.
        mark: bytes that files of the format have near their beginning.
        is_folder: whether the whole folder is the export, rather than one file.
        runtime: returns what is missing to run the file here, and how to install it; empty if nothing is missing.
        words: returns the name of the runtime, for the report of the verification.
        exact: whether features and logits must be the same as in Python, to the bit, and the file's bytes are the
            same on every machine.
        least: share of the images that must get the same label.
        largest: largest allowed difference of a probability; None if the format rounds weights.
    """

    name: str
    file: str
    write: Callable[[Model, About, Path], None]
    run: Callable[[Path, Bytes], Answers]
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    mark: bytes = b"mnist-cli"
    is_folder: bool = False
    runtime: Callable[[], str]
    words: Callable[[], str]
    exact: bool = False
    least: float = 0.9999
    largest: float | None = None

    def check(self) -> None:
        """Check that the target's packages are installed.

        Raises:
            InputError: a package is not installed.
        """
        for package in self.needs:
            if words := missing(package):
                raise InputError(f"cannot export to {self.name}: {words}", hint=EXTRA)


def missing(package: str) -> str:
    """Return a message if a package of the extra is not installed; empty if it is."""
    try:
        found = find_spec(package)
    except ModuleNotFoundError:
        found = None
    return "" if found else f"the package {package.split('.')[0].replace('_', '-')} is not installed"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of installed packages."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}
