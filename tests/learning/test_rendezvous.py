"""How workers find each other: all of them, or a timeout that names the missing ones, whoever else connects."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from mnist_cli.cli.workers import _free_addresses
from mnist_cli.errors import ConfigError, WorkerLost
from mnist_cli.learning.distributed.rendezvous import Word, announce, listen
from mnist_cli.learning.distributed.setting import patience, shared_secret

CHIEF = "chief:1"
SECRET = b"known to the workers alone"


def listening(pool: ThreadPoolExecutor, address: str, seconds: float = 30) -> Future[Word]:
    return pool.submit(listen, address, CHIEF, SECRET, seconds)


@contextmanager
def calling(address: str) -> Iterator[socket.socket]:
    """Call a worker as soon as it listens."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            call = socket.create_connection((host, int(port)), timeout=30)
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.02)
    with call:
        yield call


@pytest.mark.parametrize("word", ["train", "idle"])
def test_every_worker_receives_the_chiefs_word(word: Word) -> None:
    addresses = _free_addresses(3)
    with ThreadPoolExecutor() as pool:
        chief = pool.submit(announce, word, addresses, SECRET, 30)
        received = [listening(pool, address) for address in addresses]
        assert [each.result() for each in received] == [word] * 3
        chief.result()


def test_no_worker_trains_before_all_are_there_and_the_missing_are_named() -> None:
    there, missing = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        received = listening(pool, there, 2)
        with pytest.raises(WorkerLost, match=rf"within 0\.5 s; no answer from {missing}\nhint"):
            announce("train", [there, missing], SECRET, 0.5)
        with pytest.raises(WorkerLost, match="no answer from chief:1"):
            received.result()


def test_workers_that_connect_are_dismissed_even_if_others_do_not() -> None:
    there, missing = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        received = listening(pool, there)
        with pytest.raises(WorkerLost, match=missing):
            announce("idle", [there, missing], SECRET, 1)
        assert received.result() == "idle"


def test_a_worker_that_ends_while_it_waits_is_called_again_when_it_is_back() -> None:
    first, second = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        chief = pool.submit(announce, "train", [first, second], SECRET, 30)
        with pytest.raises(WorkerLost):
            listen(first, CHIEF, SECRET, 0.7)  # the chief finds it there, and then not
        received = [listening(pool, address) for address in (first, second)]
        assert [each.result() for each in received] == ["train"] * 2
        chief.result()


@pytest.mark.parametrize(
    "says",
    [b"GET / HTTP/1.1\r\n\r\n", b"mnist chief\nidle\n", b"idle\n", b"x" * 5000, b"00 " + b"0" * 64 + b"\nidle\n", b""],
    ids=["http", "old", "idle", "long", "proof", "hangs-up"],
)
def test_whatever_a_stranger_sends_to_a_worker_changes_nothing(says: bytes) -> None:
    (address,) = _free_addresses(1)
    with ThreadPoolExecutor() as pool:
        received = listening(pool, address)
        with calling(address) as stranger:
            stranger.sendall(says)
            stranger.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: _received(stranger), b""))
        assert answer.startswith(b"mnist worker ") and answer.count(b"\n") == 1
        assert not received.done()
        announce("train", [address], SECRET, 30)
        assert received.result() == "train"


def _received(call: socket.socket) -> bytes:
    try:
        return call.recv(1000)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("count", [1, 40, 250])
def test_strangers_who_are_silent_do_not_keep_the_chief_waiting(count: int) -> None:
    (address,) = _free_addresses(1)
    with ThreadPoolExecutor() as pool, ExitStack() as strangers:
        received = listening(pool, address)
        for _ in range(count):
            strangers.enter_context(calling(address))
        started = time.monotonic()
        announce("train", [address], SECRET, 30)
        assert time.monotonic() - started < 5
        assert received.result() == "train"


def test_a_recorded_conversation_means_nothing_when_it_is_replayed() -> None:
    address, relayed = _free_addresses(2)
    said: list[bytes] = []
    with ThreadPoolExecutor() as pool:
        received = listening(pool, address)

        def listen_in() -> None:
            """Stand between the chief and a worker, and record what the chief sends."""
            port = int(relayed.rpartition(":")[2])
            with (
                socket.create_server(("127.0.0.1", port)) as door,
                door.accept()[0] as chief,
                calling(address) as worker,
            ):
                while line := worker.recv(1000):
                    chief.sendall(line)
                    said.append(chief.recv(1000))
                    worker.sendall(said[-1])

        between = pool.submit(listen_in)
        announce("idle", [relayed], SECRET, 30)
        assert received.result() == "idle"
        between.result()
        assert any(line.startswith(b"idle ") for line in said)
        again = listening(pool, address)
        with calling(address) as stranger:
            stranger.sendall(b"".join(said))
            while _received(stranger):
                pass
        assert not again.done()
        announce("train", [address], SECRET, 30)
        assert again.result() == "train"


def test_a_stranger_at_the_place_of_a_worker_is_not_taken_for_it() -> None:
    address, other = _free_addresses(2)
    with ThreadPoolExecutor() as pool, socket.create_server(("127.0.0.1", int(other.rpartition(":")[2]))) as silent:
        silent.listen(50)
        received = listening(pool, address, 6)
        with pytest.raises(WorkerLost, match=f"no answer from {other}"):
            announce("train", [address, other], SECRET, 3)
        with pytest.raises(WorkerLost):
            received.result()


def test_another_token_is_reported_on_both_sides() -> None:
    (address,) = _free_addresses(1)
    with ThreadPoolExecutor() as pool:
        received = listening(pool, address, 2)
        with pytest.raises(WorkerLost, match=f"no answer from {address}"):
            announce("train", [address], b"another", 1)
        with pytest.raises(WorkerLost, match="has another MNIST_WORKERS_TOKEN or list of workers"):
            received.result()


def test_the_token_is_the_secret_and_without_it_the_list_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_WORKERS_TOKEN", raising=False)
    assert shared_secret(["a:1", "b:1"]) != shared_secret(["a:1", "c:1"])
    monkeypatch.setenv("MNIST_WORKERS_TOKEN", "token")
    assert shared_secret(["a:1", "b:1"]) == shared_secret(["a:1", "c:1"]) == b"token"


def test_a_worker_on_loopback_listens_nowhere_else() -> None:
    (address,) = _free_addresses(1)
    other = f"127.0.0.2:{address.rpartition(':')[2]}"
    with ThreadPoolExecutor() as pool:
        received = listening(pool, address)
        with calling(address), pytest.raises(ConnectionRefusedError):
            socket.create_connection((other.rpartition(":")[0], int(other.rpartition(":")[2])), timeout=5)
        announce("idle", [address], SECRET, 30)
        received.result()


def test_a_port_that_is_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: expected a free port for this worker"):
            listen(f"127.0.0.1:{port}", CHIEF, SECRET, 1)


def test_patience_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_WORKERS_PATIENCE", raising=False)
    assert patience() == 300
    monkeypatch.setenv("MNIST_WORKERS_PATIENCE", "12.5")
    assert patience() == 12.5
    for text in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("MNIST_WORKERS_PATIENCE", text)
        with pytest.raises(ConfigError, match="MNIST_WORKERS_PATIENCE: expected seconds"):
            patience()
