"""What only some systems and file systems have: each such call stands here, with what happens where it is missing.

The rest of the package uses what Python has everywhere. Linux was run; what is said of Windows and macOS was read in
the documentation of Python and of the systems, and a test runs the commands with the calls below hidden.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

# What a file system answers that has no fsync for folders: network file systems and FUSE.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# Windows: somebody has the file open, or mapped into memory. Scanners let go of it soon.
_IN_USE = (5, 32, 33)
_PATIENCE = 2.0  # seconds
_PAUSE = 0.05
# What a terminal sends that is closed.
HANG_UP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
# What Ctrl-Z sends, what stops a process for certain, and what lets it go on; None where there is no job control.
JOB_CONTROL = (signal.SIGTSTP, signal.SIGSTOP, signal.SIGCONT) if hasattr(signal, "SIGTSTP") else None


def open_without_waiting(path: Path) -> int:
    """Open a file to read its bytes, and return its descriptor; a named pipe is opened at once, too.

    Without O_NONBLOCK (Windows) there are no pipes among the files.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Read bytes of a file from a position on, and return how many there were; 0 at its end.

    Without preadv (Windows) the descriptor's own position moves, so no two threads may share it. None do.
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    content = os.read(descriptor, len(buffer))
    buffer[: len(content)] = content
    return len(content)


def bytes_at(descriptor: int, count: int, offset: int) -> bytes:
    """Return at most so many bytes of a file from a position on; none at its end."""
    buffer = bytearray(count)
    return bytes(buffer[: read_at(descriptor, memoryview(buffer), offset)])


def write_at(descriptor: int, content: memoryview, offset: int) -> int:
    """Write bytes to a file from a position on, and return how many were written; without pwrite as `read_at`."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, content)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Where a folder cannot be opened (Windows, without O_DIRECTORY), or its file system has no fsync for folders, nothing
    is done: names become durable when the system writes them, within seconds. A power cut before that brings back the
    old file, whole; a killed process loses nothing.

    Raises:
        OSError: it is not there, or the disk fails.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            error.filename = error.filename or os.fspath(folder)
            raise
    finally:
        os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Give a file or folder the name `target`, in place of a file that has it.

    Windows refuses that while anybody has the old file open or mapped. We try for two seconds, then say so; the file is
    the old one, and what was to replace it is left to the caller.

    Raises:
        OSError: it cannot be done.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            source.replace(target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if time.monotonic() > end:
                reason = "in use by another program, which has to close it first"
                raise PermissionError(errno.EACCES, reason, os.fspath(source), None, os.fspath(target)) from None
            time.sleep(_PAUSE)


def address_space_limit() -> int | None:
    """Return how many bytes of addresses this process may use; None without a limit, and where there is none to ask."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def process_exists(pid: int) -> bool:
    """Return whether a process of this machine has that number.

    On Windows `os.kill(pid, 0)` would send it Ctrl-C; its own calls are asked instead.
    """
    if sys.platform == "win32":
        return _process_exists_on_windows(pid)
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _process_exists_on_windows(pid: int) -> bool:
    import ctypes

    synchronize, timed_out, denied = 0x00100000, 0x00000102, 5
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(synchronize, False, pid)
    if not handle:
        return bool(ctypes.get_last_error() == denied)  # type: ignore[attr-defined,unused-ignore]
    try:
        return bool(kernel.WaitForSingleObject(handle, 0) == timed_out)
    finally:
        kernel.CloseHandle(handle)


def process_identity(pid: int) -> str | None:
    """Return what tells a process from every other, also on other machines and in other containers.

    It is made of the machine's boot, the namespace of process numbers and the moment of the start, so it never comes
    again. Without /proc (Windows, macOS) there is nothing of the kind.

    Returns:
        None where this cannot be known; "" for a process that this machine, in this namespace, does not have.
    """
    try:
        here = machine_identity()
        if here is None:
            return None
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the start, in clock ticks since boot, is the 20th field behind it.
    return f"{here}/{pid}/{status.rpartition(b')')[2].split()[19].decode()}"


def machine_identity() -> str | None:
    """Return what tells this boot of this machine, and this namespace of process numbers, from all others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  # not a path
    except OSError:
        return None


def is_mine(path: Path) -> bool:
    """Tell whether a file or folder belongs to this user; where files have no owner, it does."""
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def processors() -> int:
    """Return how many processors this process may use; where nobody says so, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lock(descriptor: int) -> bool | None:
    """Lock an open file; return whether it is locked, False where another process has it, None where nobody can."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def is_root() -> bool:
    """Tell whether this user may do anything."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
