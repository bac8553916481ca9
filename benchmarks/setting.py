"""What every benchmark is given: the data, the commands and how often to measure."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Cost, Row, Target
from benchmarks.measure import BenchmarkError, Entrant, Runner, Sample, race
from mnist_cli.datasets import DATASETS, FILE_NAMES
from mnist_cli.sources.mirrors import listed_mirrors

PEERS = Path(__file__).parent / "peers"
_ROOT = Path(__file__).parents[1]
_DRAW = (
    "import sys, pathlib; from mnist_cli.sources.synthetic import write_synthetic; "
    "write_synthetic(pathlib.Path(sys.argv[1]), seed=0)"
)


@dataclass(frozen=True, slots=True)
class Data:
    """The four files.

    Attributes:
        folder: where they are.
        real: whether they are MNIST's; generated ones have other sizes and another accuracy.
    """

    folder: Path
    real: bool

    @property
    def options(self) -> tuple[str, ...]:
        """The options with which `mnist run` works on this data."""
        return ("--mirror", str(self.folder)) if self.real else self.dataset

    @property
    def dataset(self) -> tuple[str, ...]:
        """The options with which `mnist status` speaks of this data."""
        return () if self.real else ("--dataset", "synthetic")

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the four files."""
        return tuple(str(self.folder / name) for name in FILE_NAMES.values())

    def target(self, target: Target) -> Target | None:
        """Return a target that was set for MNIST, or None on other data, to which it does not apply."""
        return target if self.real else None


@dataclass(frozen=True, slots=True)
class Setting:
    """What every benchmark is given.

    Attributes:
        data: the four files.
        mnist: the command that is measured, without arguments.
        repeats: how many measurements of each process are counted.
        scratch: an empty folder, for what several measurements share.
        run: starts and measures a process.
        torch_python: the interpreter for the peer in PyTorch.
    """

    data: Data
    mnist: tuple[str, ...]
    repeats: int
    scratch: Path
    run: Runner
    torch_python: str = sys.executable

    def race(self, *entrants: Entrant) -> dict[str, list[Sample]]:
        """Measure the entrants in turns."""
        return race(entrants, repeats=self.repeats, run=self.run)

    def python(self, *arguments: str) -> tuple[str, ...]:
        """Return the command that runs this very interpreter."""
        return (sys.executable, *arguments)

    def program(self, name: str, module: str, *arguments: str, python: str = sys.executable) -> Entrant:
        """Return the entrant that runs a module of this package, with this interpreter or another."""
        return Entrant(name, (python, "-m", f"benchmarks.{module}", *arguments), _ROOT)

    def prepared_tree(self) -> Path:
        """Return a new folder in which everything that comes before training is done."""
        tree = self.scratch / "prepared"
        tree.mkdir()
        self.run((*self.mnist, "run", "--to", "preprocess", *self.data.options), tree)
        return tree

    def finished_tree(self) -> Path:
        """Return a new folder in which everything is done."""
        tree = self.scratch / "finished"
        tree.mkdir()
        self.run((*self.mnist, "run", *self.data.options), tree)
        return tree


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found: lines for the table, what each kind of process took, and what else is to be said."""

    rows: list[Row]
    costs: list[Cost]
    notes: tuple[str, ...] = ()


def mnist_command() -> tuple[str, ...]:
    """Return the console script beside this interpreter, as a user starts it, else `python -m mnist_cli`."""
    script = Path(sys.executable).parent / "mnist"
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "mnist_cli")


def compile_package(run: Runner, scratch: Path) -> None:
    """Compile the installed package to bytecode, as an installer would have.

    Raises:
        BenchmarkError: it does not compile, or is not installed.
    """
    spec = importlib.util.find_spec("mnist_cli")
    if spec is None or not spec.submodule_search_locations:
        raise BenchmarkError("the package mnist_cli is not installed for this interpreter")
    run((sys.executable, "-m", "compileall", "-q", *spec.submodule_search_locations), scratch)


def find_data(mirror: Path | None, mirrors: str) -> Data | None:
    """Return the data in `mirror`, else in the first folder that `mirrors` (as MNIST_MIRRORS) names, else None.

    Raises:
        BenchmarkError: `mirror` does not hold the four MNIST files.
    """
    if mirror is not None:
        if not _holds_mnist(mirror):
            raise BenchmarkError(f"{mirror} does not hold the four MNIST files with their sizes")
        return Data(mirror.resolve(), real=True)
    found = next((Path(name) for name in listed_mirrors(mirrors) if _holds_mnist(Path(name))), None)
    return None if found is None else Data(found.resolve(), real=True)


def draw_data(run: Runner, scratch: Path) -> Data:
    """Generate the data set `synthetic` into `scratch`, in a child."""
    folder = scratch / "synthetic"
    folder.mkdir()
    run((sys.executable, "-c", _DRAW, str(folder)), scratch)
    return Data(folder, real=False)


def _holds_mnist(folder: Path) -> bool:
    paths = [(folder / file.name, file.size) for file in DATASETS["mnist"].files.values()]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)
