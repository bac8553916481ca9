"""The same work on many pieces, by as many threads as there are processors; NumPy lets them run side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mnist_cli.system import processors

T = TypeVar("T")
U = TypeVar("U")

# Results that wait for their turn, for each thread.
_AHEAD = 2


def in_order(work: Callable[[T], U], pieces: Iterable[T]) -> Iterator[U]:
    """Give what a function makes of each piece, in their order; only a few pieces are ahead of the one given."""
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
