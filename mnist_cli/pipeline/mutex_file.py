"""The mutex on file systems without flock: a file that exists while the mutex is held.

Lustre and NFS may lack flock. Creating a file that must not exist yet (O_EXCL) is atomic there too, but such a file
outlives a holder that is killed. It is removed only if its holder is known to be dead, which can be known only of a
process of this boot of this machine. Any other process may be dead or just slow, so a person decides, helped by the
file's modification time, which the holder renews.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from pathlib import Path
from typing import Any

from mnist_cli import files, system
from mnist_cli.text import printable

_NAME = ".mutex"
_BEAT = 10.0  # seconds
_LIMIT = 1 << 12  # bytes; the file has about 200


class MutexFile:
    """The mutex of one folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.path = root / _NAME
        self._token = os.urandom(8).hex()
        self._released = threading.Event()

    def acquire(self) -> bool:
        """Try once to take the mutex.

        Returns:
            Whether it was taken; after False the next try may succeed, if the holder turned out to be dead.

        Raises:
            OSError: the folder cannot be written.
        """
        pid = os.getpid()
        holder = {"token": self._token, "pid": pid, "host": platform.node(), "process": system.process_identity(pid)}
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            self._bury()
            return False
        with files.naming(self.path), os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(holder).encode())
            file.flush()
            os.fsync(file.fileno())
        threading.Thread(target=self._beat, name="mnist-mutex", daemon=True).start()
        return True

    def release(self) -> None:
        """Release the mutex, unless a person has removed its file meanwhile."""
        self._released.set()
        if self._read().get("token") == self._token:
            files.remove(self.path, self._root)

    def holder(self) -> str:
        """Describe the holder of the mutex, and say when it last gave a sign of life."""
        holder = self._read()
        named = f"process {holder.get('pid', '?')} on {holder.get('host') or 'an unknown machine'}"
        try:
            silent = max(0.0, time.time() - self.path.lstat().st_mtime)
        except OSError:
            return printable(named)
        return printable(f"{named}, last sign of life {silent:,.0f} s ago")

    def _beat(self) -> None:
        while not self._released.wait(_BEAT):
            with contextlib.suppress(OSError):
                if self._read().get("token") == self._token:
                    os.utime(self.path)

    def _bury(self) -> None:
        """Remove the file of a holder that is known to be dead.

        Two processes may find it dead at once, and the slower one must not remove the file that the quicker one made in
        its place. So a process first creates a file named after the dead holder's token, which only one can do, and
        then reads the token again before it removes the file.
        """
        dead = self._read()
        token = str(dead.get("token"))
        if not token.isalnum() or not self._is_dead(dead):
            return
        grave = self._root / f"{files.TEMPORARY_PREFIX}{token[:8]}"
        try:
            os.close(os.open(grave, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            return
        try:
            if self._read().get("token") == token:
                files.remove(self.path, self._root)
        finally:
            files.remove(grave, self._root)

    def _is_dead(self, holder: dict[str, Any]) -> bool:
        process, here = holder.get("process"), system.machine_identity()
        if not isinstance(process, str) or here is None or not process.startswith(f"{here}/"):
            return False
        pid = holder.get("pid")
        now = system.process_identity(pid) if isinstance(pid, int) else None
        return now is not None and now != process

    def _read(self) -> dict[str, Any]:
        """Return the content of the file; empty if it is missing, half written or something else."""
        try:
            with files.open_regular(self.path) as file:
                found = json.loads(file.read(_LIMIT))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
