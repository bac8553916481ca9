"""The stage `fetch`: the four files of a data set, verified by their pinned SHA-256, under four fixed names.

The identity of a file is its content: how it is packed, and under which name it was found, does not count.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mnist_cli import files
from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import listed, number, whole
from mnist_cli.datasets import FILE_NAMES, GENERATOR, ROLES, DataFile, Dataset, find_dataset
from mnist_cli.datasets.folders import find_idx_files
from mnist_cli.errors import FetchError, FormatError, UsageError
from mnist_cli.formats.byte_stream import content_sha256
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.download import Downloader
from mnist_cli.sources.folder import rewrapped
from mnist_cli.sources.identify import what_it_is
from mnist_cli.sources.mirrors import parse_mirror
from mnist_cli.sources.partial import PartialFile, is_right, partial_files, publish_all, tidy
from mnist_cli.sources.patience import SYSTEM_CLOCK, Clock, Patience
from mnist_cli.stages.general import data_identity
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
        """Return what decides the files: the data set's content; of a generated one the seed and the generator."""
        is_generated = find_dataset(config.value("dataset")).is_generated
        made_from = {"seed": config.value("seed"), "generator": GENERATOR} if is_generated else {}
        return {"dataset": data_identity(config), **made_from}


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file of the data set, verified.

    Attributes:
        name: its name in the folder.
        size: in bytes.
        sha256: of its content, unpacked; 64 hexadecimal digits.
        source: "already there", "generated", the user's folder, or the mirror (without user, password and query).
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
        files: the four files, in the order of `datasets.ROLES`.
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
    dataset: object = "mnist",
    seed: int = 0,
    mirrors: Sequence[str] = (),
    existing: Path | None = None,
    partial: Path | None = None,
    pins: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = SILENT,
    clock: Clock = SYSTEM_CLOCK,
) -> FetchResult:
    """Put the four verified files of a data set into a folder; those that are there already cost no request.

    Nothing in `folder` changes before all files that are needed are complete and right. One fetch at a time in a
    folder: the pipeline and `read_data_sets` hold a lock, this function does not.

    Args:
        folder: where the files go; made when it is missing.
        settings: how patient it is, and the mirrors that are tried before the data set's own.
        dataset: a Dataset, or what `find_dataset` takes: a name, a YAML file, or a mapping.
        seed: for a data set that is generated.
        mirrors: http://…, https://…, file://…, folders or archives (.zip, .npz), tried before those of the
            settings.
        existing: where files that were fetched before stand (default: `folder`); right ones stay there, and are not
            copied into `folder`.
        partial: where unfinished downloads stay until the next call (default: `partial` in `folder`); on the same
            file system as `folder`, and removed when everything is published.
        pins: name of a published file → SHA-256 of its content as it was fetched before, which counts where the data
            set itself does not say it.
        progress: hears of each file, each mirror that is given up, and each wrong file that was there.
        clock: the time, for tests.

    Raises:
        ConfigError: the data set is not known, or its description is wrong.
        UsageError: a mirror is neither an address nor a folder.
        FetchError: no mirror gives a file, or the deadline passed.
        InputError: a file of the user's own is missing, or not what it should be.
        OSError: a file cannot be written.
    """
    settings = settings or FetchSettings()
    table = find_dataset(dataset)
    folder = Path(folder)
    partial = partial or folder / "partial"
    if table.files:
        parsed = [parse_mirror(mirror) for mirror in (*mirrors, *settings.mirrors, *table.mirrors)]
        patience = Patience(settings.timeout, settings.deadline, settings.min_speed, clock)
        downloader = Downloader(parsed, patience, progress)
        return _Fetch(table, folder, existing, partial, pins, progress).download(downloader)
    folder.mkdir(parents=True, exist_ok=True)
    partial.mkdir(parents=True, exist_ok=True)
    made = {role: partial / name for role, name in FILE_NAMES.items()}
    try:
        source = _make(table, partial, seed, progress)
        sha256 = {role: content_sha256(path) for role, path in made.items()}
        fetched = [FetchedFile(path.name, path.stat().st_size, sha256[role], source) for role, path in made.items()]
        publish_all([(path, folder / path.name) for path in made.values()], folder)
    finally:
        for path in made.values():
            files.remove(path, partial)
        tidy(partial)
    return FetchResult(table.name, tuple(fetched), 0, 0)


def _make(table: Dataset, folder: Path, seed: int, progress: Progress) -> str:
    """Write the four files of a data set that is not downloaded, and return what they are from; errors as `fetch`."""
    # Imported here, because they bring NumPy and Pillow, which a download does not need.
    if table.folder is not None:
        _copy_own(table, folder)
        return printable(table.folder)
    if table.pictures is not None:
        from mnist_cli.sources.pictures import write_pictures

        write_pictures(folder, table.pictures, table.classes, progress=progress)
        return printable(table.pictures.folder)
    from mnist_cli.sources.synthetic import write_synthetic

    write_synthetic(folder, seed=seed, progress=progress)
    return GENERATED


def _copy_own(table: Dataset, partial: Path) -> None:
    """Bring a user's four IDX files together; errors as `fetch`."""
    from mnist_cli.formats.idx import IdxReader  # it brings NumPy
    from mnist_cli.sources.wrappers import pack_file

    assert table.folder is not None
    for role, path in find_idx_files(table.folder).items():
        with IdxReader(path) as reader:
            shape = reader.header.shape[1:]
        expected = table.shape[::-1] if table.shape and table.transpose else table.shape
        if role.endswith("images") and expected and shape != expected:
            raise FormatError(path, "images of another size than the data set says", expected=expected, received=shape)
        pack_file(path, partial / FILE_NAMES[role])


class _Fetch:
    """One download of a data set's files.

    Args as `fetch`.
    """

    def __init__(
        self,
        table: Dataset,
        folder: Path,
        existing: Path | None,
        partial: Path,
        pins: Mapping[str, str],
        progress: Progress,
    ) -> None:
        self._table = table
        self._folder = folder
        self._existing = existing
        self._partial = partial
        self._progress = progress
        self._wanted = {
            role: replace(file, content=file.content or pins.get(FILE_NAMES[role], ""))
            for role, file in table.files.items()
        }

    def download(self, downloader: Downloader) -> FetchResult:
        """Fetch what is missing; errors as `fetch`."""
        sources = dict.fromkeys(ROLES, ALREADY_THERE)
        found: dict[str, Path] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(downloader), _nothing_empty_left(self._partial):
            missing = self._missing()
            parts = {role: PartialFile(self._partial, self._wanted[role], role) for role in missing}
            for role, part in parts.items():
                # Complete since an earlier call that failed later on: that needs no mirror.
                if self._table.archive is None and not part.is_right() and not self._is_beside(part, downloader):
                    self._partial.mkdir(parents=True, exist_ok=True)
                    sources[role] = downloader.get(part).name
                found[role] = part.path
            if missing and self._table.archive is not None:
                sources |= dict.fromkeys(missing, self._unpack(self._table.archive, parts, downloader))
        paths = {role: found.get(role) or (self._existing or self._folder) / name for role, name in FILE_NAMES.items()}
        fetched = tuple(self._described(role, path, sources[role]) for role, path in paths.items())
        publish_all([(path, self._folder / FILE_NAMES[role]) for role, path in found.items()], self._folder)
        tidy(self._partial)
        return FetchResult(self._table.name, fetched, downloader.requests, downloader.bytes_received)

    def _missing(self) -> list[str]:
        """Return the roles whose files are not in the folder, or wrong there, and tell about the wrong ones."""
        missing = []
        for role, wanted in self._wanted.items():
            path = (self._existing or self._folder) / FILE_NAMES[role]
            if path.is_file():
                try:
                    if is_right(path, wanted):
                        continue
                    problem = f"is {what_it_is(path, wanted)}" if wanted.size else "is not known to be right"
                except OSError as error:
                    problem = f"cannot be read ({error.strerror})"
                self._progress.warn(f"{printable(path)} {problem}; it is replaced when all files are verified")
            missing.append(role)
        return missing

    def _is_beside(self, part: PartialFile, downloader: Downloader) -> bool:
        """Take a file from another wrapper in the folder itself, such as `raw/` or `mnist.npz`."""
        if self._existing is not None or not (found := rewrapped(self._folder, part, downloader.patience)):
            return False
        self._progress.note(f"{part.wanted.name}: {printable(self._folder)}: found in {found}; the content is right")
        return True

    def _unpack(self, archive: DataFile, parts: Mapping[str, PartialFile], downloader: Downloader) -> str:
        """Fetch the archive, take the files out of it, and return where it came from."""
        from mnist_cli.sources.wrappers import extract

        whole = PartialFile(self._partial, archive)
        self._partial.mkdir(parents=True, exist_ok=True)
        source = ALREADY_THERE if whole.is_right() else downloader.get(whole).name
        for part in parts.values():
            extract(whole.path, part.wanted.name, part.path)
            if (wanted := part.wanted.content) and (received := content_sha256(part.path)) != wanted:
                raise FetchError(
                    f"{part.wanted.name} in {archive.name} is not what was fetched before\n"
                    f"expected content {wanted[:12]}…; received {received[:12]}…",
                    hint="run 'mnist fetch --force' to take the new one",
                )
        return source

    def _described(self, role: str, path: Path, source: str) -> FetchedFile:
        wanted, size = self._wanted[role], path.stat().st_size
        # A shipped description's two digests belong together: no need to unpack what was verified by the first.
        is_known = wanted.content and not self._table.is_own
        content = wanted.content if is_known else content_sha256(path)
        if wanted.content and content != wanted.content:
            raise FetchError(
                f"{wanted.name} has the right bytes and another content\n"
                f"expected content {wanted.content[:12]}…; received {content[:12]}…",
                hint="one of the two digests in the data set's description is wrong",
            )
        return FetchedFile(FILE_NAMES[role], size, content, source)


@contextlib.contextmanager
def _nothing_empty_left(partial: Path) -> Iterator[None]:
    """Remove partial files without a byte, and a folder without a file: nothing can go on from them."""
    try:
        yield
    finally:
        for path in partial_files(partial):
            if path.is_file() and not path.stat().st_size:
                files.remove(path, partial)
        with contextlib.suppress(OSError):
            partial.rmdir()


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
    version=2,
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
