"""Mirrors that are hostile or broken: alone, before an honest one, and several in a row."""

from __future__ import annotations

import datetime
import gzip
import itertools
import os
import random
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import trustme

from mnist_cli.datasets import DATASETS
from mnist_cli.errors import MnistError
from mnist_cli.sources.time_limits import Clock
from tests.corpora.tally import Tally
from tests.support import mirror_server as server
from tests.support.fetch_fixtures import Small, small_data_set
from tests.support.mirror_server import Behaviour, Conversation, MirrorServer

# The clock of the fetches runs faster, so that ten seconds of dripping are one.
_HURRY = 10
_DEADLINE = 300  # seconds of that clock
_SILENCE = 0.3  # seconds of ours without a byte
_LONGEST = _DEADLINE / _HURRY + 2 * _SILENCE
# What may be under way in the sockets of two processes when the reader has had enough.
_IN_SOCKETS = 16_000_000
_OLD = b"what was published before"


def attack(folder: Path, count: int) -> Iterator[Tally]:
    """Give the tallies of each hostile mirror, and of `count` random rows of them before an honest one."""
    with _data_set(folder) as small:
        names = list(small.files) if count >= 100 else [small.images]
        alone, before = Tally("mirrors: hostile, alone"), Tally("mirrors: hostile, before an honest one")
        # With a wrong certificate nothing is asked for, and the first file is the one that is missed.
        pairs = itertools.chain(
            itertools.product(_hostile_mirrors(small).items(), names),
            itertools.product(_without_trust(folder, small).items(), [small.images]),
        )
        for (what, start), name in pairs:
            with ExitStack() as running:
                bad = start(running, name)
                alone.attempt(f"{what}, {name}", name, partial(_fetch, small, [bad]))
            with ExitStack() as running:
                mirrors = [start(running, name), running.enter_context(MirrorServer(small.files))]
                before.attempt(f"{what}, {name}", name, partial(_fetch_all_the_same, small, mirrors))
        yield alone
        yield before
        yield _rows(small, count)


def _rows(small: Small, count: int) -> Tally:
    tally = Tally("mirrors: up to four in a row that change their minds, before an honest one")
    noise = random.Random(7)
    behaviours = [*HOSTILE.values(), *ODD.values()]
    for _ in range(count):
        with ExitStack() as running:
            mirrors = [running.enter_context(MirrorServer(small.files)) for _ in range(noise.randint(2, 5))]
            for mirror in mirrors[:-1]:
                for name in small.files:
                    mirror.plan(*noise.choices(behaviours, k=noise.randint(1, 3)), name=name)
            tally.attempt("a row", "", partial(_fetch_all_the_same, small, mirrors))
    return tally


def _fetch(small: Small, mirrors: Sequence[MirrorServer]) -> bool:
    """Fetch, and return whether the files are right; whatever happens, they are those or the ones from before."""
    shutil.rmtree(small.out, ignore_errors=True)
    small.out.mkdir()
    old = dict.fromkeys(small.files, _OLD)
    for name, content in old.items():
        (small.out / name).write_bytes(content)
    started = time.monotonic()
    clock = Clock(now=lambda: time.monotonic() * _HURRY, sleep=lambda _seconds: None)
    try:
        small.fetch(*(mirror.url for mirror in mirrors), timeout=_SILENCE, deadline=_DEADLINE, clock=clock)
    except Exception:
        assert small.published() == old
        raise
    finally:
        assert time.monotonic() - started < _LONGEST
        for mirror in mirrors:
            assert mirror.bytes_sent < 3 * sum(map(len, small.files.values())) + _IN_SOCKETS
    return small.published() == small.files


def _fetch_all_the_same(small: Small, mirrors: Sequence[MirrorServer]) -> bool:
    """Fetch where the last mirror is honest: there is no reason to fail."""
    try:
        return _fetch(small, mirrors)
    except MnistError as error:
        raise AssertionError(f"nothing came, though the last mirror is honest: {error}") from error


@contextmanager
def _data_set(folder: Path) -> Iterator[Small]:
    small, data_set = small_data_set(folder)
    with mock.patch.dict(DATASETS, small=data_set), mock.patch.dict(os.environ):
        # A proxy of the machine that runs this has no way to loopback.
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]
        yield small


Start = Callable[[ExitStack, str], MirrorServer]


def _hostile_mirrors(small: Small) -> dict[str, Start]:
    """Return what starts each mirror, that is hostile when it is asked for a file."""

    def behaving(behaviour: Behaviour) -> Start:
        def start(running: ExitStack, name: str) -> MirrorServer:
            mirror = running.enter_context(MirrorServer(small.files))
            mirror.plan(behaviour, name=name)
            return mirror

        return start

    return {what: behaving(behaviour) for what, behaviour in HOSTILE.items()}


def _without_trust(folder: Path, small: Small) -> dict[str, Start]:
    """Return the mirrors with TLS that are not to be trusted; none of them is asked for anything."""
    authority = trustme.CA()
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    address = "127.0.0.1"

    def secure(certificate: trustme.LeafCert, behaviour: Behaviour = server.honest) -> Start:
        def start(running: ExitStack, name: str) -> MirrorServer:
            running.enter_context(mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(bundle)))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            mirror = running.enter_context(MirrorServer(small.files, tls=context))
            mirror.plan(behaviour, name=name)
            return mirror

        return start

    def downgrades(talk: Conversation) -> None:
        server.redirects(talk.server.url.replace("https:", "http:"))(talk)

    return {
        "an expired certificate": secure(
            authority.issue_cert(address, not_before=past, not_after=past + datetime.timedelta(1))
        ),
        "a certificate of nobody": secure(trustme.CA().issue_cert(address)),
        "another host's certificate": secure(authority.issue_cert("mnist.example")),
        "a redirect from https to http": secure(authority.issue_cert(address), downgrades),
    }


def _compressed(talk: Conversation) -> None:
    server.sends_whole(gzip.compress(talk.content), {"Content-Encoding": "gzip"})(talk)


def _another_file(talk: Conversation) -> None:
    files = talk.server.files
    server.sends_whole(next(content for content in files.values() if content != talk.content))(talk)


def _flipped(talk: Conversation) -> None:
    server.sends_whole(talk.content[:-1] + bytes([talk.content[-1] ^ 1]))(talk)


def _too_much(talk: Conversation) -> None:
    server.sends_whole(talk.content + b"and more")(talk)


def _loops(talk: Conversation) -> None:
    server.redirects(talk.request.path)(talk)


def _repeats(part: bytes, first: bytes = b"") -> Behaviour:
    def behave(talk: Conversation) -> None:
        talk.send(first)
        while not talk.server.stopping.is_set():
            talk.send(part)

    return behave


_OK = b"HTTP/1.1 200 OK\r\n"
_HTML = {"Content-Type": "text/html"}
# With these, alone, there is nothing to be had.
HOSTILE: dict[str, Behaviour] = {
    "a byte every other millisecond": server.drips,
    "a header every other moment": server.drips_headers,
    "silence": server.silent,
    "silence after 40 bytes": server.silent_after(40),
    "nothing": lambda talk: None,
    "too little": server.sends_whole(b"x" * 20),
    "too much": _too_much,
    "no end": server.endless,
    "no end of headers": _repeats(b"X-More: 1\r\n", _OK),
    "no end of a header": _repeats(b"x" * 1000, _OK + b"X-More: "),
    "no end of 100 Continue": _repeats(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "no end of a chunk's size": _repeats(b"0" * 1000, _OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "a chunk of a size below zero": server.sends(b"-5\r\nhello\r\n", {"Transfer-Encoding": "chunked"}),
    "a length below zero": server.sends(b"x", {"Content-Length": -1}),
    "a length beyond all disks": server.sends(b"x", {"Content-Length": 10**18}),
    "a length in words": server.sends(b"x", {"Content-Length": "much"}),
    "HTML with 200": server.sends_whole(b"<html>Sign in to the guest network</html>", _HTML),
    "another file": _another_file,
    "the file with one bit flipped": _flipped,
    "the file compressed once more": _compressed,
    "404": server.refuses(404),
    "500 for ever": server.refuses(500),
    "503 for ever": server.refuses(503, {"Retry-After": 1}),
    "429 and come back in an hour": server.refuses(429, {"Retry-After": 3600}),
    "a redirect loop": _loops,
    "a redirect to a file": server.redirects("file:///etc/passwd"),
    "a redirect to nowhere": server.redirects("http://127.0.0.1:1/"),
    "another protocol": lambda talk: talk.send(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half of the bytes are control characters": lambda talk: talk.head(418, {"X": "\x1b[2J"}, b"\x1b]52;c;aGk=\x07"),
}
# These are a nuisance, and yet the file comes, or may come with the next try.
ODD: dict[str, Behaviour] = {
    "no ranges": server.ignores_range,
    "200 bytes at a time": server.cut_after(200),
    "a lie in Content-Range": server.sends(b"x" * 9, {"Content-Range": "bytes 5-13/14"}, status=206),
    "honest": server.honest,
}
