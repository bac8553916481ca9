"""The stage `fetch`: the files of a data set, verified against their pinned SHA-256."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files
from mnist_cli.datasets import DATASETS, FILE_NAMES, DataFile, Dataset
from mnist_cli.errors import UsageError
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.download import Downloader
from mnist_cli.sources.identify import what_it_is
from mnist_cli.sources.mirrors import parse_mirror
from mnist_cli.sources.partial import PartialFile, publish_all, tidy
from mnist_cli.sources.patience import SYSTEM_CLOCK, Clock, Patience
from mnist_cli.text import printable

ALREADY_THERE = "already there"
GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file of the data set, verified.

    Attributes:
        name: its name in the folder.
        size: in bytes.
        sha256: of its bytes, 64 hexadecimal digits.
        source: "already there", "generated", or the mirror (without user, password and query).
    """

    name: str
    size: int
    sha256: str
    source: str


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch did.

    Attributes:
        dataset: its name.
        files: all files of the data set, in the order of its table.
        requests: HTTP requests that were sent, redirects and further tries included.
        bytes_received: bytes that came from web servers; copying from a folder counts none.
    """

    dataset: str
    files: tuple[FetchedFile, ...]
    requests: int
    bytes_received: int


def fetch(
    folder: Path | str,
    *,
    dataset: str = "mnist",
    seed: int = 0,
    mirrors: Sequence[str] = (),
    timeout: float = 30,
    deadline: float = 600,
    min_speed: float = 1024,
    existing: Path | None = None,
    partial: Path | None = None,
    progress: Progress = SILENT,
    clock: Clock = SYSTEM_CLOCK,
) -> FetchResult:
    """Put the verified files of a data set into a folder; those that are there already cost no request.

    Nothing in `folder` changes before all files that are needed are complete and right. One fetch at a time in a
    folder: the pipeline and `read_data_sets` hold a lock, this function does not.

    Args:
        folder: where the files go; made when it is missing.
        dataset: a name in `mnist_cli.datasets.DATASETS`.
        seed: for a data set that is generated.
        mirrors: http://…, https://…, file://… or folders, tried in order before the data set's own.
        timeout: seconds without a sign of a server.
        deadline: seconds for the whole fetch.
        min_speed: bytes a second below which a mirror is given up.
        existing: where files that were fetched before stand (default: `folder`); right ones stay there, and are not
            copied into `folder`.
        partial: where unfinished downloads stay until the next call (default: `partial` in `folder`); on the same
            file system as `folder`, and removed when everything is published.
        progress: hears of each file, each mirror that is given up, and each wrong file that was there.
        clock: the time, for tests.

    Raises:
        UsageError: the data set is not known, or a mirror is neither an address nor a folder.
        FetchError: no mirror gives a file, or the deadline passed.
        OSError: a file cannot be written.
    """
    table = _known_dataset(dataset)
    folder = Path(folder)
    partial = partial or folder / "partial"
    if not table.files:
        return _generate(table, folder, seed, partial, progress)
    parsed = [parse_mirror(mirror) for mirror in (*mirrors, *table.mirrors)]
    downloader = Downloader(parsed, Patience(timeout, deadline, min_speed, clock), progress)
    sources = dict.fromkeys(table.files.values(), ALREADY_THERE)
    moves = []
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(downloader), _nothing_empty_left(partial):
        for wanted in _missing(table, existing or folder, progress):
            part = PartialFile(partial, wanted)
            # Complete since an earlier call that failed later on: that needs no mirror.
            if not part.is_right():
                partial.mkdir(parents=True, exist_ok=True)
                sources[wanted] = downloader.get(part).name
            moves.append((part.path, folder / wanted.name))
    publish_all(moves, folder)
    tidy(partial)
    fetched = tuple(FetchedFile(file.name, file.size, file.sha256, source) for file, source in sources.items())
    return FetchResult(table.name, fetched, downloader.requests, downloader.bytes_received)


@contextlib.contextmanager
def _nothing_empty_left(partial: Path) -> Iterator[None]:
    """Remove partial files without a byte, and a folder without a file: nothing can go on from them."""
    try:
        yield
    finally:
        for path in partial.glob("*"):
            if path.is_file() and not path.stat().st_size:
                path.unlink()
        with contextlib.suppress(OSError):
            partial.rmdir()


def _known_dataset(name: str) -> Dataset:
    if name not in DATASETS:
        known = ", ".join(sorted(DATASETS))
        raise UsageError(f"dataset: expected one of {known}; received {printable(repr(name))}")
    return DATASETS[name]


def _missing(table: Dataset, folder: Path, progress: Progress) -> list[DataFile]:
    """Return the files of a data set that are not in the folder, or wrong there, and tell about the wrong ones."""
    missing = []
    for wanted in table.files.values():
        path = folder / wanted.name
        if not path.is_file():
            missing.append(wanted)
            continue
        try:
            if path.stat().st_size == wanted.size and files.sha256_of(path) == wanted.sha256:
                continue
            problem = f"is {what_it_is(path, wanted)}"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        progress.warn(f"{printable(path)} {problem}; it is replaced when all files are verified")
        missing.append(wanted)
    return missing


def _generate(table: Dataset, folder: Path, seed: int, partial: Path, progress: Progress) -> FetchResult:
    # Here, because it brings NumPy, which no other data set needs.
    from mnist_cli.sources.synthetic import write_synthetic

    folder.mkdir(parents=True, exist_ok=True)
    partial.mkdir(parents=True, exist_ok=True)
    write_synthetic(partial, seed=seed, progress=progress)
    made = [partial / name for name in FILE_NAMES.values()]
    fetched = tuple(FetchedFile(p.name, p.stat().st_size, files.sha256_of(p), GENERATED) for p in made)
    publish_all([(path, folder / path.name) for path in made], folder)
    tidy(partial)
    return FetchResult(table.name, fetched, 0, 0)
