"""What a target of an export declares: how its file is written, run and judged."""

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
_EXTRA = "pip install 'mnist-cli[export]'"


@dataclass(frozen=True, eq=False)
class Answers:
    """What an exported file says of n images.

    Attributes:
        probabilities: float [n, K].
        labels: int [n].
        logits: int64 [n, K] in units of 2^-24 / step, of a target that is exact.
        features: uint32 [n], `fingerprints` of the features, of such a target.
    """

    probabilities: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    logits: npt.NDArray[np.int64] | None = None
    features: npt.NDArray[np.uint32] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A format that a model can be exported to.

    Attributes:
        name: of its folder in artifacts/export.
        file: what it writes there; a SavedModel writes more beside it.
        write: writes a model with its facts into an empty folder.
        run: gives the answers of a written file to images uint8 [n, h, w].
        needs: packages that writing needs, beside those that mnist-cli needs anyway.
        packages: others that can move the file's bytes.
        mark: what files of the format have near their beginning.
        is_folder: whether all files together are what is passed on.
        runtime: what is missing to run it here, with how to install it; empty where nothing is.
        words: names what runs it, for the report of the verification.
        exact: whether features and logits have to be those of Python, to the bit, and the file's bytes are the same
            on every machine.
        least: share of the images whose answer has to be the same.
        largest: difference of a probability at most, where a number says so; None where the format rounds weights.
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
        """Refuse what this target cannot do here.

        Raises:
            InputError: a package is not installed.
        """
        for package in self.needs:
            if words := missing(package):
                raise InputError(f"cannot export to {self.name}: {words}", hint=f"run {_EXTRA}")


def missing(package: str) -> str:
    """Say that a package of the extra is not installed, in a few words; an empty text where it is."""
    try:
        found = find_spec(package)
    except ModuleNotFoundError:
        found = None
    return "" if found else f"the package {package.split('.')[0].replace('_', '-')} is not installed"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of installed packages."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}
