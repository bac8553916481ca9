"""One HTTP request, with a time limit for each step."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import requests

from mnist_cli.sources.answers import failure

# About the size of one read from a socket; small, so that a slow server is noticed.
_BLOCK = 1 << 16
# 4 MB: enough for a disk that pauses now and then. Beyond that, the mirror waits too.
_MAX_WAITING = 64


class Exchange:
    """A request that is sent and read in its own thread.

    The library's time-outs limit the silence between two packets, but not name look-up, a TLS handshake or headers
    that drip. Here the caller decides how long to wait, and abandons the thread if necessary: it is a daemon, which
    ends with its connection or with the process. The thread also separates errors of the network from errors of the
    disk, which are raised where the file is written.

    Args:
        send: sends the request and returns when the headers have arrived.
        limit: the most bytes of the body to read.
        timeout: seconds that `send` waits for a packet, for its error message.
        explain: returns the failure that an error means, or None to use `answers.failure`.
    """

    def __init__(
        self,
        send: Callable[[], requests.Response],
        limit: int,
        timeout: float,
        explain: Callable[[Exception], Exception | None] = lambda _error: None,
    ) -> None:
        self._send = send
        self._limit = limit
        self._timeout = timeout
        self._explain = explain
        self._abandoned = False
        self._heads: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()
        self._blocks: queue.Queue[bytes | Exception] = queue.Queue(_MAX_WAITING)
        threading.Thread(target=self._work, name="mnist-http", daemon=True).start()

    def head(self, timeout: float) -> requests.Response:
        """Return the status and the headers; only `block` reads the body.

        Raises:
            TimeoutError: they do not come within `timeout` seconds.
            MirrorError: they do not come at all.
        """
        try:
            arrived = self._heads.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def block(self, timeout: float) -> bytes:
        """Return the next bytes of the body, not decoded; empty at the end.

        Raises:
            TimeoutError: none come within `timeout` seconds.
            MirrorError: the body breaks off.
        """
        try:
            arrived = self._blocks.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._abandoned = True
        # Make room: the thread may be waiting for it, and adds at most two more blocks.
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()

    def _work(self) -> None:
        arrivals: queue.SimpleQueue[requests.Response | Exception] | queue.Queue[bytes | Exception]
        arrivals = self._heads
        try:
            with self._send() as response:
                self._heads.put(response)
                arrivals = self._blocks
                self._read(response)
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            arrivals.put(self._explain(error) or failure(error, self._timeout))

    def _read(self, response: requests.Response) -> None:
        left = self._limit
        while left and not self._abandoned:
            block: bytes = response.raw.read1(min(_BLOCK, left), decode_content=False)
            left -= len(block)
            self._blocks.put(block)
            if not block:
                return
        self._blocks.put(b"")
