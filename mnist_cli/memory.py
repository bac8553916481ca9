"""Recognise errors caused by too little memory, and refuse work that would crash under a memory limit."""

from __future__ import annotations

import errno

from mnist_cli import system
from mnist_cli.errors import MnistError, causes
from mnist_cli.text import file_size

_HINT = "allow this process more memory: 'ulimit -v unlimited', or a larger limit of the container or the job"
# Messages of the library loader, NumPy, TensorFlow and Python's threads.
_WORDS = (
    "failed to map segment from shared object",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "oom when allocating",
    "can't start new thread",
)
# Bytes of address space, not memory in use. With less than about 2 GB, TensorFlow 2.21 crashes on two cores (SIGSEGV or
# SIGABRT).
TENSORFLOW_NEEDS = 2_000_000_000


def memory_failure(error: BaseException) -> MnistError | None:
    """Return the error to report if too little memory is the cause; None if it is not.

    Args:
        error: any exception; its causes are checked too.
    """
    return _failure("") if any(map(_is_memory_error, causes(error))) else None


def require_memory(needed: int, purpose: str) -> None:
    """Refuse work that would crash the process.

    Raises:
        MnistError: the process may use less than `needed` bytes of address space.
    """
    limit = system.address_space_limit()
    if limit is not None and limit < needed:
        raise _failure(f"{purpose} needs about {file_size(needed)}")


def _is_memory_error(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    message = str(error).lower()
    return isinstance(error, ImportError | RuntimeError | SystemError) and any(words in message for words in _WORDS)


def _failure(needs: str) -> MnistError:
    limit = system.address_space_limit()
    allowed = "" if limit is None else f"this process may use {file_size(limit)} (ulimit -v)"
    details = "; ".join(filter(None, [needs, allowed]))
    return MnistError("not enough memory" + (f": {details}" if details else ""), hint=_HINT)
