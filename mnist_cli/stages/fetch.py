"""The stage `fetch`: gets the four files of a data set, verified by their pinned SHA-256, under four fixed names.

Only the content identifies a file, not its packing or the name it was found under.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import listed, located, number, whole
from mnist_cli.datasets import FILE_NAMES, GENERATOR, find_dataset
from mnist_cli.errors import UsageError
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources import GENERATED
from mnist_cli.stages.general import check_seed, data_identity
from mnist_cli.stages.stage import IDX, Job, Outcome, Stage
from mnist_cli.text import file_size, plural, printable

if TYPE_CHECKING:
    from mnist_cli.sources.four_files import FetchedFile
    from mnist_cli.sources.time_limits import Clock


def _usable_mirror(mirror: str) -> str:
    from mnist_cli.sources.mirrors import parse_mirror  # slow, and only needed if a mirror is set

    try:
        parse_mirror(mirror)
    except UsageError as error:
        raise ValueError(error.message) from None
    return mirror


def _resolve(mirrors: Any, folder: Path) -> Any:
    return [located(mirror, folder) for mirror in mirrors] if isinstance(mirrors, list) else mirrors


@dataclass(frozen=True, kw_only=True)
class FetchSettings(Section):
    """Download and verify the four files."""

    section = "fetch"

    mirrors: tuple[str, ...] = parameter(
        (),
        listed(_usable_mirror, "a list of http(s):// or file:// addresses or folders", "URL|FOLDER", resolve=_resolve),
        "Base URLs or folders to try before the data set's own mirrors",
        counts=False,
    )
    timeout: float = parameter(
        30,
        number(above=0, high=86400, metavar="SECONDS"),
        "Seconds to wait for a connection, and for the next bytes from it",
        counts=False,
    )
    deadline: float = parameter(
        600,
        number(above=0, high=86400, metavar="SECONDS"),
        "Time limit for fetching all four files, in seconds",
        counts=False,
    )
    min_speed: int = parameter(
        1024, whole(0, metavar="BYTES"), "Give up a mirror that sends fewer bytes per second", counts=False
    )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return what decides the files: the data set's content, or the seed and the generator of a generated one."""
        is_generated = find_dataset(config.value("dataset")).is_generated
        made_from = {"seed": config.value("seed"), "generator": GENERATOR} if is_generated else {}
        return {"dataset": data_identity(config), **made_from}


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of a fetch.

    Attributes:
        dataset: name of the data set.
        files: the four files, in the order of `datasets.ROLES`.
        requests: HTTP requests that were sent, including redirects and retries.
        bytes_received: bytes received from web servers; copies from a folder do not count.
    """

    dataset: str
    files: tuple[FetchedFile, ...]
    requests: int
    bytes_received: int


def fetch(
    folder: Path | str,
    settings: FetchSettings | None = None,
    *,
    dataset: object = "mnist",
    seed: int = 0,
    mirrors: Sequence[str] = (),
    existing: Path | None = None,
    partial: Path | None = None,
    pins: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = SILENT,
    cache: Path | None = None,
    offline: bool = False,
    clock: Clock | None = None,
) -> FetchResult:
    """Put the four verified files of a data set into a folder; files that are already there cost no request.

    Nothing in `folder` changes until all missing files are complete and verified. Run one fetch at a time in a
    folder: the pipeline and `read_data_sets` hold the mutex, this function does not.

    Args:
        folder: folder for the files; created if missing.
        settings: time limits, and mirrors to try before the data set's own.
        dataset: a Dataset, or what `find_dataset` takes: a name, a YAML file, or a mapping.
        seed: seed of a generated data set.
        mirrors: http://…, https://…, file://…, folders or archives (.zip, .npz), tried before those of the
            settings.
        existing: folder of files fetched before (default: `folder`); correct ones stay there and are not copied
            into `folder`.
        partial: folder where unfinished downloads stay until the next call (default: `partial` in `folder`); on the
            same file system as `folder`, and removed when everything is published.
        pins: name of a published file → SHA-256 of its content when it was last fetched, used if the data set itself
            does not give it.
        progress: progress callback; it is also notified of each mirror that was given up and each wrong file.
        cache: a folder of downloads that projects share, tried before every mirror; None: no cache.
        offline: use no mirror on the web.
        clock: source of the time, for tests.

    Raises:
        ConfigError: the data set is unknown, its description is wrong, or the seed is out of range.
        UsageError: a mirror is neither an address nor a folder.
        FetchError: no mirror has a file, `offline` rules the mirrors out, or the deadline passed.
        InputError: a file of the user's own data set is missing or invalid.
        OSError: a file cannot be written.
    """
    # Imported here because every command imports the stages, and few of them fetch.
    from mnist_cli.sources.four_files import Place, download, make

    check_seed(seed)
    settings = settings or FetchSettings()
    table, folder = find_dataset(dataset), Path(folder)
    place = Place(folder, partial or folder / "partial", existing, pins, progress)
    if not table.files:
        folder.mkdir(parents=True, exist_ok=True)
        return FetchResult(table.name, tuple(make(table, place, seed)), 0, 0)
    from mnist_cli.sources.cache import Cache
    from mnist_cli.sources.download import Downloader
    from mnist_cli.sources.mirrors import parse_mirror
    from mnist_cli.sources.time_limits import SYSTEM_CLOCK, TimeLimits

    parsed = [parse_mirror(mirror) for mirror in (*mirrors, *settings.mirrors, *table.mirrors)]
    time_limits = TimeLimits(settings.timeout, settings.deadline, settings.min_speed, clock or SYSTEM_CLOCK)
    downloader = Downloader(parsed, time_limits, progress, cache=Cache(cache) if cache else None, offline=offline)
    folder.mkdir(parents=True, exist_ok=True)
    files = download(table, place, downloader)
    return FetchResult(table.name, tuple(files), downloader.requests, downloader.bytes_received)


def _run(job: Job) -> Outcome:
    result = fetch(
        job.new,
        job.config.of(FetchSettings),
        dataset=job.config.value("dataset"),
        seed=job.config.value("seed"),
        mirrors=job.mirrors,
        existing=job.current if job.reuse else job.new,
        partial=job.scratch,
        pins=job.published if job.reuse else {},
        progress=job.progress,
        cache=job.cache,
        offline=job.offline,
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


def _spent(scratch: Path) -> list[Path]:
    from mnist_cli.sources.partial import is_partial

    return [path for path in sorted(scratch.glob("*")) if is_partial(path)]


FETCH = Stage(
    settings=FetchSettings,
    version=2,
    outputs=dict.fromkeys(FILE_NAMES.values(), IDX),
    run=_run,
    help="""Download the four files and verify every byte.

    Mirrors are tried in order. An interrupted download resumes where it stopped. A file that is already there and
    correct is not fetched again.

    Example: mnist fetch --mirror https://mirror.example.org/mnist/
    """,
    summary=_summary,
    general=("dataset", "seed"),
    takes=frozenset({"mirror", "offline"}),
    spare=frozenset(FILE_NAMES.values()),
    spent=_spent,
)
