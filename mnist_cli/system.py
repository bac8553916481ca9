"""Calls that only some systems and file systems support, each with what happens where it is missing.

The rest of the package uses what Python has everywhere. Only Linux was tested: statements about Windows and macOS come
from the documentation of Python and of these systems, and a test runs the commands with the calls below hidden.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

# Errors of file systems without fsync for folders: network file systems and FUSE.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# Errors of Windows if another program has the file open or mapped. Virus scanners release it soon.
_IN_USE = (5, 32, 33)
_RENAME_DEADLINE = 2.0  # seconds
_PAUSE = 0.05
# The signal that a closing terminal sends.
HANG_UP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
# The signals that Ctrl-Z sends, that always stop a process, and that continue it; None without job control.
JOB_CONTROL = (signal.SIGTSTP, signal.SIGSTOP, signal.SIGCONT) if hasattr(signal, "SIGTSTP") else None


def open_without_waiting(path: Path) -> int:
    """Open a file for reading and return its descriptor; opening a named pipe does not block.

    Systems without O_NONBLOCK (Windows) have no pipes among their files.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill the buffer from a position in a file, and return the number of bytes read; 0 at the end.

    Without preadv (Windows) this moves the descriptor's own position, so no two threads may share one. None do.
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    content = os.read(descriptor, len(buffer))
    buffer[: len(content)] = content
    return len(content)


def bytes_at(descriptor: int, count: int, offset: int) -> bytes:
    """Return up to `count` bytes from a position in a file; none at the end."""
    buffer = bytearray(count)
    return bytes(buffer[: read_at(descriptor, memoryview(buffer), offset)])


def write_at(descriptor: int, content: memoryview, offset: int) -> int:
    """Write at a position in a file, and return the number of bytes written; without pwrite, see `read_at`."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, content)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    If the folder cannot be opened (Windows, without O_DIRECTORY) or its file system has no fsync for folders, this does
    nothing: the system writes the names within seconds. After a power cut before that, the old file is back, whole; a
    killed process loses nothing.

    Raises:
        OSError: the folder does not exist, or the disk fails.
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
    """Rename a file or folder to `target`, replacing a file of that name.

    Windows refuses this while a program has the old file open or mapped. We try for two seconds, then raise; the old
    file stays, and the caller deals with the new one.

    Raises:
        OSError: it cannot be renamed.
    """
    end = time.monotonic() + _RENAME_DEADLINE
    while True:
        try:
            source.replace(target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if time.monotonic() > end:
                reason = "in use by another program, which must close it first"
                raise PermissionError(errno.EACCES, reason, os.fspath(source), None, os.fspath(target)) from None
            time.sleep(_PAUSE)


def address_space_limit() -> int | None:
    """Return how many bytes of address space this process may use; None if there is no limit."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def process_exists(pid: int) -> bool:
    """Return whether this machine has a process with that ID.

    On Windows `os.kill(pid, 0)` would send it Ctrl-C, so the system's own calls are used.
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
    """Return an identity that no other process has, on any machine and in any container.

    It consists of the machine's boot, the PID namespace, the PID and the start time, so it never repeats. It needs
    /proc, which Windows and macOS do not have.

    Returns:
        None if it cannot be determined; "" if this machine, in this namespace, has no such process.
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
    # The name, in parentheses, may contain anything; the start, in clock ticks since boot, is the 20th field after it.
    return f"{here}/{pid}/{status.rpartition(b')')[2].split()[19].decode()}"


def machine_identity() -> str | None:
    """Return an identity of this boot of this machine and this PID namespace; None if it cannot be determined."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  # not a path
    except OSError:
        return None


def is_mine(path: Path) -> bool:
    """Return whether this user owns a file or folder; True on systems where files have no owner."""
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def processors() -> int:
    """Return how many processors this process may use; if the system does not say, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lock(descriptor: int) -> bool | None:
    """Lock an open file: return True, False if another process holds the lock, or None if locks do not work here."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def is_root() -> bool:
    """Return whether this user is root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
