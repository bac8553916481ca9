"""A web server on loopback that serves a few files, or misbehaves as a test tells it to."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[["Conversation"], None]


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]


@dataclass
class Conversation:
    """What a behaviour has to work with: the request, the file it asks for, and the wire."""

    request: Request
    content: bytes
    server: MirrorServer
    send: Callable[[bytes], Any]
    keep_alive: bool = False

    @property
    def offset(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.request.headers.get("range", ""))
        return int(match[1]) if match else 0

    def head(self, status: int, headers: Mapping[str, object], reason: bytes = b"whatever") -> None:
        lines = [b"HTTP/1.1 %d %s" % (status, reason)]
        if not self.keep_alive:
            lines.append(b"Connection: close")
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
        self.send(b"\r\n".join([*lines, b"", b""]))

    def head_for_range(self) -> bytes:
        """Send the right head for what was asked, and return the right body."""
        body = self.content[self.offset :]
        if self.offset:
            span = f"bytes {self.offset}-{len(self.content) - 1}/{len(self.content)}"
            self.head(206, {"Content-Length": len(body), "Content-Range": span})
        else:
            self.head(200, {"Content-Length": len(body)})
        return body


class MirrorServer:
    """Serves `files` below /mnist/; `plan` says what to do instead, request by request, for a file or for all ("").

    The last behaviour of a plan stays. Everything that was asked is in `requests`; `bytes_sent` counts what was sent,
    with heads, and with what the client never took from the socket.
    """

    def __init__(self, files: Mapping[str, bytes], tls: ssl.SSLContext | None = None) -> None:
        self.files = dict(files)
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self.stopping = threading.Event()
        self._plans: dict[str, list[Behaviour]] = defaultdict(lambda: [honest])
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}/mnist/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def plan(self, *behaviours: Behaviour, name: str = "") -> None:
        self._plans[name] = list(behaviours)

    def next_behaviour(self, name: str) -> Behaviour:
        plan = self._plans[name if name in self._plans else ""]
        return plan.pop(0) if len(plan) > 1 else plan[0]

    def asked(self, name: str) -> list[Request]:
        return [request for request in self.requests if request.path.split("?")[0].endswith(f"/{name}")]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for them

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """End the connections that a client keeps for later."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what is tested."""


def _handler_for(mirror: MirrorServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True  # which makes the second packet of an answer wait for 40 ms

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers)
            mirror.requests.append(request)
            name = self.path.split("?")[0].rsplit("/", 1)[-1]
            conversation = Conversation(request, mirror.files.get(name, b""), mirror, self.send)
            with contextlib.suppress(OSError):
                mirror.next_behaviour(name)(conversation)
            self.close_connection = not conversation.keep_alive

        def send(self, data: bytes) -> None:
            self.wfile.write(data)
            mirror.bytes_sent += len(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def honest(talk: Conversation) -> None:
    talk.keep_alive = True
    talk.send(talk.head_for_range())


def ignores_range(talk: Conversation) -> None:
    talk.head(200, {"Content-Length": len(talk.content)})
    talk.send(talk.content)


def cut_after(count: int) -> Behaviour:
    """Break the connection off after `count` bytes of the body."""

    def behave(talk: Conversation) -> None:
        talk.send(talk.head_for_range()[:count])

    return behave


def refuses(status: int, headers: Mapping[str, object] | None = None, reason: bytes = b"whatever") -> Behaviour:
    return lambda talk: talk.head(status, {"Content-Length": 0, **(headers or {})}, reason)


def sends(body: bytes, headers: Mapping[str, object] | None = None, status: int = 200) -> Behaviour:
    """Send a body whatever was asked for; without a Content-Length unless `headers` has one."""

    def behave(talk: Conversation) -> None:
        talk.head(status, headers or {})
        talk.send(body)

    return behave


def sends_whole(body: bytes, headers: Mapping[str, object] | None = None) -> Behaviour:
    return sends(body, {"Content-Length": len(body), **(headers or {})})


def redirects(location: str, status: int = 302) -> Behaviour:
    return refuses(status, {"Location": location})


def endless(talk: Conversation) -> None:
    talk.head(200, {})
    while not talk.server.stopping.is_set():
        talk.send(talk.content)


def drips(talk: Conversation) -> None:
    """Send the right body, but a byte at a time."""
    for byte in talk.head_for_range():
        talk.send(bytes([byte]))
        if talk.server.stopping.wait(0.002):
            return


def drips_headers(talk: Conversation) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\n")
    while not talk.server.stopping.wait(0.02):
        talk.send(b"X-Patience: 1\r\n")


def silent(talk: Conversation) -> None:
    talk.server.stopping.wait(10)


def silent_after(count: int) -> Behaviour:
    def behave(talk: Conversation) -> None:
        talk.send(talk.head_for_range()[:count])
        talk.server.stopping.wait(10)

    return behave
