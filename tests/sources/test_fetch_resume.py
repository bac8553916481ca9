"""Downloads that break off and resume: Range, Content-Range, and bytes that turn out to be damaged."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from mnist_cli.errors import FetchError
from tests.support import mirror_server as server
from tests.support.mirror_server import Behaviour, MirrorServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


def ranges(mirror: MirrorServer, name: str) -> list[str | None]:
    return [request.headers.get("range") for request in mirror.asked(name)]


def test_a_download_of_an_earlier_run_is_resumed(small: Small, mirror: MirrorServer) -> None:
    small.begin(small.files[small.images][:1500])
    result = small.fetch(mirror.url)
    assert ranges(mirror, small.images) == ["bytes=1500-"]
    assert small.published() == small.files
    assert result.bytes_received == sum(map(len, small.files.values())) - 1500
    assert small.listener.updates[0] == 1500


def test_a_download_is_resumed_after_a_broken_connection(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.cut_after(1000), server.cut_after(500), server.honest, name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == [None, "bytes=1000-", "bytes=1500-"]
    assert small.published() == small.files


def test_another_mirror_resumes_the_download(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(server.cut_after(1000), server.refuses(404), name=small.images)
    small.fetch(mirror.url, second.url)
    assert ranges(second, small.images) == ["bytes=1000-"]
    assert small.published() == small.files


def test_the_next_run_resumes_a_failed_one(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(server.cut_after(1000), server.refuses(404), name=small.images)
    with pytest.raises(FetchError):
        small.fetch(mirror.url)
    mirror.plan(server.honest, name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images)[-1] == "bytes=1000-"
    assert small.published() == small.files


def test_an_interrupt_keeps_the_bytes_received(
    small: Small, mirror: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, detail: str = "") -> None:
        if done == 1000:
            raise KeyboardInterrupt

    monkeypatch.setattr(small.listener, "update", interrupt)
    mirror.plan(server.silent_after(1000))
    with pytest.raises(KeyboardInterrupt):
        small.fetch(mirror.url)
    assert small.part.read_bytes() == small.files[small.images][:1000]
    assert small.published() == {}


def test_a_body_without_a_length_that_ends_early_is_resumed(small: Small, mirror: MirrorServer) -> None:
    beginning = small.files[small.images][:1000]
    mirror.plan(server.sends(beginning), server.honest, name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == [None, "bytes=1000-"]


def test_tries_that_bring_much_do_not_count(
    small: Small, mirror: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_cli.sources.web._WORTHWHILE", 500)
    mirror.plan(*[server.cut_after(600)] * 6, server.honest, name=small.images)
    small.fetch(mirror.url)
    assert len(ranges(mirror, small.images)) == 7
    assert small.published() == small.files


def test_a_server_that_ignores_the_range_starts_over(small: Small, mirror: MirrorServer) -> None:
    small.begin(small.files[small.images][:1500])
    mirror.plan(server.ignores_range)
    small.fetch(mirror.url)
    assert len(mirror.asked(small.images)) == 1
    assert small.published() == small.files


def lies(content_range: str) -> Behaviour:
    """Send what stands after the byte that was asked for, but call it another range."""

    def behave(talk: server.Conversation) -> None:
        if not talk.offset:
            return server.honest(talk)
        body = talk.content[talk.offset :]
        talk.head(206, {"Content-Length": len(body), "Content-Range": content_range})
        talk.send(body)
        return None

    return behave


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/10", "bytes 1400-{last}/{size}", "bytes 1500-{last}/99999", "bytes 1500-1600/{size}", "bytes */9", ""],
)
def test_a_lie_in_content_range_makes_it_start_over(small: Small, mirror: MirrorServer, content_range: str) -> None:
    size = len(small.files[small.images])
    small.begin(small.files[small.images][:1500])
    mirror.plan(lies(content_range.format(last=size - 1, size=size)), name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == ["bytes=1500-", None]
    assert small.published() == small.files


def test_an_unknown_total_in_content_range_is_accepted(small: Small, mirror: MirrorServer) -> None:
    small.begin(small.files[small.images][:1500])
    mirror.plan(lies(f"bytes 1500-{len(small.files[small.images]) - 1}/*"), name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == ["bytes=1500-"]


def test_a_range_that_cannot_be_satisfied_makes_it_start_over(small: Small, mirror: MirrorServer) -> None:
    small.begin(small.files[small.images][:1500])
    mirror.plan(server.refuses(416), server.honest, name=small.images)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == ["bytes=1500-", None]
    assert small.published() == small.files


def test_damaged_old_bytes_make_it_start_over_at_the_same_mirror(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    small.begin(b"?" * 1500)
    small.fetch(mirror.url, second.url)
    assert ranges(mirror, small.images) == ["bytes=1500-", None]
    assert second.requests == []
    assert small.published() == small.files


def test_it_starts_over_only_once_at_a_mirror(small: Small, mirror: MirrorServer, second: MirrorServer) -> None:
    small.begin(b"?" * 1500)
    noise = random.Random(5).randbytes(len(small.files[small.images]))
    mirror.files[small.images] = noise
    small.fetch(mirror.url, second.url)
    assert ranges(mirror, small.images) == ["bytes=1500-", None]
    assert ranges(second, small.images) == [None]
    assert small.published() == small.files


def test_too_much_after_a_range_is_cut_and_the_rest_kept(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    content = small.files[small.images]
    small.begin(content[:1500])
    span = {"Content-Range": f"bytes 1500-{len(content) - 1}/{len(content)}"}
    mirror.plan(server.sends(content[1500:] + b"more" * 10**5, span, status=206), name=small.images)
    small.fetch(mirror.url, second.url)
    assert "sends more than" in small.listener.notes[0]
    assert ranges(second, small.images) == ["bytes=1500-"]
    assert small.published() == small.files


def test_a_page_instead_of_the_file_does_not_cost_the_earlier_bytes(
    small: Small, mirror: MirrorServer, second: MirrorServer
) -> None:
    small.begin(small.files[small.images][:1500])
    mirror.plan(server.sends(b"<html>maintenance</html>"))
    small.fetch(mirror.url, second.url)
    assert ranges(second, small.images) == ["bytes=1500-"]


@pytest.mark.parametrize("length", ["whole", "longer"])
def test_a_partial_file_that_is_long_enough_but_wrong_starts_over(
    small: Small, mirror: MirrorServer, length: str
) -> None:
    size = len(small.files[small.images])
    small.begin(b"?" * (size if length == "whole" else size + 5))
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == [None]
    assert small.published() == small.files


def test_a_partial_file_of_another_digest_is_not_used(small: Small, mirror: MirrorServer) -> None:
    small.part.parent.mkdir(parents=True)
    (small.part.parent / f"{'0' * 16}-{small.images}.part").write_bytes(b"?" * 100)
    small.fetch(mirror.url)
    assert ranges(mirror, small.images) == [None]
