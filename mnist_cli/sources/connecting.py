"""Connect to the first address of a host that answers, so that dead ones cost only a fraction of a second.

A host often has IPv6 and IPv4 addresses, and one of the networks may not work. Tried one after the other, each dead
address costs a whole time-out. Here they race, as RFC 8305 ("Happy Eyeballs") describes.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

import requests.adapters
import urllib3.connection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from mnist_cli.sources.certificates import Authorities, authorities

# Family, type, protocol, canonical name and socket address, as `socket.getaddrinfo` gives them.
Address = tuple[int, int, int, str, Any]

# Seconds before the next address is tried as well, as RFC 8305 recommends.
HEAD_START = 0.25
_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)


class Adapter(requests.adapters.HTTPAdapter):
    """Sends requests over connections that race, and trusts the authorities that the environment names."""

    @functools.cached_property
    def authorities(self) -> Authorities:
        """The trusted authorities; looked up only when there is a certificate to check."""
        return authorities()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Let direct connections race."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Let connections to a proxy race too; those to a SOCKS proxy are made by another library."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Set the authorities that a connection trusts."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if url.lower().startswith("https:") and not self.authorities.are_usual:
            conn.ca_certs, conn.ca_cert_dir = self.authorities.file, self.authorities.folder


def race(addresses: Sequence[Address], timeout: float, options: Iterable[tuple[int, int, int | bytes]] = ()) -> Any:
    """Return a socket connected to the address that answers first.

    Args:
        addresses: those of one host, the preferred one first.
        timeout: seconds for all of them together; also set on the socket.
        options: socket options to set before connecting.

    Raises:
        TimeoutError: none answers in time.
        OSError: all refuse; with the reason of the last one.
    """
    waiting = _by_turns(addresses)
    refused: OSError = OSError("the host has no address")
    begin = start = time.monotonic()
    with contextlib.ExitStack() as losers, selectors.DefaultSelector() as racing:
        while waiting or racing.get_map():
            now = time.monotonic()
            if now - begin >= timeout:
                raise TimeoutError
            if waiting and (now >= start or not racing.get_map()):
                start = now + HEAD_START
                try:
                    runner = losers.enter_context(_begin(waiting.pop(0), options))
                    racing.register(runner, selectors.EVENT_WRITE)
                except OSError as error:
                    refused = error
                    continue
            until = min(begin + timeout, start) if waiting else begin + timeout
            for key, _ in racing.select(max(0, until - now)):
                runner = key.fileobj  # type: ignore[assignment]
                racing.unregister(runner)
                code = runner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    runner.settimeout(timeout)
                    return _kept(runner)
                refused = OSError(code, os.strerror(code))
    raise refused


def _by_turns(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with alternating families, so that a dead network costs only one head start."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [address for turn in itertools.zip_longest(*families.values()) for address in turn if address is not None]


def _begin(address: Address, options: Iterable[tuple[int, int, int | bytes]]) -> socket.socket:
    """Return a socket that has started to connect."""
    family, kind, protocol, _, place = address
    connection = socket.socket(family, kind, protocol)
    try:
        for level, name, value in options:
            connection.setsockopt(level, name, value)
        connection.setblocking(False)
        code = connection.connect_ex(place)
        if code not in _UNDER_WAY:
            raise OSError(code, os.strerror(code))
    except BaseException:
        connection.close()
        raise
    return connection


def _kept(connection: socket.socket) -> socket.socket:
    """Return the same connection as a new object, because the one that raced is closed with the losers."""
    timeout = connection.gettimeout()
    kept = socket.socket(connection.family, connection.type, connection.proto, fileno=connection.detach())
    kept.settimeout(timeout)
    return kept


class _Racing(urllib3.connection.HTTPConnection):
    """A connection of urllib3 whose addresses race."""

    def _new_conn(self) -> socket.socket:
        timeout = float(self.timeout or 0) or urllib3.Timeout.DEFAULT_TIMEOUT
        try:
            host = self._dns_host.strip("[]")
            found = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
            connection: socket.socket = race(found, timeout, self.socket_options or ())  # type: ignore[arg-type]
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(socket.EAI_NONAME, "not a name")
            raise NameResolutionError(self.host, self, reason) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection") from error
        except OSError as error:
            raise NewConnectionError(self, "no connection") from error
        return connection


class _RacingTLS(_Racing, urllib3.connection.HTTPSConnection):
    """The same under TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Racing


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _RacingTLS


_POOLS = {"http": _Pool, "https": _PoolTLS}
