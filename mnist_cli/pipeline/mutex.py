"""The mutex: one run at a time in an artifacts folder.

It is a kernel lock (flock, through filelock). It ends with its holder, however the holder ends, so it is never stale. A
file beside it names the holder, for the message only. On a file system without flock, the file of mutex_file.py takes
its place, and that one can be stale.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli import files, system
from mnist_cli.errors import InputError, Locked
from mnist_cli.pipeline.mutex_file import MutexFile
from mnist_cli.text import printable

if TYPE_CHECKING:
    from filelock import FileLock

_LOCK = ".lock"
HOLDER_NAME = ".lock-holder.json"
# For a moment after the mutex is taken, and before it is released, no file names the holder. Other processes then try
# again, for a second. (A holder on another machine never looks alive here.)
_MOMENT = 0.02
_ATTEMPTS = 50
_ENOUGH = 3  # attempts with the mutex file: the first may find a dead holder and remove its file for the second
# What flock answers on a file system without it, or on NFS without a lock server.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
_HOLDER_LIMIT = 1 << 16  # bytes; it has about 100


@contextlib.contextmanager
def locked(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Hold the mutex of the artifacts folder `root`; create the folder if it is missing.

    Args:
        root: the artifacts folder.
        command: the running command, named in the message that other processes show.
        wait: seconds to wait for another holder; 0 gives up at once.

    Raises:
        Locked: another process holds it.
        InputError: the lock is not a regular file.
        OSError: the folder cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    _check_lock_file(root / _LOCK)
    lock = _acquired(root, wait)
    try:
        files.sweep(root)
        holder = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        try:
            files.write_json(root / HOLDER_NAME, holder)
        except OSError as error:
            if error.errno not in files.FULL:  # only messages need the file, and a full disk must not stop `clean`
                raise
        yield
    finally:
        files.remove(root / HOLDER_NAME, root)
        lock.release()


@contextlib.contextmanager
def locked_for_reading(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Keep runs out of the folder `root` while it is read.

    If the folder cannot be written, read it without the mutex, so that artifacts that are read-only or on a full disk
    can be verified too.

    Raises:
        Locked: a run is going on there, so old and new files could be mixed.
    """
    with _locked_unless(root, command, wait, (errno.EACCES, errno.EPERM, errno.EROFS, *files.FULL)):
        yield


@contextlib.contextmanager
def locked_for_removing(root: Path, command: str) -> Iterator[None]:
    """Keep runs out of the folder `root` while something is removed from it.

    On a disk too full for the mutex file, go on without the mutex: no run can begin there either, and removing
    something is the way out.

    Raises:
        Locked: a run is going on there.
        OSError: the folder cannot be written.
    """
    with _locked_unless(root, command, 0, files.FULL):
        yield


@contextlib.contextmanager
def _locked_unless(root: Path, command: str, wait: float, forgiven: tuple[int, ...]) -> Iterator[None]:
    """Hold the mutex, or go on without it if taking it fails with one of the `forgiven` error numbers."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root, command, wait))
        except OSError as error:
            if error.errno not in forgiven:
                raise
        yield


def _acquired(root: Path, wait: float) -> FileLock | MutexFile:
    """Take the mutex and return it; raises as `locked`."""
    with warnings.catch_warnings(action="ignore"):  # filelock warns where it has no kernel lock
        import filelock

    file = MutexFile(root)
    if filelock.FileLock is filelock.SoftFileLock:  # other processes may break such a lock
        return _by_file(file, root, wait, "this system cannot lock files")
    # No fallback to a soft lock if flock is missing, for the same reason.
    lock = filelock.FileLock(root / _LOCK, fallback_to_soft=False)
    try:
        _acquire(lock, root, wait)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        return _by_file(file, root, wait, f"flock: {os.strerror(getattr(error, 'errno', None) or errno.ENOSYS)}")
    if os.path.lexists(file.path):  # from a machine that mounts the folder without flock
        lock.release()
        raise _held_by_file(file, root, "another machine mounts the folder without flock")
    return lock


def _by_file(file: MutexFile, root: Path, wait: float, reason: str) -> MutexFile:
    """Take the mutex file within `wait` seconds."""
    end = time.monotonic() + wait
    tries = 0
    while not file.acquire():
        tries += 1
        if tries >= _ENOUGH and time.monotonic() > end:
            raise _held_by_file(file, root, reason)
        time.sleep(_MOMENT)
    return file


def _held_by_file(file: MutexFile, root: Path, reason: str) -> Locked:
    return Locked(
        f"{printable(root)}: another run is in progress: {file.holder()}\n{printable(file.path)} names it ({reason})",
        hint="wait for it, or give --wait SECONDS; if that process is dead, remove the file",
    )


def _acquire(lock: FileLock, root: Path, wait: float) -> None:
    import filelock

    attempts = _ATTEMPTS
    while True:
        try:
            lock.acquire(timeout=wait)
            return
        except filelock.Timeout:
            attempts -= 1
            if attempts and not _is_at_work(root):
                wait = _MOMENT
                continue
            raise Locked(
                f"{printable(root)}: another run is in progress: {_holder(root)}",
                hint="wait for it, or give --wait SECONDS",
            ) from None


def at_work(root: Path) -> str | None:
    """Describe the process at work in the folder `root` on this machine, or return None."""
    return _holder(root) if _is_at_work(root) else None


def _is_at_work(root: Path) -> bool:
    """Tell whether the file names a process that exists; a killed process may have left its file."""
    try:
        return system.process_exists(int(_read_holder(root)["pid"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _check_lock_file(path: Path) -> None:
    """Refuse anything but a regular file: through a link, another file would be emptied."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        received = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "something else"
        raise InputError(
            f"{printable(path)}: cannot be the lock\nexpected a regular file; received {received}",
            hint="remove it; the next run creates it",
        )


def _holder(root: Path) -> str:
    """Describe the holder of the mutex; the file that names it may be missing or garbage."""
    try:
        holder = _read_holder(root)
        return printable(f"'{holder['command']}', process {holder['pid']}, since {holder['since']}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def _read_holder(root: Path) -> dict[str, Any]:
    with files.open_regular(root / HOLDER_NAME) as file:
        holder: dict[str, Any] = json.loads(file.read(_HOLDER_LIMIT))
    return holder
