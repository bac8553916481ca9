"""How workers meet: all of them or a time-out that names those who are missing, whatever order they come in."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mnist_cli.cli.workers import _free_addresses
from mnist_cli.errors import ConfigError, WorkerLost
from mnist_cli.learning.distributed.rendezvous import Word, listen, patience, tell

CHIEF = "chief:1"


def listening(pool: ThreadPoolExecutor, address: str, seconds: float = 30) -> Future[Word]:
    return pool.submit(listen, address, CHIEF, seconds)


@pytest.mark.parametrize("word", ["train", "rest"])
def test_every_worker_hears_the_chiefs_word(word: Word) -> None:
    addresses = _free_addresses(3)
    with ThreadPoolExecutor() as pool:
        chief = pool.submit(tell, word, addresses, 30)
        heard = [listening(pool, address) for address in addresses]
        assert [each.result() for each in heard] == [word] * 3
        chief.result()


def test_nobody_trains_before_all_are_there_and_the_missing_are_named() -> None:
    there, missing = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        heard = listening(pool, there, 2)
        with pytest.raises(WorkerLost, match=rf"within 0\.5 s; no answer from {missing}\n"):
            tell("train", [there, missing], 0.5)
        with pytest.raises(WorkerLost, match="no answer from chief:1"):
            heard.result()


def test_a_rest_is_told_to_those_who_come_even_if_others_do_not() -> None:
    there, missing = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        heard = listening(pool, there)
        with pytest.raises(WorkerLost, match=missing):
            tell("rest", [there, missing], 1)
        assert heard.result() == "rest"


def test_a_worker_that_ends_while_it_waits_is_called_again_when_it_is_back() -> None:
    first, second = _free_addresses(2)
    with ThreadPoolExecutor() as pool:
        chief = pool.submit(tell, "train", [first, second], 30)
        with socket.create_server(("", int(first.rpartition(":")[2]))) as door, door.accept()[0] as call:
            assert call.recv(100) == b"mnist chief\n"
            call.sendall(b"here\n")
        heard = [listening(pool, address) for address in (first, second)]
        assert [each.result() for each in heard] == ["train"] * 2
        chief.result()


def test_a_stranger_at_a_workers_door_is_turned_away() -> None:
    (address,) = _free_addresses(1)
    host, _, port = address.rpartition(":")
    with ThreadPoolExecutor() as pool:
        heard = listening(pool, address)
        for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"mnist chief\nhallo\n"):
            with connected(host, int(port)) as stranger:
                stranger.sendall(greeting)
                while stranger.recv(100):
                    pass
        tell("train", [address], 30)
        assert heard.result() == "train"


def connected(host: str, port: int) -> socket.socket:
    while True:
        try:
            return socket.create_connection((host, port), timeout=30)
        except ConnectionRefusedError:
            threading.Event().wait(0.02)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: expected a port for this worker that is free"):
            listen(f"127.0.0.1:{port}", CHIEF, 1)


def test_patience_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_WORKERS_PATIENCE", raising=False)
    assert patience() == 300
    monkeypatch.setenv("MNIST_WORKERS_PATIENCE", "12.5")
    assert patience() == 12.5
    for text in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("MNIST_WORKERS_PATIENCE", text)
        with pytest.raises(ConfigError, match="MNIST_WORKERS_PATIENCE: expected seconds"):
            patience()
