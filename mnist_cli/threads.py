"""Apply a function to many pieces in one thread per processor; NumPy lets the threads run in parallel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mnist_cli.system import processors

T = TypeVar("T")
U = TypeVar("U")

# Results per thread that may wait for their turn.
_AHEAD = 2


def in_order(work: Callable[[T], U], pieces: Iterable[T]) -> Iterator[U]:
    """Yield a function's result for each piece, in order; the threads work only a few pieces ahead."""
    threads = processors()
    waiting: deque[Future[U]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="features") as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
