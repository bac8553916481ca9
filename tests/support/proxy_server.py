"""Proxies on loopback: one for HTTP and CONNECT, and one for SOCKS 5; they relay, or refuse as a test tells them to."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from types import TracebackType
from typing import Self


class ProxyServer:
    """A proxy.

    Attributes:
        url: its address.
        asked: for whom it was asked: the target of each CONNECT or request, or `host:port` over SOCKS.
        heads: what clients sent first, as it came.
        refusal: the status (HTTP) or the code (SOCKS) of all answers; None relays to `target`.
    """

    def __init__(self, target: tuple[str, int] = ("", 0), refusal: int | None = None, socks: bool = False) -> None:
        self.target, self.refusal = target, refusal
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    (_socks if socks else _http)(proxy, self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"{'socks5h' if socks else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _http(proxy: ProxyServer, client: socketserver.StreamRequestHandler) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = client.rfile.readline()
        if not line:
            return
        head += line
    method, target, _ = head.split(b" ", 2)
    proxy.asked.append(target.decode())
    proxy.heads.append(head)
    if proxy.refusal is not None:
        answer = b"HTTP/1.1 %d whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % proxy.refusal
        client.wfile.write(answer)
        return
    if method == b"CONNECT":
        client.wfile.write(b"HTTP/1.1 200 whatever\r\n\r\n")
        head = b""
    _relay(client, proxy.target, head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def _socks(proxy: ProxyServer, client: socketserver.StreamRequestHandler) -> None:
    _, methods = client.rfile.read(2)
    client.rfile.read(methods)
    client.wfile.write(b"\x05\x00")  # no password
    kind = client.rfile.read(4)[3]
    length = client.rfile.read(1)[0] if kind == 3 else 4
    place = client.rfile.read(length)
    port = int.from_bytes(client.rfile.read(2), "big")
    proxy.asked.append(f"{place.decode() if kind == 3 else socket.inet_ntoa(place)}:{port}")
    code = proxy.refusal or 0
    client.wfile.write(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
    if not code:
        _relay(client, proxy.target, b"")


def _relay(client: socketserver.StreamRequestHandler, target: tuple[str, int], first: bytes) -> None:
    with socket.create_connection(target, timeout=10) as mirror:
        mirror.sendall(first)
        back = threading.Thread(target=_pump, args=(mirror, client.connection))
        back.start()
        _pump(client.connection, mirror)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            sink.sendall(block)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
