"""Web mirrors that are slow, broken, wrong or hostile."""

from __future__ import annotations

import gzip
import signal
import time
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

from mnist_cli import __version__
from mnist_cli.errors import FetchError
from mnist_cli.sources.time_limits import Clock
from tests.support import mirror_server as server
from tests.support.mirror_server import Behaviour, MirrorServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


@pytest.fixture
def stopwatch() -> Iterator[list[float]]:
    """Fails a test that took longer than any of these may: nothing hangs."""
    begin = time.monotonic()
    yield []
    assert time.monotonic() - begin < 5


def test_the_four_files_cost_four_requests(small: Small, mirror: MirrorServer) -> None:
    result = small.fetch(mirror.url)
    assert small.published() == small.files
    assert result.requests == len(mirror.requests) == 4
    assert result.bytes_received == sum(map(len, small.files.values()))
    assert result.files[0].source == mirror.url


def test_requests_identify_themselves_and_refuse_compression(small: Small, mirror: MirrorServer) -> None:
    small.fetch(mirror.url)
    headers = mirror.requests[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith(f"mnist-cli/{__version__} (+python-requests/")
    assert "authorization" not in headers


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_works_with_and_without_a_slash_at_its_end(small: Small, mirror: MirrorServer, ending: str) -> None:
    small.fetch(mirror.url.rstrip("/") + ending)
    assert mirror.requests[0].path == f"/mnist/{small.images}"


def page(body: bytes) -> Behaviour:
    return server.sends_whole(body, {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (server.refuses(404), "HTTP 404 Not Found"),
        (server.refuses(403), "HTTP 403 Forbidden"),
        (server.refuses(206), "HTTP 206 Partial Content"),
        (server.refuses(204), "HTTP 204 No Content"),
        (server.refuses(302), "HTTP 302 Found without a Location"),
        (server.refuses(599 - 100), "HTTP 499"),
        (page(b"<html><body>Sign in to the guest network</body></html>"), "sends an HTML page"),
        (server.sends(b"  <!doctype HTML><title>503</title>"), "sends an HTML page"),
        (server.sends(b"version https://git-lfs.github.com/spec/v1\n"), "sends a git-LFS pointer"),
        (server.sends(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>"), "sends an XML document"),
        (server.sends_whole(b"x" * 50), "sends 50 bytes, expected"),
        (server.sends_whole(b""), "sends 0 bytes, expected"),
        (server.sends_whole(b"x" * 9000), "sends 9,000 bytes, expected"),
        (server.sends(b"5\r\nabcde\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}), "sends 5 bytes, expected"),
        (server.endless, "sends more than"),
    ],
)
def test_a_mirror_with_a_wrong_answer_gives_way_at_once(
    small: Small, mirror: MirrorServer, second: MirrorServer, behaviour: Behaviour, reason: str
) -> None:
    mirror.plan(behaviour, name=small.images)
    result = small.fetch(mirror.url, second.url)
    assert small.published() == small.files
    assert len(mirror.asked(small.images)) == 1
    [note] = small.listener.notes
    assert note.startswith(f"{small.images}: {mirror.url}: {reason}")
    assert note.endswith(f"; trying {second.url}")
    assert [file.source for file in result.files] == [second.url] + [mirror.url] * 3


def test_a_wrong_file_of_the_right_size_gives_way_at_once(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    mirror.files[small.images] = bytes(len(small.files[small.images]))
    small.fetch(mirror.url, second.url)
    assert small.published() == small.files
    assert "sends a damaged file" in small.listener.notes[0]
    assert len(mirror.asked(small.images)) == 1


def test_only_a_bounded_part_of_an_endless_answer_is_read(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.endless)
    with pytest.raises(FetchError, match="sends more than"):
        small.fetch(mirror.url)
    assert not small.part.exists() or small.part.stat().st_size == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_mirror_is_asked_again_with_growing_pauses(small: Small, mirror: MirrorServer, status: int) -> None:
    mirror.plan(server.refuses(status), server.refuses(status), server.honest)
    result = small.fetch(mirror.url)
    assert small.published() == small.files
    assert result.requests == 6
    assert small.slept == [0.375, 0.75]
    assert small.listener.notes == []


def test_a_mirror_is_tried_three_times_and_last_for_the_files_that_follow(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    mirror.plan(server.refuses(503))
    small.fetch(mirror.url, second.url)
    assert len(mirror.requests) == 3
    assert "HTTP 503 Service Unavailable (3 of 3 tries)" in small.listener.notes[0]


def test_the_pause_is_as_long_as_the_server_asks(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.refuses(429, {"Retry-After": 7}), server.honest)
    small.fetch(mirror.url)
    assert small.slept == [7.0]


def test_a_date_in_retry_after_counts_from_the_servers_own_clock(small: Small, mirror: MirrorServer) -> None:
    dates = {"Date": "Fri, 02 Jan 1998 10:00:00 GMT", "Retry-After": "Fri, 02 Jan 1998 10:00:09 GMT"}
    mirror.plan(server.refuses(503, dates), server.honest)
    small.fetch(mirror.url)
    assert small.slept == [9.0]


@pytest.mark.parametrize("value", ["soon", "-5", "²", "Fri, 99 Jan", ""])
def test_an_invalid_retry_after_is_ignored(small: Small, mirror: MirrorServer, value: str) -> None:
    mirror.plan(server.refuses(503, {"Retry-After": value}), server.honest)
    small.fetch(mirror.url)
    assert small.slept == [0.375]


@pytest.mark.parametrize("seconds", ["3600", "9" * 5000])
def test_a_server_that_asks_for_too_long_gives_way(
    small: Small, mirror: MirrorServer, second: MirrorServer, seconds: str
) -> None:
    mirror.plan(server.refuses(429, {"Retry-After": seconds}))
    small.fetch(mirror.url, second.url)
    assert small.slept == []
    assert "HTTP 429 Too Many Requests, asks to wait" in small.listener.notes[0]


def test_a_pause_beyond_the_deadline_is_not_started(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(server.refuses(503, {"Retry-After": 20}))
    small.fetch(mirror.url, second.url, deadline=15)
    assert small.slept == []


def test_a_refused_connection_is_tried_again_and_named(small: Small) -> None:
    with MirrorServer({}) as closed:
        address = closed.url
    with pytest.raises(FetchError, match=r"Connection refused \(3 of 3 tries\)"):
        small.fetch(address)
    assert len(small.slept) == 2


def test_an_unknown_host_is_named_as_such(small: Small) -> None:
    with pytest.raises(FetchError, match="host name not found"):
        small.fetch("http://no-such-host.invalid/")


def test_an_answer_that_is_not_http_gives_way(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(lambda talk: talk.send(b"SSH-2.0-OpenSSH_9.6\r\n"))
    small.fetch(mirror.url, second.url)
    assert small.published() == small.files


@pytest.mark.usefixtures("stopwatch")
@pytest.mark.parametrize("behaviour", [server.silent, server.drips_headers, server.silent_after(100)])
def test_a_mirror_that_falls_silent_gives_way(
    small: Small, mirror: MirrorServer, second: MirrorServer, behaviour: Behaviour
) -> None:
    mirror.plan(behaviour)
    small.fetch(mirror.url, second.url, timeout=0.2)
    assert small.published() == small.files
    assert "no answer within 0." in small.listener.notes[0]
    assert len(mirror.requests) == 1


@pytest.mark.usefixtures("stopwatch")
def test_a_mirror_that_drips_gives_way(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    ticks = count()
    mirror.plan(server.drips)
    # Each look at this clock finds a second passed, so that a few dozen drips are a minute.
    small.fetch(mirror.url, second.url, deadline=86400, clock=Clock(now=lambda: float(next(ticks))))
    assert small.published() == small.files
    assert "too slow: " in small.listener.notes[0] and "expected at least 1,024 B/s" in small.listener.notes[0]


@pytest.mark.usefixtures("stopwatch")
def test_a_mirror_that_would_miss_the_deadline_gives_way(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    ticks = count()
    mirror.plan(server.drips)
    clock = Clock(now=lambda: next(ticks) / 10)
    small.fetch(mirror.url, second.url, deadline=300, min_speed=0, clock=clock)
    assert small.published() == small.files
    assert "to finish by the deadline; trying" in small.listener.notes[0]
    assert len(mirror.requests) == 1


@pytest.mark.usefixtures("stopwatch")
@pytest.mark.parametrize("behaviour", [server.silent, server.drips_headers, server.drips, server.silent_after(9)])
def test_the_deadline_ends_every_wait(small: Small, mirror: MirrorServer, behaviour: Behaviour) -> None:
    mirror.plan(behaviour)
    with pytest.raises(
        FetchError, match=r"the deadline of 0.3 s has passed: received [\d,]+ of [\d,]+ bytes"
    ) as caught:
        small.fetch(mirror.url, deadline=0.3, timeout=30)
    assert "it resumes where it stopped" in str(caught.value.hint)
    assert small.published() == {}
    assert small.listener.open_tasks == 0


@pytest.mark.usefixtures("stopwatch")
def test_a_signal_ends_a_wait_at_once(small: Small, mirror: MirrorServer) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    mirror.plan(server.silent)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            small.fetch(mirror.url, timeout=30)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_file_that_is_only_labelled_as_compressed_is_accepted_unchanged(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(lambda talk: server.sends_whole(talk.content, {"Content-Encoding": "gzip"})(talk))
    small.fetch(mirror.url)
    assert small.published() == small.files


def test_a_file_that_was_compressed_on_the_way_is_refused_with_the_reason(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    mirror.plan(lambda talk: server.sends_whole(gzip.compress(talk.content), {"Content-Encoding": "gzip"})(talk))
    small.fetch(mirror.url, second.url)
    assert small.published() == small.files
    assert "(Content-Encoding: gzip)" in small.listener.notes[0]


def test_odd_bytes_from_the_server_do_not_reach_messages(small: Small, mirror: MirrorServer) -> None:
    odd = "\x1b]52;c;aGk=\x07\x9b31m[/x]"
    small.begin(small.files[small.images][:10])
    mirror.plan(
        server.sends(b"x", {"Content-Range": odd}, status=206),
        server.refuses(418, {"X-Odd": odd}, reason=odd.encode("latin-1")),
    )
    with pytest.raises(FetchError) as caught:
        small.fetch(mirror.url)
    assert "HTTP 418" in caught.value.message
    for line in caught.value.message.splitlines():
        assert line.isprintable()


def test_odd_bytes_in_a_redirect_do_not_reach_messages(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.redirects("evil\x1b[2J\x9b://x"), server.redirects("http://[\x1b[2J"))
    for _ in range(2):
        with pytest.raises(FetchError) as caught:
            small.fetch(mirror.url)
        assert caught.value.message.replace("\n", "").isprintable()


def test_a_connection_that_the_server_closed_between_two_files_is_no_failure(
    small: Small, mirror: MirrorServer
) -> None:
    mirror.plan(server.cut_after(10**9))
    assert small.fetch(mirror.url).requests == 4
