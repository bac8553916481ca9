"""One run at a time in an artifacts folder.

The lock is the kernel's (flock, by filelock): it ends with its holder, however that ends, so it is never stale. Who
holds it stands in a file beside it, for the message only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mnist_cli import files
from mnist_cli.errors import Locked
from mnist_cli.text import printable

_LOCK = ".lock"
_HOLDER = ".lock-holder.json"


@contextlib.contextmanager
def locked(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Hold the lock of the artifacts folder `root`, which is made when missing.

    Args:
        root: the artifacts folder.
        command: what is being run, for the message that others get.
        wait: seconds to wait for another holder; 0 gives up at once.

    Raises:
        Locked: another process holds it.
        OSError: the folder cannot be written.
    """
    import filelock

    root.mkdir(parents=True, exist_ok=True)
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


@contextlib.contextmanager
def locked_for_reading(root: Path, command: str, wait: float = 0) -> Iterator[None]:
    """Keep runs out of the folder `root` while it is read.

    A folder that cannot be written is read without the lock: artifacts that are only there to be read (a cache, a
    medium, another's) can be verified too.

    Raises:
        Locked: a run is at work there: what is read might be of before it and of after it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root, command, wait))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
        yield


def _holder(root: Path) -> str:
    """Say who holds the lock; the file may be missing or garbage, as it is not what locks."""
    try:
        holder = json.loads((root / _HOLDER).read_bytes())
        return printable(f"'{holder['command']}', process {holder['pid']}, since {holder['since']}")
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
