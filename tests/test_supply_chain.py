"""What is installed is what constraints.txt says, all of it; and what is known against it is heard."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support import ROOT
from tests.support import advisories as audit

PROJECT = "mnist-cli"
LINE = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.+!]+")


def declared() -> list[Requirement]:
    """What pyproject.toml asks for, the tests' extra too."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["test"])]


# A new environment may bring its own, which pip replaces when it installs as the README says; nothing here imports it.
BROUGHT = {"setuptools"}
# Needed on other systems or Pythons than this one.
PLATFORMS = {"colorama", "tzdata", "typing-extensions"}


def needed() -> dict[str, set[str]]:
    """Every package that is needed here, directly or not, with those that ask for it."""
    asked: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, PROJECT) for requirement in declared()]
    while waiting:
        requirement, parent = waiting.pop()
        name = canonicalize_name(requirement.name)
        asked.setdefault(name, set()).add(parent)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in metadata.requires(name) or []:
                child = Requirement(text)
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    waiting.append((child, name))
    return asked


def pinned() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in audit.pins().items()}


def test_every_line_of_the_constraints_is_an_exact_version() -> None:
    lines = [line for line in audit.CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_no_package_is_pinned_twice() -> None:
    assert len(pinned()) == len(audit.pins())


def test_the_constraints_cover_every_package_that_is_needed() -> None:
    missing = {name: sorted(parents) for name, parents in needed().items() if name not in pinned()}
    assert missing == {}, "pin these in constraints.txt"


def test_the_constraints_pin_nothing_that_nobody_needs_here() -> None:
    assert set(pinned()) - set(needed()) <= PLATFORMS, "nothing asks for these"


def test_the_pins_are_within_what_the_project_asks_for() -> None:
    outside = [str(one) for one in declared() if not one.specifier.contains(pinned()[canonicalize_name(one.name)])]
    assert outside == []


def test_what_is_installed_is_what_is_pinned() -> None:
    versions = {name: metadata.version(name) for name in needed().keys() - BROUGHT if name in pinned()}
    other = {name: found for name, found in versions.items() if Version(found) != Version(pinned()[name])}
    assert other == {}, f"run 'pip install -c constraints.txt -e .[test]'; pinned: { {n: pinned()[n] for n in other} }"


class Service:
    """A stand-in for OSV on loopback."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        self.answer: Callable[[int], bytes] = lambda count: json.dumps({"results": [{}] * count}).encode()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked += body["queries"]
                answer = service.answer(len(body["queries"]))
                self.send_response(200 if answer else 503)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/querybatch"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    running = Service()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()


def test_every_pin_is_asked_about_and_no_finding_passes(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(service.url) == 0
    assert {"package": {"name": "numpy", "ecosystem": "PyPI"}, "version": audit.pins()["numpy"]} in service.asked
    assert len(service.asked) == len(audit.pins())
    assert "0 with known vulnerabilities" in capsys.readouterr().out


def test_a_finding_fails_and_names_package_and_advisory(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    last = list(audit.pins().items())[-1]
    service.answer = lambda count: json.dumps(
        {"results": [{}] * (count - 1) + [{"vulns": [{"id": "GHSA-xxxx", "modified": "2026-01-01T00:00:00Z"}]}]}
    ).encode()
    assert audit.main(service.url) == 1
    assert f"{last[0]} {last[1]}: GHSA-xxxx" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b"[]", b'{"results": [{}]}'])
def test_a_service_that_does_not_answer_is_said_and_passes(
    service: Service, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    service.answer = lambda _count: answer
    assert audit.main(service.url) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_without_a_network_one_line_says_so_and_passes(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    url = service.url.replace(str(service.server.server_port), "1")
    assert audit.main(url) == 0
    assert capsys.readouterr().out == "not audited: 127.0.0.1:1 cannot be asked (ConnectionError)\n"
