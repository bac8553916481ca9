"""Get the four files of a data set: download them, collect them from a user's folder, or generate them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_cli import files
from mnist_cli.datasets import FILE_NAMES, ROLES, DataFile, Dataset
from mnist_cli.errors import FetchError
from mnist_cli.formats.byte_stream import content_sha256
from mnist_cli.progress import Progress
from mnist_cli.sources import ALREADY_THERE, GENERATED
from mnist_cli.sources.download import Downloader
from mnist_cli.sources.folder import rewrapped
from mnist_cli.sources.identify import description_of
from mnist_cli.sources.partial import PartialFile, drop_empty, is_right, publish_all, tidy
from mnist_cli.text import printable


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


@dataclass(frozen=True)
class Place:
    """Where files are fetched to.

    Attributes:
        folder: where the files go; created if missing.
        partial: where unfinished files stay until the next call; on the same file system.
        existing: where files from earlier fetches are, or None for `folder`.
        pins: name of a published file → SHA-256 of its content from an earlier fetch.
        progress: receives each file, each mirror that fails, and each wrong file found.
    """

    folder: Path
    partial: Path
    existing: Path | None
    pins: Mapping[str, str]
    progress: Progress

    def published(self, role: str) -> Path:
        """Return the path of a role's file from an earlier fetch."""
        return (self.existing or self.folder) / FILE_NAMES[role]


def make(table: Dataset, place: Place, seed: int) -> list[FetchedFile]:
    """Make the files of a data set that is not downloaded.

    Raises:
        InputError: a file of the user's own is missing or wrong.
        ConfigError: a share for testing leaves a class without pictures.
        OSError: a file cannot be written.
    """
    place.partial.mkdir(parents=True, exist_ok=True)
    made = {role: place.partial / name for role, name in FILE_NAMES.items()}
    try:
        source = _write(table, place, seed)
        fetched = [_described(FILE_NAMES[role], path, content_sha256(path), source) for role, path in made.items()]
        publish_all([(path, place.folder / path.name) for path in made.values()], place.folder)
    finally:
        for path in made.values():
            files.remove(path, place.partial)
        tidy(place.partial)
    return fetched


def _write(table: Dataset, place: Place, seed: int) -> str:
    """Write the files into the partial folder, and return their source."""
    # Imported here, because the generators import NumPy and Pillow, which a download does not need.
    if table.folder is not None:
        from mnist_cli.datasets.folders import find_idx_files
        from mnist_cli.sources.wrappers import pack_file

        for role, path in find_idx_files(table.folder).items():
            pack_file(path, place.partial / FILE_NAMES[role])
        return printable(table.folder)
    if table.pictures is not None:
        from mnist_cli.sources.pictures import write_pictures

        write_pictures(place.partial, table.pictures, table.classes, progress=place.progress)
        return printable(table.pictures.folder)
    from mnist_cli.sources.synthetic import write_synthetic

    write_synthetic(place.partial, seed=seed, progress=place.progress)
    return GENERATED


def download(table: Dataset, place: Place, downloader: Downloader) -> list[FetchedFile]:
    """Download what is missing; nothing in the folder changes until all files are complete and verified.

    Raises:
        FetchError: no mirror provides a file, or the deadline passed.
        OSError: a file cannot be written.
    """
    wanted = {
        role: replace(file, content=file.content or place.pins.get(FILE_NAMES[role], ""))
        for role, file in table.files.items()
    }
    sources = dict.fromkeys(ROLES, ALREADY_THERE)
    with contextlib.closing(downloader), drop_empty(place.partial):
        parts = {role: PartialFile(place.partial, wanted[role], role) for role in _missing(wanted, place)}
        if table.archive is not None and parts:
            sources |= dict.fromkeys(parts, _unpack(table.archive, place, parts.values(), downloader))
        for role, part in parts.items() if table.archive is None else ():
            # An earlier call may have completed it and failed later: then it needs no mirror.
            if not part.is_right() and not _is_rewrapped(part, place, downloader):
                place.partial.mkdir(parents=True, exist_ok=True)
                sources[role] = downloader.get(part)
    paths = {role: parts[role].path if role in parts else place.published(role) for role in ROLES}
    files = []
    for role, path in paths.items():
        # A shipped description's two digests belong together: no need to unpack a file that the first one verified.
        trusted = "" if table.is_own else wanted[role].content
        content = trusted or content_sha256(path)
        _check_content(wanted[role], content, "one of the two digests in the data set's description is wrong")
        files.append(_described(FILE_NAMES[role], path, content, sources[role]))
    publish_all([(part.path, place.folder / FILE_NAMES[role]) for role, part in parts.items()], place.folder)
    tidy(place.partial)
    return files


def _missing(wanted: Mapping[str, DataFile], place: Place) -> list[str]:
    """Return the roles whose files are missing or wrong, and warn about the wrong ones."""
    missing = []
    for role, file in wanted.items():
        path = place.published(role)
        if path.is_file():
            try:
                if is_right(path, file):
                    continue
                problem = f"is {description_of(path, file)}" if file.size else "cannot be verified"
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            place.progress.warn(f"{printable(path)} {problem}; it will be replaced once all files are verified")
        missing.append(role)
    return missing


def _is_rewrapped(part: PartialFile, place: Place, downloader: Downloader) -> bool:
    """Take a file from another wrapper in the folder itself, such as `raw/` or `mnist.npz`."""
    if place.existing is not None or not (found := rewrapped(place.folder, part, downloader.time_limits)):
        return False
    place.progress.note(f"{part.wanted.name}: {printable(place.folder)}: found in {found}; the content is verified")
    return True


def _unpack(archive: DataFile, place: Place, parts: Iterable[PartialFile], downloader: Downloader) -> str:
    """Fetch the archive, extract the files from it, and return its source."""
    from mnist_cli.sources.wrappers import extract

    whole = PartialFile(place.partial, archive)
    place.partial.mkdir(parents=True, exist_ok=True)
    source = ALREADY_THERE if whole.is_right() else downloader.get(whole)
    for part in parts:
        extract(whole.path, part.wanted.name, part.path)
        _check_content(part.wanted, content_sha256(part.path), "run 'mnist fetch --force' to accept the new content")
    return source


def _check_content(wanted: DataFile, content: str, hint: str) -> None:
    if wanted.content and content != wanted.content:
        message = f"{wanted.name}: unexpected content\n"
        message += f"expected content {wanted.content[:12]}…; received {content[:12]}…"
        raise FetchError(message, hint=hint)


def _described(name: str, path: Path, content: str, source: str) -> FetchedFile:
    return FetchedFile(name, path.stat().st_size, content, source)
