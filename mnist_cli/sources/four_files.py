"""The four files of a data set: downloaded, brought together from a user's folder, or generated."""

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
from mnist_cli.sources.identify import what_it_is
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
        folder: where the files go; made when it is missing.
        partial: where unfinished ones stay until the next call, on the same file system.
        existing: where files that were fetched before stand, or None for `folder`.
        pins: name of a published file → SHA-256 of its content as it was fetched before.
        progress: hears of each file, each mirror that is given up, and each wrong file that was there.
    """

    folder: Path
    partial: Path
    existing: Path | None
    pins: Mapping[str, str]
    progress: Progress

    def published(self, role: str) -> Path:
        """Return where the file of a role stands if it was fetched before."""
        return (self.existing or self.folder) / FILE_NAMES[role]


def make(table: Dataset, place: Place, seed: int) -> list[FetchedFile]:
    """Make the files of a data set that is not downloaded.

    Raises:
        InputError: a file of the user's own is missing, or not what it should be.
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
    """Write the files into the partial folder, and return what they are from."""
    # Imported here, because the generators bring NumPy and Pillow, which a download does not need.
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
    """Download what is missing; nothing in the folder changes before everything is complete and right.

    Raises:
        FetchError: no mirror gives a file, or the deadline passed.
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
            # Complete since an earlier call that failed later on: that needs no mirror.
            if not part.is_right() and not _is_beside(part, place, downloader):
                place.partial.mkdir(parents=True, exist_ok=True)
                sources[role] = downloader.get(part)
    paths = {role: parts[role].path if role in parts else place.published(role) for role in ROLES}
    files = []
    for role, path in paths.items():
        # A shipped description's two digests belong together: no need to unpack what was verified by the first.
        trusted = "" if table.is_own else wanted[role].content
        content = trusted or content_sha256(path)
        _check_content(wanted[role], content, "one of the two digests in the data set's description is wrong")
        files.append(_described(FILE_NAMES[role], path, content, sources[role]))
    publish_all([(part.path, place.folder / FILE_NAMES[role]) for role, part in parts.items()], place.folder)
    tidy(place.partial)
    return files


def _missing(wanted: Mapping[str, DataFile], place: Place) -> list[str]:
    """Return the roles whose files are not there, or wrong, and warn of the wrong ones."""
    missing = []
    for role, file in wanted.items():
        path = place.published(role)
        if path.is_file():
            try:
                if is_right(path, file):
                    continue
                problem = f"is {what_it_is(path, file)}" if file.size else "is not known to be right"
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            place.progress.warn(f"{printable(path)} {problem}; it is replaced when all files are verified")
        missing.append(role)
    return missing


def _is_beside(part: PartialFile, place: Place, downloader: Downloader) -> bool:
    """Take a file from another wrapper in the folder itself, such as `raw/` or `mnist.npz`."""
    if place.existing is not None or not (found := rewrapped(place.folder, part, downloader.patience)):
        return False
    place.progress.note(f"{part.wanted.name}: {printable(place.folder)}: found in {found}; the content is right")
    return True


def _unpack(archive: DataFile, place: Place, parts: Iterable[PartialFile], downloader: Downloader) -> str:
    """Fetch the archive, take the files out of it, and return where it came from."""
    from mnist_cli.sources.wrappers import extract

    whole = PartialFile(place.partial, archive)
    place.partial.mkdir(parents=True, exist_ok=True)
    source = ALREADY_THERE if whole.is_right() else downloader.get(whole)
    for part in parts:
        extract(whole.path, part.wanted.name, part.path)
        _check_content(part.wanted, content_sha256(part.path), "run 'mnist fetch --force' to take the new one")
    return source


def _check_content(wanted: DataFile, content: str, hint: str) -> None:
    if wanted.content and content != wanted.content:
        message = f"{wanted.name}: not the content that is known\n"
        message += f"expected content {wanted.content[:12]}…; received {content[:12]}…"
        raise FetchError(message, hint=hint)


def _described(name: str, path: Path, content: str, source: str) -> FetchedFile:
    return FetchedFile(name, path.stat().st_size, content, source)
