"""The mutex: one run at a time in an artifacts folder.

It is a lock of the kernel (flock, by filelock): it ends with its holder, however that ends, so it is never stale. A
file beside it names the holder, for the message only. Where the file system has no flock, the file of mutex_file.py
takes its place, and a part of that is given up.
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
# For a moment after the mutex is taken, and before it is released, no file names the holder. Others then look again,
# for a second. (The processes of another machine are never there.)
_MOMENT = 0.02
_ATTEMPTS = 50
_ENOUGH = 3  # of the mutex by a file: the first may find a dead holder, and clear the way for the second
# What flock answers where the file system has none, or NFS no lock server.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
_HOLDER_LIMIT = 1 << 16  # bytes; it has about 100


@contextlib.contextmanager
def locked(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Hold the mutex of the artifacts folder `root`, which is made when missing.

    Args:
        root: the artifacts folder.
        command: what is being run, for the message that others get.
        wait: seconds to wait for another holder; 0 gives up at once.

    Raises:
        Locked: another process holds it.
        InputError: something else than a file stands in its place.
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
            if error.errno not in files.FULL:  # without it others cannot name the holder; to remove something must work
                raise
        yield
    finally:
        files.remove(root / HOLDER_NAME, root)
        lock.release()


@contextlib.contextmanager
def locked_for_reading(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Keep runs out of the folder `root` while it is read.

    A folder that cannot be written is read without the mutex, so that read-only artifacts, and those on a full disk,
    can be verified too.

    Raises:
        Locked: a run is at work there, so files of before and after it would be mixed.
    """
    with _locked_unless(root, command, wait, (errno.EACCES, errno.EPERM, errno.EROFS, *files.FULL)):
        yield


@contextlib.contextmanager
def locked_for_removing(root: Path, command: str) -> Iterator[None]:
    """Keep runs out of the folder `root` while something is removed from it.

    On a disk that has not even room for the file of the mutex no run can begin either, and to remove something is the
    way out: it is done without.

    Raises:
        Locked: a run is at work there.
        OSError: the folder cannot be written.
    """
    with _locked_unless(root, command, 0, files.FULL):
        yield


@contextlib.contextmanager
def _locked_unless(root: Path, command: str, wait: float, forgiven: tuple[int, ...]) -> Iterator[None]:
    """Hold the mutex, or go on without where it cannot be had for one of these reasons."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root, command, wait))
        except OSError as error:
            if error.errno not in forgiven:
                raise
        yield


def _acquired(root: Path, wait: float) -> FileLock | MutexFile:
    """Return the mutex when it is held; raises as `locked`."""
    with warnings.catch_warnings(action="ignore"):  # filelock warns where it has no lock of the kernel
        import filelock

    file = MutexFile(root)
    if filelock.FileLock is filelock.SoftFileLock:  # a lock that others may break
        return _by_file(file, root, wait, "this system has no locks for files")
    # No soft lock where flock is missing, for the same reason.
    lock = filelock.FileLock(root / _LOCK, fallback_to_soft=False)
    try:
        _acquire(lock, root, wait)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        return _by_file(file, root, wait, f"flock: {os.strerror(getattr(error, 'errno', None) or errno.ENOSYS)}")
    if os.path.lexists(file.path):  # of a machine that mounts the folder without flock
        lock.release()
        raise _held_by_file(file, root, "another machine has no flock there")
    return lock


def _by_file(file: MutexFile, root: Path, wait: float, reason: str) -> MutexFile:
    """Take the mutex by a file of its own, within `wait` seconds."""
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
        f"{printable(root)}: another run is at work there: {file.holder()}\n{printable(file.path)} says so ({reason})",
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
                f"{printable(root)}: another run is at work there: {_holder(root)}",
                hint="wait for it, or give --wait SECONDS",
            ) from None


def at_work(root: Path) -> str | None:
    """Say who is at work in the folder `root` on this machine, or return None."""
    return _holder(root) if _is_at_work(root) else None


def _is_at_work(root: Path) -> bool:
    """Return whether the file names a process that exists; one that was killed may have left its name."""
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
            hint="remove it; the next run makes its own",
        )


def _holder(root: Path) -> str:
    """Say who holds the mutex; the file that names it may be missing or garbage."""
    try:
        holder = _read_holder(root)
        return printable(f"'{holder['command']}', process {holder['pid']}, since {holder['since']}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def _read_holder(root: Path) -> dict[str, Any]:
    with files.open_regular(root / HOLDER_NAME) as file:
        holder: dict[str, Any] = json.loads(file.read(_HOLDER_LIMIT))
    return holder
