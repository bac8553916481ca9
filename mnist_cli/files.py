"""How a file lands in the artifacts folder: whole, or not at all.

Temporary file in the same folder → write → flush → fsync → rename → fsync of the folder. A reader sees the old
file or the new one, also after a power cut; a writer that dies leaves only a temporary file, which `sweep` removes.
Where no mutex says that nobody else writes, the next writer of the same file does: a writer holds a lock of the kernel
on its temporary file, which ends with it.

Whatever is removed is removed here: by a name that we gave it, and never through a link.
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
# As `temporary_beside` makes them.
_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}(.+-)?[0-9a-f]{{8}}", re.DOTALL)
_BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)  # no room, or no inode


def temporary_beside(path: Path) -> Path:
    """Return a new name in the same folder that no reader takes for the thing itself, and that is swept if left."""
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{os.urandom(4).hex()}")


@contextlib.contextmanager
def publish(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write and read (mode "w+b"); when the block ends without an error, it becomes `target`.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `target` is then what it was before.
    """
    _sweep_dead(target)
    try:
        temporary, descriptor, is_locked = _open_temporary(target)
    except OSError as error:
        error.filename = os.fspath(target)  # what was asked for
        raise
    try:
        file = os.fdopen(descriptor, "w+b")
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk fails once more, on what is still in the buffer
                file.close()
            raise
        with naming(target), file:
            file.flush()
            os.fsync(file.fileno())
            if is_locked:
                system.replace(temporary, target)
        if not is_locked:  # where there are no locks, an open file may not be renamed either
            system.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _open_temporary(target: Path) -> tuple[Path, int, bool]:
    """Make a temporary file; return its name, its descriptor, and whether it is locked as long as that is open."""
    while True:
        temporary = temporary_beside(target)
        # Not tempfile: it makes files of mode 0600, and artifacts are to be readable as the umask says.
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        is_locked = system.lock(descriptor)
        if is_locked is False or not os.fstat(descriptor).st_nlink:  # somebody sweeps it at this very moment
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            continue
        return temporary, descriptor, bool(is_locked)


def _sweep_dead(target: Path) -> None:
    """Remove what writers of `target` that are dead have left, as far as that can be known and is allowed."""
    beginning = f"{TEMPORARY_PREFIX}{target.name}-"
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if path.name.startswith(beginning) and _TEMPORARY.fullmatch(path.name) and _is_dead(path):
                path.unlink(missing_ok=True)


def _is_dead(temporary: Path) -> bool | None:
    """Tell whether the writer of a temporary file is dead; None where that cannot be known."""
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
        ValueError: a number in `document` is not finite, which JSON cannot say.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(target, (text + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (fsync of the directory), where its file system can."""
    system.sync_folder(folder)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError from the block that names no file name `path`: of a full disk, what did not fit."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def refuse_links(path: Path, root: Path) -> None:
    """Refuse a path that leads through a link, or is one: what is behind it is not ours to change.

    Args:
        path: something in `root`, which may itself be reached by a link.
        root: the folder that somebody gave us.

    Raises:
        InputError: `path`, or a folder between it and `root`, is a link.
    """
    for place in (path, *path.parents):
        if place == root:
            return
        if place.is_symlink():
            raise InputError(
                f"{printable(place)}: expected a folder; received a link, and nothing is changed through a link",
                hint="replace the link by what it points to",
            )
    raise AssertionError(f"{path} is not in {root}")


def refuse_dangling(folder: Path) -> None:
    """Refuse a link that leads nowhere, such as to a disk that is not mounted: no folder can be made in its place.

    Raises:
        InputError: the folder is such a link, or lies behind one.
    """
    for place in (folder, *folder.parents):
        if place.is_symlink() and not place.exists():
            raise InputError(
                f"{printable(place)}: a link to {printable(place.readlink())}, which is not there",
                hint="mount or make what it names, or remove the link",
            )


def remove(path: Path, root: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; what links in it point to stays.

    Args:
        path: something in `root` that we made; it may be gone already.
        root: the folder that somebody gave us.

    Raises:
        InputError: a folder between `path` and `root` is a link.
        OSError: it cannot be removed, and names `path`; `shutil.rmtree` would name the file in it without its folder.
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


def remove_at_once(path: Path, root: Path) -> None:
    """Remove something that readers may be looking at: killed meanwhile, it is whole or gone; otherwise as `remove`."""
    refuse_links(path.parent, root)
    doomed = temporary_beside(path)
    try:
        system.replace(path, doomed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        doomed = path  # a full disk that does not take even a name
    remove(doomed, root)


def temporaries(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Give the temporary files and folders in `folder`, and so many levels below it, but for those behind links."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _TEMPORARY.fullmatch(path.name):
            yield path
        elif depth and path.is_dir() and not path.is_symlink():
            yield from temporaries(path, depth - 1)


def sweep(folder: Path, depth: int = 0) -> None:
    """Remove the temporary files and folders that killed writers left there; call it under the mutex only.

    Commands that need no mutex, such as `mnist report`, may be writing meanwhile: their files stay.
    """
    for leftover in temporaries(folder, depth):
        if _is_dead(leftover) is not False:
            remove(leftover, folder)


def is_folder(path: Path) -> bool:
    """Tell whether a folder has this name; also for a name that is too long or has a null byte, which none has."""
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir would raise for such a name


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes, if it is one: a named pipe would let us wait, and a device never end.

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
