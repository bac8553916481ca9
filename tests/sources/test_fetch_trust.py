"""TLS, redirects, and secrets that stay secret."""

from __future__ import annotations

import base64
import datetime
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from mnist_cli.errors import FetchError
from tests.support import mirror_server as server
from tests.support.mirror_server import MirrorServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


Serve = Callable[[trustme.LeafCert], MirrorServer]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve(small: Small, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a TLS mirror with a certificate; `authority` is trusted."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with ExitStack() as running:

        def start(certificate: trustme.LeafCert) -> MirrorServer:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            return running.enter_context(MirrorServer(small.files, tls=context))

        yield start


@pytest.fixture
def secure(serve: Serve, authority: trustme.CA) -> MirrorServer:
    return serve(authority.issue_cert("127.0.0.1"))


def test_a_trusted_certificate_is_accepted(small: Small, secure: MirrorServer) -> None:
    result = small.fetch(secure.url)
    assert small.published() == small.files
    assert result.files[0].source == secure.url


def test_an_expired_certificate_gives_way(
    small: Small, serve: Serve, authority: trustme.CA, mirror: MirrorServer
) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    bad = serve(authority.issue_cert("127.0.0.1", not_before=past, not_after=past + datetime.timedelta(1)))
    small.fetch(bad.url, mirror.url)
    assert "TLS failure: certificate has expired; trying" in small.listener.notes[0]
    assert bad.requests == [] and small.slept == []


def test_an_untrusted_certificate_gives_way(small: Small, serve: Serve, mirror: MirrorServer) -> None:
    bad = serve(trustme.CA().issue_cert("127.0.0.1"))
    small.fetch(bad.url, mirror.url)
    assert "TLS failure: " in small.listener.notes[0] and "certificate" in small.listener.notes[0]
    assert bad.requests == []


def test_a_certificate_for_another_host_gives_way(
    small: Small, serve: Serve, authority: trustme.CA, mirror: MirrorServer
) -> None:
    bad = serve(authority.issue_cert("mnist.example"))
    small.fetch(bad.url, mirror.url)
    assert "TLS failure: IP address mismatch" in small.listener.notes[0]
    assert bad.requests == []


def test_a_server_without_tls_gives_way(small: Small, second: MirrorServer, mirror: MirrorServer) -> None:
    small.fetch(second.url.replace("http:", "https:"), mirror.url)
    assert "TLS failure: " in small.listener.notes[0]
    assert small.published() == small.files


def test_a_missing_bundle_of_authorities_is_named(
    small: Small, secure: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")
    with pytest.raises(FetchError, match=r"/nowhere/authorities\.pem"):
        small.fetch(secure.url)


def test_a_proxy_that_does_not_answer_is_named(
    small: Small, mirror: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MirrorServer({}) as closed:
        proxy = closed.url
    monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://me:SECRET@"))
    monkeypatch.setenv("no_proxy", "")
    reason = r"the proxy http://127\.0\.0\.1:\d+ does not answer: Connection refused"
    with pytest.raises(FetchError, match=reason) as caught:
        small.fetch(mirror.url)
    assert "SECRET" not in caught.value.message


def test_a_redirect_to_another_server_is_followed(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(lambda talk: server.redirects(second.url + talk.request.path.rsplit("/", 1)[1])(talk))
    result = small.fetch(mirror.url)
    assert small.published() == small.files
    assert result.requests == 8
    assert result.files[0].source == mirror.url


def test_a_relative_redirect_and_one_up_to_https_are_followed(
    small: Small, mirror: MirrorServer, secure: MirrorServer
) -> None:
    name = small.images
    mirror.plan(server.redirects(f"../other/{name}", 301), server.redirects(secure.url + name, 308), name=name)
    small.fetch(mirror.url)
    assert [request.path for request in mirror.asked(name)] == [f"/mnist/{name}", f"/other/{name}"]
    assert len(secure.asked(name)) == 1


def test_the_range_is_requested_again_after_a_redirect(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    small.begin(small.files[small.images][:99])
    mirror.plan(server.redirects(second.url + small.images), name=small.images)
    small.fetch(mirror.url)
    assert second.asked(small.images)[0].headers["range"] == "bytes=99-"


def test_a_redirect_loop_ends_after_five(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(server.redirects(small.images), name=small.images)
    small.fetch(mirror.url, second.url)
    assert len(mirror.asked(small.images)) == 6
    assert "redirects more than 5 times" in small.listener.notes[0]


def test_the_body_of_a_redirect_is_not_read_to_its_end(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    def behave(talk: server.Conversation) -> None:
        talk.head(302, {"Location": second.url + small.images})
        while not talk.server.stopping.is_set():
            talk.send(b"<p>this way</p>" * 999)

    mirror.plan(behave, name=small.images)
    small.fetch(mirror.url)
    assert small.published() == small.files


@pytest.mark.parametrize("scheme", ["file", "ftp", "data", "javascript"])
def test_a_redirect_out_of_the_web_is_not_followed(
    small: Small, mirror: MirrorServer, second: MirrorServer, scheme: str
) -> None:
    mirror.plan(server.redirects(f"{scheme}:///etc/passwd"))
    small.fetch(mirror.url, second.url)
    assert f"redirects to {scheme}://, which is not followed" in small.listener.notes[0]
    assert small.published() == small.files


@pytest.mark.parametrize("port", ["99999", "-1", "1e3"])
def test_a_redirect_to_an_impossible_port_gives_way_to_the_next_mirror(
    small: Small, mirror: MirrorServer, second: MirrorServer, port: str
) -> None:
    mirror.plan(server.redirects(f"http://127.0.0.1:{port}/x"))
    small.fetch(mirror.url, second.url)
    assert "redirects to a malformed address; trying" in small.listener.notes[0]
    assert small.published() == small.files


def test_https_is_never_left_for_http(small: Small, secure: MirrorServer, mirror: MirrorServer) -> None:
    secure.plan(server.redirects(mirror.url + small.images + "?token=SECRET"))
    with pytest.raises(FetchError, match=r"redirects from https to http://127.0.0.1:\d+/") as caught:
        small.fetch(secure.url)
    assert mirror.requests == []
    assert "SECRET" not in caught.value.message


def with_password(address: str) -> str:
    return address.replace("://", "://us%C3%A9r:pass%2Fword@")


def test_user_and_password_are_sent_and_not_shown(small: Small, mirror: MirrorServer) -> None:
    result = small.fetch(with_password(mirror.url))
    expected = base64.b64encode("usér:pass/word".encode()).decode()
    assert {request.headers["authorization"] for request in mirror.requests} == {f"Basic {expected}"}
    assert result.files[0].source == mirror.url
    assert "pass" not in repr(result)


def test_a_password_is_not_sent_to_the_target_of_a_redirect(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    mirror.plan(server.redirects(second.url + small.images), name=small.images)
    small.fetch(with_password(mirror.url))
    assert "authorization" in mirror.asked(small.images)[0].headers
    assert "authorization" not in second.asked(small.images)[0].headers


def test_a_password_survives_a_redirect_at_the_same_server(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.redirects(f"/moved/{small.images}"), server.honest, name=small.images)
    small.fetch(with_password(mirror.url))
    assert all("authorization" in request.headers for request in mirror.asked(small.images))


def test_a_signed_query_is_sent_with_every_file_and_not_shown(small: Small, mirror: MirrorServer) -> None:
    result = small.fetch(f"{mirror.url}?token=SECRET&x=1#part")
    assert [request.path for request in mirror.requests] == [f"/mnist/{n}?token=SECRET&x=1" for n in small.files]
    assert result.files[0].source == mirror.url


def test_a_signed_query_does_not_follow_a_redirect(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(server.redirects(second.url + small.images), name=small.images)
    small.fetch(f"{mirror.url}?token=SECRET")
    assert second.requests[0].path == f"/mnist/{small.images}"


@pytest.mark.parametrize("trouble", ["refused", "cut", "status", "silent", "tls", "host"])
def test_no_failure_shows_a_secret(small: Small, mirror: MirrorServer, trouble: str) -> None:
    address = mirror.url
    if trouble == "refused":
        with MirrorServer({}) as closed:
            address = closed.url
    elif trouble == "tls":
        address = mirror.url.replace("http:", "https:")
    elif trouble == "host":
        address = f"http://{'x' * 70}.invalid/"
    else:
        mirror.plan({"cut": server.cut_after(9), "status": server.refuses(500), "silent": server.silent}[trouble])
    address = address.replace("://", "://SECRETuser:SECRETword@") + "?SECRETquery=SECRETvalue"
    with pytest.raises(FetchError) as caught:
        small.fetch(address, timeout=0.3)
    # The whole chain of exceptions, as --debug would print it.
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in "".join(small.listener.notes)
