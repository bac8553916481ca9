"""An exchange buffers what a fast mirror sends before it is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from mnist_cli.sources.exchange import Exchange

_MEGABYTE = 1 << 20


class FastBody:
    """A body that has the next block ready at any time."""

    def __init__(self) -> None:
        self.sent = 0

    def read1(self, count: int, decode_content: bool) -> bytes:
        self.sent += count
        return bytes(count)


def response_with(body: Any) -> requests.Response:
    response = requests.Response()
    response.raw = body
    body.close = lambda: None
    return response


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def http_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mnist-http"]


def test_a_mirror_that_is_faster_than_the_disk_has_to_wait() -> None:
    body = FastBody()
    with Exchange(lambda: response_with(body), 1000 * _MEGABYTE, 10) as exchange:
        exchange.head(10)
        wait_until(lambda: body.sent >= 4 * _MEGABYTE)
        time.sleep(0.05)  # enough for ten times as much, if nothing held it back
        assert body.sent <= 5 * _MEGABYTE
        taken = sum(len(exchange.block(10)) for _ in range(200))
        assert taken == 200 << 16
        wait_until(lambda: body.sent >= taken + 4 * _MEGABYTE)
    wait_until(lambda: not http_threads())


def test_everything_arrives_up_to_the_limit() -> None:
    with Exchange(lambda: response_with(FastBody()), 10 * _MEGABYTE + 1, 10) as exchange:
        exchange.head(10)
        sizes = []
        while block := exchange.block(10):
            sizes.append(len(block))
    assert sum(sizes) == 10 * _MEGABYTE + 1
