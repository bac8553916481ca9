"""Write a file into the artifacts folder whole, or not at all.

Temporary file in the same folder → write → flush → fsync → rename → fsync of the folder. A reader sees the old file or
the new one, even after a power cut; a writer that dies leaves only a temporary file, which `sweep` removes under the
mutex. Without the mutex, the next writer of the same file removes it: a writer holds a kernel lock on its temporary
file, and the lock ends with the writer.

Only this module removes anything: by a name that we chose, and never through a link.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mnist_cli import system
from mnist_cli.errors import InputError
from mnist_cli.text import printable

TEMPORARY_PREFIX = ".tmp-"
# Names that `temporary_beside` makes.
_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}(.+-)?[0-9a-f]{{8}}", re.DOTALL)
_BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)  # no room, or no inode


def temporary_beside(path: Path) -> Path:
    """Return a new temporary name in the same folder, which readers ignore and `sweep` removes."""
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{os.urandom(4).hex()}")


@contextlib.contextmanager
def publish(target: Path) -> Iterator[BinaryIO]:
    """Yield a file to write and read (mode "w+b"); it becomes `target` if the block ends without an error.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then unchanged.
    """
    _sweep_dead(target)
    try:
        temporary, descriptor, is_locked = _open_temporary(target)
    except OSError as error:
        error.filename = os.fspath(target)  # not the temporary name
        raise
    try:
        file = os.fdopen(descriptor, "w+b")
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):  # on a full disk, writing the buffer fails again
                file.close()
            raise
        with naming(target), file:
            file.flush()
            os.fsync(file.fileno())
            if is_locked:
                system.replace(temporary, target)
        if not is_locked:  # systems without locks may not rename an open file either
            system.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _open_temporary(target: Path) -> tuple[Path, int, bool]:
    """Create a temporary file; return its name, its descriptor, and whether it is locked while that is open."""
    while True:
        temporary = temporary_beside(target)
        # Not tempfile, which creates files of mode 0600: the umask decides who can read artifacts.
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        is_locked = system.lock(descriptor)
        if is_locked is False or not os.fstat(descriptor).st_nlink:  # another process is sweeping it
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            continue
        return temporary, descriptor, bool(is_locked)


def _sweep_dead(target: Path) -> None:
    """Remove temporary files of writers of `target` that are known to be dead, where that is allowed."""
    beginning = f"{TEMPORARY_PREFIX}{target.name}-"
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if path.name.startswith(beginning) and _TEMPORARY.fullmatch(path.name) and _is_dead(path):
                path.unlink(missing_ok=True)


def _is_dead(temporary: Path) -> bool | None:
    """Return whether the writer of a temporary file is dead; None if that cannot be determined."""
    try:
        with open_regular(temporary) as file:
            return None if temporary.is_symlink() else system.lock(file.fileno())
    except OSError:
        return None


def write_bytes(target: Path, content: bytes) -> None:
    """Publish `content` as `target`."""
    with publish(target) as file, naming(target):
        file.write(content)


def write_json(target: Path, document: object) -> None:
    """Publish `document` as indented JSON with a final line feed; NaN and infinities are refused.

    Raises:
        ValueError: a number in `document` is not finite, which JSON cannot represent.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(target, (text + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (fsync of the directory), where the file system supports it."""
    system.sync_folder(folder)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file name `path` to an OSError from the block that has none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def refuse_links(path: Path, root: Path) -> None:
    """Refuse a path that is a link or leads through one: what a link points to is not ours to change.

    Args:
        path: something in `root`; `root` itself may lie behind a link.
        root: the folder that the caller named.

    Raises:
        InputError: `path`, or a folder between it and `root`, is a link.
    """
    for place in (path, *path.parents):
        if place == root:
            return
        if place.is_symlink():
            raise InputError(
                f"{printable(place)}: expected a folder; received a symbolic link; nothing behind it is changed",
                hint="replace the link with what it points to",
            )
    raise AssertionError(f"{path} is not in {root}")


def check_no_dangling_link(folder: Path) -> None:
    """Refuse a dangling link, such as one to a disk that is not mounted: no folder can be created there.

    Raises:
        InputError: the folder is such a link, or lies behind one.
    """
    for place in (folder, *folder.parents):
        if place.is_symlink() and not place.exists():
            raise InputError(
                f"{printable(place)}: a link to {printable(place.readlink())}, which does not exist",
                hint="mount or create its target, or remove the link",
            )


def remove(path: Path, root: Path) -> None:
    """Remove a file, a link, or a folder with its content; the targets of links stay.

    Args:
        path: something in `root` that we made; it may be gone already.
        root: the folder that the caller named.

    Raises:
        InputError: a folder between `path` and `root` is a link.
        OSError: it cannot be removed; the error names `path`, where `shutil.rmtree` names a file without its folder.
    """
    refuse_links(path.parent, root)
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def remove_atomically(path: Path, root: Path) -> None:
    """Remove something that readers may be using: if we are killed, it is whole or gone. Otherwise as `remove`."""
    refuse_links(path.parent, root)
    doomed = temporary_beside(path)
    try:
        system.replace(path, doomed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        doomed = path  # the disk is too full even for a new name
    remove(doomed, root)


def temporaries(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the temporary files and folders in `folder` and `depth` levels below it, without following links."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _TEMPORARY.fullmatch(path.name):
            yield path
        elif depth and path.is_dir() and not path.is_symlink():
            yield from temporaries(path, depth - 1)


def sweep(folder: Path, depth: int = 0) -> None:
    """Remove the temporary files and folders that killed writers left; call it only while holding the mutex.

    Commands that need no mutex, such as `mnist report`, may be writing at the same time: their files stay.
    """
    for leftover in temporaries(folder, depth):
        if _is_dead(leftover) is not False:
            remove(leftover, folder)


def is_folder(path: Path) -> bool:
    """Return whether this is a folder; False for a name that is too long or has a null byte."""
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir would raise for such a name


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading: a named pipe could make us wait, and a device might never end.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe, a socket or a device.
    """
    descriptor = system.open_without_waiting(path)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file; errors as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file, naming(path):
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def document_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's canonical JSON, as 64 hexadecimal digits."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
