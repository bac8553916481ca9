"""One run at a time in an artifacts folder.

The lock is the kernel's (flock, by filelock): it ends with its holder, however that ends, so it is never stale. Who
holds it stands in a file beside it, for the message only.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mnist_cli import files
from mnist_cli.errors import InputError, Locked
from mnist_cli.text import printable

_LOCK = ".lock"
_HOLDER = ".lock-holder.json"
_HOLDER_LIMIT = 1 << 16  # bytes; it has about 100


@contextlib.contextmanager
def locked(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Hold the lock of the artifacts folder `root`, which is made when missing.

    Args:
        root: the artifacts folder.
        command: what is being run, for the message that others get.
        wait: seconds to wait for another holder; 0 gives up at once.

    Raises:
        Locked: another process holds it.
        InputError: in the place of the lock file is something else.
        OSError: the folder cannot be written.
    """
    import filelock

    root.mkdir(parents=True, exist_ok=True)
    _check_lock_file(root / _LOCK)
    # No soft lock where flock is missing: that one is a file that outlives its holder.
    lock = filelock.FileLock(root / _LOCK, timeout=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise Locked(
            f"{printable(root)}: another run is at work there: {_holder(root)}",
            hint="wait for it, or give --wait SECONDS",
        ) from None
    try:
        files.sweep(root)
        holder = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        files.write_json(root / _HOLDER, holder)
        yield
    finally:
        (root / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _check_lock_file(path: Path) -> None:
    """Refuse what is no lock file: through a link another file would be emptied, and nothing but a file can lock."""
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
    """Say who holds the lock; the file may be missing or garbage, as it is not what locks."""
    try:
        with files.open_regular(root / _HOLDER) as file:
            holder = json.loads(file.read(_HOLDER_LIMIT))
        return printable(f"'{holder['command']}', process {holder['pid']}, since {holder['since']}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"
