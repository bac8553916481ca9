"""Passwords and signed queries of mirrors are sent to the mirror and appear nowhere else."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from mnist_cli.errors import ConfigError, MnistError
from mnist_cli.text import printable, without_secrets
from tests.support import mirror_server as server
from tests.support.command_line import mnist
from tests.support.mirror_server import Behaviour, Conversation, MirrorServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


USER, PASSWORD = "us3r-SECRET", "p4ss-SECRET"
SIGNATURE = "X-Amz-Signature=s1gned-SECRET&token=t0ken-SECRET"
SECRET = "SECRET"


def secretive(url: str) -> str:
    """The address of a mirror, with everything in it that must not be seen."""
    scheme, rest = url.split("://")
    return f"{scheme}://{USER}:{PASSWORD}@{rest}?{SIGNATURE}"


def forwards(to: Callable[[], str]) -> Behaviour:
    """Send to another signed address, as object stores do."""

    def behave(talk: Conversation) -> None:
        name = talk.request.path.split("?")[0].rsplit("/", 1)[-1]
        server.redirects(f"{to()}{name}?Signature=r3direct-SECRET#frag-SECRET")(talk)

    return behave


def garbled(talk: Conversation) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\nX-Echo " + talk.request.path.encode() + b"\r\nContent-Length: zero-SECRET\r\n\r\n")


class Fetching:
    """Runs `mnist fetch` on the small data set and keeps all that came of it."""

    def __init__(self, small: Small, capfd: pytest.CaptureFixture[str]) -> None:
        self.small = small
        self.artifacts = small.root / "artifacts"
        self._capfd = capfd  # libraries may write to the descriptors themselves
        self.seen = ""

    def __call__(self, *arguments: str) -> int:
        common = ["--artifacts", str(self.artifacts), "--set", "dataset=small"]
        done = mnist(*arguments, *common, code=None)
        self.seen += done.out + done.err + "".join(self._capfd.readouterr())
        return done.code

    def leaks(self) -> list[str]:
        """Where the secret is to be read: in what was printed, in names of files, and in files."""
        found = [f"printed: {line}" for line in self.seen.splitlines() if SECRET in line]
        for path in self.artifacts.rglob("*"):
            if SECRET in path.name or (path.is_file() and SECRET.encode() in path.read_bytes()):
                found.append(str(path))
        return found


@pytest.fixture
def fetching(small: Small, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fetching:
    monkeypatch.chdir(small.root)
    monkeypatch.delenv("MNIST_MIRRORS", raising=False)
    return Fetching(small, capfd)


@pytest.fixture
def other_tls(small: Small) -> Iterator[MirrorServer]:
    """A server with a certificate for another host, of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mnist.example").configure_cert(context)
    with MirrorServer(small.files, tls=context) as running:
        yield running


QUICK = ("--set", "fetch.timeout=0.3", "--set", "fetch.deadline=2")


def give(fetching: Fetching, how: str, mirror: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Name the mirror on the command line, in the environment or in the configuration."""
    if how == "--mirror":
        return "--mirror", mirror
    if how == "--set":
        return "--set", f"fetch.mirrors=['{mirror}']"
    if how == "environment":
        monkeypatch.setenv("MNIST_MIRRORS", mirror)
    else:
        Path("pipeline.yaml").write_text(f"fetch:\n  mirrors: ['{mirror}']\n", encoding="utf-8")
    return ()


@pytest.mark.parametrize("how", ["--mirror", "--set", "environment", "pipeline.yaml"])
def test_a_mirror_that_works_is_sent_the_secrets_and_shown_without(
    fetching: Fetching, mirror: MirrorServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = give(fetching, how, secretive(mirror.url), monkeypatch)
    assert fetching("fetch", "--debug", *given) == 0
    assert "authorization" in mirror.requests[0].headers
    assert mirror.requests[0].path.endswith(SIGNATURE)
    settings = given if how == "--set" else ()
    for command in (("status",), ("status", "--json"), ("fetch", *given), ("fetch", "--json", "--force", *given)):
        assert fetching(*command) == 0 or command[0] == "status"
    for command in (("config", "show"), ("config", "show", "--json"), ("config", "show", "--origin"), ("verify",)):
        assert fetching(*command, *settings) == 0
    assert fetching("run", "--dry-run", *given) == 0
    assert mirror.url in fetching.seen
    assert fetching.leaks() == []


TROUBLES: dict[str, Behaviour] = {
    "403": server.refuses(403, reason=b"SECRET"),
    "404": server.refuses(404),
    "503": server.refuses(503, {"Retry-After": "100"}),
    "a page": server.sends_whole(b"<!doctype html><p>Forbidden"),
    "cut": server.cut_after(10),
    "silence": server.silent,
    "garbled": garbled,
    "redirect to ftp": server.redirects("ftp://u:SECRET@host/?SECRET"),
    "redirect to nonsense": server.redirects("http://u:SECRET@[/?SECRET"),
    "redirect to nobody": server.redirects("http://u:SECRET@127.0.0.1:1/?token=SECRET"),
}


@pytest.mark.parametrize("form", [(), ("--debug",), ("--json", "--debug")], ids=" ".join)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_failure_shows_a_secret(
    fetching: Fetching, mirror: MirrorServer, trouble: str, form: tuple[str, ...]
) -> None:
    mirror.plan(TROUBLES[trouble])
    assert fetching("fetch", *form, *QUICK, "--mirror", secretive(mirror.url)) == 8
    assert "no mirror provided" in fetching.seen or "deadline" in fetching.seen
    assert fetching.leaks() == []


def test_no_redirect_shows_a_secret(fetching: Fetching, mirror: MirrorServer, second: MirrorServer) -> None:
    mirror.plan(forwards(lambda: second.url))
    assert fetching("fetch", "--debug", "--mirror", secretive(mirror.url)) == 0
    assert second.requests[0].path.endswith("Signature=r3direct-SECRET")
    assert "authorization" not in second.requests[0].headers
    assert fetching.leaks() == []
    second.plan(server.refuses(403))
    assert fetching("fetch", "--force", "--debug", "--mirror", secretive(mirror.url)) == 8
    assert fetching.leaks() == []


def test_a_refused_connection_a_wrong_certificate_and_a_wrong_name_show_no_secret(
    fetching: Fetching, other_tls: MirrorServer
) -> None:
    with MirrorServer({}) as closed:
        gone = closed.url
    places = (gone, other_tls.url, gone.replace("http:", "https:"), "http://no-such-host.invalid/mnist/")
    mirrors = [word for place in places for word in ("--mirror", secretive(place))]
    # Patient: on a busy machine the handshake takes longer than what QUICK waits for.
    assert fetching("fetch", "--debug", "--set", "fetch.timeout=5", "--set", "fetch.deadline=60", *mirrors) == 8
    assert "TLS failure" in fetching.seen
    assert "refused" in fetching.seen
    assert fetching.leaks() == []


@pytest.mark.parametrize(
    "mirror",
    [
        f"ftp://{USER}:{PASSWORD}@host/?{SIGNATURE}",
        f"https:/{USER}:{PASSWORD}@host/?{SIGNATURE}",
        f"https://{USER}:pa/ss-{PASSWORD}@host/?{SIGNATURE}",
        f"https://{USER}:pa?ss#-{PASSWORD}@host/",
        f"https://{USER}:two words {PASSWORD}@host:port/",
        f"https://[{USER}:{PASSWORD}@host/",
        f"{USER}:{PASSWORD}@host/mnist?{SIGNATURE}",
        f"host/mnist?{SIGNATURE}",
        f"file://{USER}:{PASSWORD}@host/mnist?{SIGNATURE}",
    ],
)
@pytest.mark.parametrize("how", ["--mirror", "--set", "pipeline.yaml"])
def test_no_mirror_that_is_refused_shows_a_secret(
    fetching: Fetching, mirror: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = give(fetching, how, mirror, monkeypatch)
    for form in ((), ("--debug",), ("--json",)):
        assert fetching("fetch", *given, *QUICK, *form) in (2, 3, 8)
    settings = given if how == "--set" else ()
    fetching("config", "show", "--debug", *settings)
    fetching("config", "show", "--json", *settings)
    assert fetching.leaks() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", secretive("https://host/")),
        ("fetch", f"--miror={secretive('https://host/')}"),
        ("fetch", "--set", f"fetch.mirrors:{secretive('https://host/')}"),
        ("fetch", "--set", f"fetch.miror={secretive('https://host/')}"),
        ("fetch", "--set", f"fetch.mirrors={secretive('https://host/')}"),
        ("fetch", "--set", f"fetch.timeout={secretive('https://host/')}"),
        ("fetch", "--set", f"{secretive('https://host/')}=1"),
        ("fetch", "--set", f"fetch.mirrors=[&a '{secretive('https://host/')}', *a]"),
        ("fetch", "--config", secretive("https://host/")),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",), ("--debug",)], ids=" ".join)
def test_no_mistake_on_the_command_line_shows_a_secret(
    fetching: Fetching, arguments: tuple[str, ...], form: tuple[str, ...]
) -> None:
    assert fetching(*arguments, *form) in (2, 3)
    assert fetching.leaks() == []


def test_an_interruption_says_how_to_resume_without_the_secret(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.errors import Interrupted

    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted(2, reached="step 4")

    monkeypatch.setattr("mnist_cli.pipeline.runner.run", interrupted)
    mirror = f"https://{USER}:two words {PASSWORD}@host/?{SIGNATURE}"
    assert fetching("fetch", "--debug", "--mirror", mirror) == 130
    assert "to resume from step 4" in fetching.seen
    assert fetching.leaks() == []


def test_a_bug_of_ours_shows_no_secret(fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot cope with {secretive('https://host/')}")

    monkeypatch.setattr("mnist_cli.pipeline.runner.run", broken)
    assert fetching("fetch", "--debug") == 1
    assert "cannot cope with https://***@host/?***" in fetching.seen
    assert fetching.leaks() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("trying https://a:b@host:8080/mnist/?k=v now", "trying https://***@host:8080/mnist/?*** now"),
        ("https://token@host/", "https://***@host/"),
        ("https://host/mnist/#token=v", "https://host/mnist/?***"),
        ("a:b@host/x", "***@host/x"),
        ("https://host/mnist/: HTTP 404 Not Found", "https://host/mnist/: HTTP 404 Not Found"),
        ("pipeline.yaml:14:3: train.epocs: unknown key; did you mean 'train.epochs'?", None),
        ("why? because 1 = 1 # a comment", None),
        ("user@example.org", None),
    ],
)
def test_text_without_secrets_is_unchanged(text: str, shown: str | None) -> None:
    assert without_secrets(text) == printable(text) == (text if shown is None else shown)


def test_a_shortened_text_contains_no_half_secret() -> None:
    long = "https://user:" + "SECRET" * 30 + "@host/?" + "SECRET" * 30
    assert printable(long, 40) == "https://***@host/?***"


def test_errors_take_secrets_out_of_messages_hints_and_problems() -> None:
    error = MnistError(secretive("https://a/"), hint=secretive("https://b/"))
    assert SECRET not in str(vars(error)) + str(error) + repr(error.args)
    assert SECRET not in str(vars(ConfigError([secretive("https://a/")])))
