"""Restricted and half-dead networks: other passwords, proxies, certificates, and addresses that do not answer."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from mnist_cli.errors import FetchError
from mnist_cli.sources import connecting
from tests.support import mirror_server as server
from tests.support.mirror_server import MirrorServer
from tests.support.proxy_server import ProxyServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small

SECRET = "n3trc-SECRET"


def place_of(url: str) -> tuple[str, int]:
    host, port = url.split("/")[2].rsplit(":", 1)
    return host, int(port)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    text = f"machine 127.0.0.1 login me password {SECRET}\ndefault login me password {SECRET}\n"
    for name in (".netrc", "_netrc"):
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(home))


@pytest.mark.usefixtures("netrc")
def test_no_password_of_netrc_is_sent_to_a_mirror_or_where_it_redirects(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    mirror.plan(server.redirects(second.url + small.images), name=small.images)
    small.fetch(mirror.url)
    assert small.published() == small.files
    requests = mirror.requests + second.requests
    assert len(requests) == 5
    assert not [request for request in requests if "authorization" in request.headers]


@pytest.mark.usefixtures("netrc")
def test_netrc_named_by_its_variable_is_not_read_either(
    small: Small, mirror: MirrorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))
    small.fetch(mirror.url)
    assert not [request for request in mirror.requests if "authorization" in request.headers]


@pytest.mark.usefixtures("netrc")
def test_a_password_in_the_mirrors_address_is_the_one_that_is_sent(small: Small, mirror: MirrorServer) -> None:
    small.fetch(mirror.url.replace("://", "://you:asked@"))
    assert {request.headers["authorization"] for request in mirror.requests} == {"Basic eW91OmFza2Vk"}


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(proxy: str) -> None:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("no_proxy", "")

    return use


MIRRORS = [f"https://mirror-{number}.example/mnist/" for number in range(4)]


@pytest.mark.parametrize(
    ("status", "asked", "words", "hint"),
    [
        (
            407,
            1,
            "refuses: HTTP 407 Proxy Authentication Required",
            "put user and password, then an @, before the host",
        ),
        (403, 4, "refuses: HTTP 403 Forbidden", "ask for that host to be allowed"),
        (502, 4, "refuses: HTTP 502 Bad Gateway", "ask for that host to be allowed"),
    ],
)
def test_a_proxy_that_refuses_to_connect_is_named_and_not_asked_again(
    small: Small, proxied: Any, status: int, asked: int, words: str, hint: str
) -> None:
    with ProxyServer(refusal=status) as proxy:
        proxied(proxy.url.replace("://", "://me:SECRET@"))
        with pytest.raises(FetchError) as caught:
            small.fetch(*MIRRORS)
    assert caught.value.message.count(f"the proxy {proxy.url} {words}") == 4
    assert len(proxy.asked) == asked
    assert hint in str(caught.value.hint)
    assert "without a network" not in str(caught.value.hint)
    assert "SECRET" not in str(caught.value)
    assert small.slept == []


@pytest.mark.parametrize(("status", "asked"), [(407, 1), (403, 2), (502, 2)])
def test_a_refusal_over_plain_http_is_the_proxys_too(small: Small, proxied: Any, status: int, asked: int) -> None:
    with ProxyServer(refusal=status) as proxy:
        proxied(proxy.url)
        with pytest.raises(FetchError, match=rf"the proxy {proxy.url} refuses: HTTP {status}"):
            small.fetch("http://one.example/", "http://two.example/")
    assert len(proxy.asked) == asked


def test_a_mirror_in_the_own_network_is_used_without_the_proxy(
    small: Small, mirror: MirrorServer, proxied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProxyServer(refusal=407) as proxy:
        proxied(proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        small.fetch("http://one.example/", mirror.url)
    assert small.published() == small.files
    assert len(proxy.asked) == 1


def test_a_proxy_that_connects_is_used(small: Small, mirror: MirrorServer, proxied: Any) -> None:
    with ProxyServer(target=place_of(mirror.url)) as proxy:
        proxied(proxy.url.replace("://", "://me:pass@"))
        small.fetch("http://mirror.example/mnist/")
    assert small.published() == small.files
    assert all(target.startswith("http://mirror.example/") for target in proxy.asked)
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in proxy.heads[0]


def test_a_proxy_without_a_scheme_is_an_http_proxy(small: Small, mirror: MirrorServer, proxied: Any) -> None:
    with ProxyServer(target=place_of(mirror.url)) as proxy:
        proxied(proxy.url.removeprefix("http://"))
        small.fetch("http://mirror.example/mnist/")
    assert small.published() == small.files


def test_a_plain_http_proxy_addressed_with_https_is_explained(small: Small, proxied: Any) -> None:
    with ProxyServer(refusal=407) as proxy:
        proxied(proxy.url.replace("http:", "https:"))
        with pytest.raises(FetchError) as caught:
            small.fetch(MIRRORS[0])
    assert f"write the proxy as {proxy.url}" in str(caught.value.hint)


def test_a_socks_proxy_works(small: Small, mirror: MirrorServer, proxied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with ProxyServer(target=place_of(mirror.url), socks=True) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("all_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        small.fetch("http://mirror.example/mnist/")
    assert small.published() == small.files
    assert set(proxy.asked) == {"mirror.example:80"}  # the name is looked up behind the proxy


def test_a_socks_proxy_that_refuses_is_named_and_not_asked_again(small: Small, proxied: Any) -> None:
    with ProxyServer(refusal=2, socks=True) as proxy:
        proxied(proxy.url)
        with pytest.raises(FetchError, match=f"the proxy {proxy.url} does not connect: Connection not allowed"):
            small.fetch(MIRRORS[0])
    assert len(proxy.asked) == 1


def test_a_missing_socks_proxy_is_named(small: Small, proxied: Any) -> None:
    with ProxyServer(socks=True) as proxy:
        pass
    proxied(proxy.url)
    with pytest.raises(FetchError, match=f"the proxy {proxy.url} does not answer"):
        small.fetch(*MIRRORS)


def test_a_socks_proxy_without_its_package_is_refused_by_name(
    small: Small, proxied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    proxied("socks5h://127.0.0.1:1080")
    with pytest.raises(FetchError, match="PySocks is not installed") as caught:
        small.fetch(MIRRORS[0])
    assert "pip install requests[socks]" in str(caught.value.hint)


def test_a_proxy_of_an_unknown_kind_is_refused_by_name(small: Small, proxied: Any) -> None:
    proxied("socks://127.0.0.1:1080/")
    with pytest.raises(FetchError, match=r"the proxy socks://127\.0\.0\.1:1080: socks:// is not supported") as caught:
        small.fetch(MIRRORS[0])
    assert "socks5h://" in str(caught.value.hint)


@pytest.fixture
def inspected(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MirrorServer, Path]]:
    """A mirror whose certificate is of an authority that only `authority.pem` knows."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    authority = trustme.CA()
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with MirrorServer(small.files, tls=context) as mirror:
        yield mirror, folder / "authority.pem"


def test_the_error_for_an_unknown_authority_names_the_variable_to_set(
    small: Small, inspected: tuple[MirrorServer, Path]
) -> None:
    with pytest.raises(FetchError, match="TLS failure: ") as caught:
        small.fetch(inspected[0].url)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value.hint)
    assert "without a network" not in str(caught.value.hint)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_every_variable_that_names_authorities_is_used(
    small: Small, inspected: tuple[MirrorServer, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mirror, bundle = inspected
    monkeypatch.setenv(name, str(bundle))
    small.fetch(mirror.url)
    assert small.published() == small.files


@pytest.mark.parametrize("place", ["{}", "missing:{}"])
def test_a_folder_of_authorities_is_used(
    small: Small, inspected: tuple[MirrorServer, Path], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    mirror, bundle = inspected
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", bundle], capture_output=True, text=True, check=True
    )
    bundle.rename(bundle.with_name(f"{digest.stdout.strip()}.0"))  # as OpenSSL wants it
    monkeypatch.setenv("SSL_CERT_DIR", place.format(bundle.parent))
    small.fetch(mirror.url)
    assert small.published() == small.files


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_that_names_no_authorities_is_named(
    small: Small, inspected: tuple[MirrorServer, Path], monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    missing = tmp_path / "missing"
    monkeypatch.setenv(name, str(missing if name.endswith("DIR") else wrong))
    with pytest.raises(FetchError, match=rf"{name}: \S+(missing: no such folder|wrong.pem: no certificate in it)"):
        small.fetch(inspected[0].url)


def test_a_mirror_with_the_wrong_bytes_does_not_blame_the_network(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.refuses(404))
    with pytest.raises(FetchError) as caught:
        small.fetch(mirror.url)
    assert caught.value.hint == "name another mirror: --mirror URL or --mirror FOLDER; --dataset synthetic needs none"


def address(port: int, host: str = "127.0.0.1") -> connecting.Address:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


@pytest.fixture
def blackhole() -> Iterator[int]:
    """A port whose queue is full, so that a connection to it is never answered."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        probe = open_sockets.enter_context(socket.socket())
        probe.settimeout(0.2)
        if probe.connect_ex(listener.getsockname()) not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ETIMEDOUT):
            pytest.skip("this system answers for a listener whose queue is full")
        yield listener.getsockname()[1]


def test_dead_addresses_before_a_living_one_cost_less_than_a_time_out(
    small: Small, mirror: MirrorServer, blackhole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = place_of(mirror.url)[1]
    dead = [address(blackhole)] * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: [*dead, address(port)])
    begin = time.monotonic()
    small.fetch("http://mirror.example/mnist/", timeout=20)
    assert time.monotonic() - begin < 5
    assert small.published() == small.files
    assert small.slept == []


def test_dead_addresses_alone_cost_one_time_out_together(small: Small, blackhole: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: [address(blackhole)] * 5)
    begin = time.monotonic()
    with pytest.raises(FetchError, match="no connection within 1 s"):
        small.fetch("http://mirror.example/mnist/", timeout=1)
    assert time.monotonic() - begin < 4


def test_the_families_of_addresses_take_turns() -> None:
    six = [(socket.AF_INET6, 1, 6, "", (f"2001:db8::{n}", 80, 0, 0)) for n in range(3)]
    four = [(socket.AF_INET, 1, 6, "", (f"192.0.2.{n}", 80)) for n in range(1)]
    turns = connecting._by_turns([*six, *four])
    assert [place[0] for place in turns] == [socket.AF_INET6, socket.AF_INET, socket.AF_INET6, socket.AF_INET6]


def test_after_a_refused_address_the_next_is_tried_at_once(mirror: MirrorServer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    begin = time.monotonic()
    with connecting.race([address(port)] * 20 + [address(place_of(mirror.url)[1])], 20) as connection:
        assert connection.gettimeout() == 20
    assert time.monotonic() - begin < 20 * connecting.HEAD_START
