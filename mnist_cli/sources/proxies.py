"""The proxy on the way to a mirror: which one the environment names, and what its errors mean."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from http import HTTPStatus

import requests
import urllib3

from mnist_cli.errors import causes
from mnist_cli.sources.answers import status_text
from mnist_cli.sources.failures import ProxyError
from mnist_cli.sources.mirrors import shown_address

_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_KINDS = ("http", "https", *_SOCKS)
# The message of http.client if a proxy does not connect us; the text after the number is the proxy's own.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
# Answers of the proxy itself. Over plain HTTP, any other answer may be the mirror's.
_REFUSALS = (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY)
_WITHOUT = "--mirror FOLDER, where FOLDER holds the four files, needs no network"

_CHECK = "check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or unset them"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        address: with user and password.
        name: its name in messages: without them.
    """

    address: str = field(repr=False)
    name: str

    @property
    def is_tls(self) -> bool:
        """Whether the connection to the proxy itself uses TLS."""
        return self.address.lower().startswith("https:")


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment or the system's settings name for an address, or None.

    Raises:
        ProxyError: its kind is not supported.
    """
    address = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not address:
        return None
    address = address if "://" in address else f"http://{address}"
    kind, proxy = address.partition("://")[0].lower(), Proxy(address, _shown(address))
    if kind not in _KINDS:
        expected = f"expected http, https or {_SOCKS[-1]}"
        raise ProxyError(f"the proxy {proxy.name}: {kind}:// is not supported; {expected}", "write socks5h://HOST:PORT")
    if kind in _SOCKS and importlib.util.find_spec("socks") is None:
        raise ProxyError(f"the proxy {proxy.name}: PySocks is not installed", "run 'pip install requests[socks]'")
    return proxy


def refusal(proxy: Proxy, status: int) -> ProxyError | None:
    """Return the failure if an answer through a proxy over plain HTTP is the proxy's refusal, else None."""
    return _refused(proxy, status) if status in _REFUSALS else None


def failure(error: BaseException, proxy: Proxy) -> ProxyError | None:
    """Return the failure that an error of the proxy means, or None if the error is not the proxy's."""
    chain = list(causes(error))
    for cause in chain:
        if found := _TUNNEL.match(str(cause)):
            return _refused(proxy, int(found[1]))
        if type(cause).__module__ == "socks":
            return _socks(proxy, cause)
    kinds = (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)
    if not any(isinstance(cause, kinds) for cause in chain):
        return None
    if proxy.is_tls:
        hint = f"most proxies use plain HTTP themselves: write the proxy as {proxy.name.replace('https:', 'http:')}"
    else:
        hint = f"{_CHECK}; {_WITHOUT}"
    reason = next((cause.strerror for cause in reversed(chain) if isinstance(cause, OSError) and cause.strerror), None)
    return ProxyError(f"the proxy {proxy.name} does not answer" + (f": {reason}" if reason else ""), hint, for_all=True)


def _shown(address: str) -> str:
    """Return only kind, host and port."""
    return "/".join(shown_address(address).split("/")[:3])


def _refused(proxy: Proxy, status: int) -> ProxyError:
    reason = f"the proxy {proxy.name} refuses: {status_text(status)}"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        hint = "put user and password, then an @, before the host of the proxy in HTTP_PROXY and HTTPS_PROXY"
        return ProxyError(reason, hint, for_all=True)
    return ProxyError(reason, f"ask for that host to be allowed, or name another mirror; {_WITHOUT}")


def _socks(proxy: Proxy, error: BaseException) -> ProxyError:
    kind = type(error).__name__
    if kind == "SOCKS5AuthError":
        hint = "put user and password, then an @, before the host of the proxy in ALL_PROXY"
        return ProxyError(f"the proxy {proxy.name} refuses user and password", hint, for_all=True)
    if kind == "ProxyConnectionError":
        return ProxyError(f"the proxy {proxy.name} does not answer", f"{_CHECK}; {_WITHOUT}", for_all=True)
    message = re.search(r"0x0[1-8]: ([A-Za-z ]+)", str(error))
    reason = f"the proxy {proxy.name} does not connect" + (f": {message[1]}" if message else "")
    return ProxyError(reason, f"ask for that host to be allowed, or name another mirror; {_WITHOUT}")
