"""The private network of local workers: they reach each other there, and nobody else reaches them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_cli.learning.distributed import own_network
from mnist_cli.learning.distributed.own_network import close_network, make_network
from tests.support import ROOT

INSIDE = """
import json, os, socket, sys
from pathlib import Path
from mnist_cli.learning.distributed.own_network import join_network

join_network(json.loads(sys.argv[1]))
door = socket.create_server(("", 20202))
socket.create_connection(("127.0.0.1", 20202)).close()
read_only = Path(sys.argv[2])
try:
    (read_only / "file").write_text("")
    wrote = True
except OSError:
    wrote = False
print(json.dumps([[name for _, name in socket.if_nameindex()], os.geteuid(), wrote]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def network() -> Iterator[list[int]]:
    """The descriptors of a network, if this system can make one."""
    made = make_network()
    if made is None:
        pytest.skip("this system gives processes no network of their own")
    yield made
    close_network(made)


def start_inside(network: list[int], read_only: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", INSIDE, json.dumps(network), str(read_only)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        pass_fds=network,
    )


def test_a_server_in_it_is_reached_from_inside_and_from_nowhere_else(network: list[int], tmp_path: Path) -> None:
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o500)
    with start_inside(network, read_only) as process:
        assert process.stdout is not None
        interfaces, user, wrote = json.loads(process.stdout.readline())
        assert "lo" in interfaces and not [name for name in interfaces if name.startswith(("eth", "en", "wl"))]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 20202), timeout=5)
        assert user == os.geteuid()
        # As before: root writes everywhere, and nobody else gets rights from a user namespace.
        assert wrote == (os.geteuid() == 0)
        process.communicate()


def test_a_system_without_it_says_none_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    monkeypatch.setattr(own_network, "_PROC", Path("/nowhere"))
    assert make_network() is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert make_network() is None
    monkeypatch.undo()
    assert open_descriptors() <= before


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()} if sys.platform == "linux" else set()
