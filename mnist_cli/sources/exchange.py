"""One HTTP request whose every step can be waited for with a limit."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import requests

from mnist_cli.sources.answers import failure

# As much as one read from a socket usually gives; small, so that a slow server is seen to be slow.
_BLOCK = 1 << 16
# 4 MB: enough for a disk that pauses now and then. Then the mirror waits, too.
_MAX_WAITING = 64


class Exchange:
    """A request that is sent and read in a thread of its own.

    The library's time-outs bound the silence between two packets, and not at all a name look-up, a TLS handshake or
    headers that drip. Here the one who waits decides how long, and leaves the thread behind if need be: it is a
    daemon, which ends with its connection or with the process. It also keeps errors of the network apart from errors
    of the disk, which are raised where the file is written.

    Args:
        send: sends the request and returns when the headers are there.
        limit: how many bytes of the body to read at most.
        timeout: seconds that `send` waits for a packet, for the message when it does so in vain.
        explain: says what an error means, where it is not for `answers.failure` to say.
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
        """Return the status and the headers; the body is only to be had through `block`.

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
        """Return the next bytes of the body, as they were sent (no decoding); empty at the end.

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
        # Make room: the thread may be waiting for it, and puts two more blocks at most.
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
        except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
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
