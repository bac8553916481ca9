"""The stage `fetch`: the files of a data set, verified against their pinned SHA-256."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import listed, number, whole
from mnist_cli.datasets import DATASETS, FILE_NAMES, GENERATOR, DataFile, Dataset
from mnist_cli.errors import UsageError
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.download import Downloader
from mnist_cli.sources.identify import what_it_is
from mnist_cli.sources.mirrors import parse_mirror
from mnist_cli.sources.partial import PartialFile, publish_all, tidy
from mnist_cli.sources.patience import SYSTEM_CLOCK, Clock, Patience
from mnist_cli.stages.stage import IDX, Job, Outcome, Stage
from mnist_cli.text import file_size, plural, printable

ALREADY_THERE = "already there"
GENERATED = "generated"


def _usable_mirror(mirror: str) -> str:
    try:
        parse_mirror(mirror)
    except UsageError as error:
        raise ValueError(error.message) from None
    return mirror


def _resolve(mirrors: Any, folder: Path) -> Any:
    """Make relative mirror folders relative to the file that names them, wherever the command is run from."""
    if not isinstance(mirrors, list):
        return mirrors
    is_relative = [isinstance(mirror, str) and "://" not in mirror and mirror[:1] != "~" for mirror in mirrors]
    return [str(folder / mirror) if is_one else mirror for mirror, is_one in zip(mirrors, is_relative, strict=True)]


@dataclass(frozen=True, kw_only=True)
class FetchSettings(Section):
    """Download and verify the four files."""

    section = "fetch"

    mirrors: tuple[str, ...] = parameter(
        (),
        listed(_usable_mirror, "a list of http(s):// or file:// addresses or folders", "URL|FOLDER", resolve=_resolve),
        "Base URLs or folders that are tried before the data set's own mirrors",
        counts=False,
    )
    timeout: float = parameter(
        30,
        number(above=0, high=86400, metavar="SECONDS"),
        "Seconds to wait for a connection, and for the next bytes",
        counts=False,
    )
    deadline: float = parameter(
        600,
        number(above=0, high=86400, metavar="SECONDS"),
        "Seconds that fetching all four files may take altogether",
        counts=False,
    )
    min_speed: int = parameter(
        1024, whole(0, metavar="BYTES"), "Bytes per second below which a mirror is given up", counts=False
    )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return what decides the files; a pinned data set is the same whatever the seed and the generator."""
        dataset = config.value("dataset")
        made_from = {} if DATASETS[dataset].files else {"seed": config.value("seed"), "generator": GENERATOR}
        return {"dataset": dataset, **made_from}


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
    settings: FetchSettings | None = None,
    *,
    dataset: str = "mnist",
    seed: int = 0,
    mirrors: Sequence[str] = (),
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
        settings: how patient it is, and the mirrors that are tried before the data set's own.
        dataset: a name in `mnist_cli.datasets.DATASETS`.
        seed: for a data set that is generated.
        mirrors: http://…, https://…, file://… or folders, tried before those of the settings.
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
    settings = settings or FetchSettings()
    table = _known_dataset(dataset)
    folder = Path(folder)
    partial = partial or folder / "partial"
    if not table.files:
        return _generate(table, folder, seed, partial, progress)
    parsed = [parse_mirror(mirror) for mirror in (*mirrors, *settings.mirrors, *table.mirrors)]
    downloader = Downloader(parsed, Patience(settings.timeout, settings.deadline, settings.min_speed, clock), progress)
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


def _run(job: Job) -> Outcome:
    result = fetch(
        job.new,
        job.config.of(FetchSettings),
        dataset=job.config.value("dataset"),
        seed=job.config.value("seed"),
        mirrors=job.mirrors,
        existing=job.current if job.reuse else job.new,
        partial=job.scratch,
        progress=job.progress,
    )
    listed_files = [{"name": file.name, "bytes": file.size, "source": file.source} for file in result.files]
    metrics = {
        "dataset": result.dataset,
        "files": listed_files,
        "bytes": sum(file.size for file in result.files),
        "requests": result.requests,
        "bytes_received": result.bytes_received,
    }
    return Outcome(metrics, digests={file.name: file.sha256 for file in result.files})


def _summary(metrics: Mapping[str, Any]) -> str:
    sources = dict.fromkeys(file["source"] for file in metrics["files"])
    origin = GENERATED if list(sources) == [GENERATED] else f"verified ({', '.join(map(printable, sources))})"
    return f"{plural(len(metrics['files']), 'file')}, {file_size(metrics['bytes'])}, {origin}"


FETCH = Stage(
    settings=FetchSettings,
    version=1,
    outputs=dict.fromkeys(FILE_NAMES.values(), IDX),
    run=_run,
    help="""Download the four files and verify every byte.

    Mirrors are tried in order; an interrupted download goes on where it stopped; a file that is there and right is not
    fetched again.

    Example: mnist fetch --mirror https://mirror.example.org/mnist/
    """,
    summary=_summary,
    general=("dataset", "seed"),
    takes=frozenset({"mirror"}),
)
