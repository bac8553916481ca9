"""When memory is the cause: errors that say so in other words, and a limit under which a library would crash."""

from __future__ import annotations

import errno

from mnist_cli import system
from mnist_cli.errors import MnistError, causes
from mnist_cli.text import file_size

_HINT = "allow this process more memory: 'ulimit -v unlimited', or a larger limit of the container or the job"
# What the loader of libraries, NumPy, TensorFlow and Python's threads say.
_WORDS = (
    "failed to map segment from shared object",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "oom when allocating",
    "can't start new thread",
)
# Addresses, not bytes in use. Below about 2 GB TensorFlow 2.21 ends the process with SIGSEGV or SIGABRT on two cores.
TENSORFLOW_NEEDS = 2_000_000_000


def memory_failure(error: BaseException) -> MnistError | None:
    """Return what to report for an error whose cause is that memory is not enough; None where the cause is another.

    Args:
        error: it, or one that it led to.
    """
    return _failure("") if any(map(_is_of_memory, causes(error))) else None


def require_memory(needed: int, purpose: str) -> None:
    """Refuse to begin what would crash the process.

    Raises:
        MnistError: the process may not use as many bytes of address space as are needed.
    """
    limit = system.address_space_limit()
    if limit is not None and limit < needed:
        raise _failure(f"{purpose} needs about {file_size(needed)}")


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = str(error).lower()
    return isinstance(error, ImportError | RuntimeError | SystemError) and any(words in told for words in _WORDS)


def _failure(needs: str) -> MnistError:
    limit = system.address_space_limit()
    allowed = "" if limit is None else f"this process may use {file_size(limit)} (ulimit -v)"
    told = "; ".join(filter(None, [needs, allowed]))
    return MnistError("not enough memory" + (f": {told}" if told else ""), hint=_HINT)
