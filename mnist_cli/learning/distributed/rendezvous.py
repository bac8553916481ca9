"""How workers find each other before TensorFlow starts, and learn whether there is anything to train.

TensorFlow waits an hour for a missing worker and does not say which one is missing. So the workers meet first, at the
addresses that TensorFlow will use: each worker listens at its own, the chief connects to them and, once all are there,
sends them its word. Each worker acknowledges it, so the chief knows which ones have received it.

Anyone who can reach an address may connect, so both sides prove that they know the shared secret without sending it: a
proof is an HMAC with the secret over the text and over two numbers that the two sides have just drawn. Until then no
connection is waited for longer than a moment, and any number of them may be open.

    worker: mnist worker NUMBER
    chief:  NUMBER PROOF("chief")
    worker: PROOF("here")
    chief:  WORD PROOF(WORD)          once all are there
    worker: PROOF("heard")
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from mnist_cli.errors import ConfigError, WorkerLost
from mnist_cli.learning.distributed.setting import PATIENCE_VARIABLE, TOKEN_VARIABLE

# "train": TensorFlow takes over; "idle": the chief has nothing to train.
Word = Literal["train", "idle"]

_PAUSE = 0.1
_CALL = 2.0  # seconds to connect, or to answer
_CALLERS = 100  # connections that have not proved to be the chief; one more, and the oldest is closed
_LINE = 256  # bytes
_GREETING = b"mnist worker "
_FAILURES = (OSError, ValueError)  # OSError: also a timeout; ValueError: also a line that is too long
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


class _OtherSecret(Exception):
    """The other side follows the protocol but has another secret."""


@dataclass(frozen=True)
class _Call:
    """A connection between the chief and a worker.

    Attributes:
        secret: the secret that both sides know.
        numbers: the numbers drawn by the worker and by the chief for this call.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    secret: bytes
    numbers: bytes = b""

    @property
    def is_open(self) -> bool:
        """Whether the other side still waits; it sends nothing unasked."""
        return not self.reader.at_eof()

    def proof(self, text: str) -> bytes:
        """Return the proof that this side knows the secret and sends `text` in this call."""
        return hmac.digest(self.secret, text.encode() + b" " + self.numbers, "sha256").hex().encode()

    async def receive(self, seconds: float | None = _CALL) -> bytes:
        """Return the next line, without its end; empty if the other side closed the connection."""
        async with asyncio.timeout(seconds):
            return (await self.reader.readline()).removesuffix(b"\n")

    def send(self, line: bytes) -> None:
        """Send a line."""
        self.writer.write(line + b"\n")

    def check(self, text: str, proof: bytes) -> None:
        """Verify a proof.

        Raises:
            _OtherSecret: it was made with another secret.
            ValueError: it is not a proof.
        """
        if len(proof) != len(own := self.proof(text)):
            raise ValueError("no proof")
        if not hmac.compare_digest(own, proof):
            raise _OtherSecret


def announce(word: Word, addresses: Sequence[str], secret: bytes, seconds: float) -> None:
    """As the chief, connect to every other worker and send it the word.

    Args:
        word: "train" is sent once all are there, "idle" to each worker as soon as it is there.
        addresses: `host:port` of the other workers.
        secret: the secret that only the workers of this training know.
        seconds: how long to try.

    Raises:
        WorkerLost: some workers did not answer; the message names them.
    """
    asyncio.run(_announce(word, addresses, secret, seconds))


def listen(own: str, chief: str, secret: bytes, seconds: float) -> Word:
    """As any other worker, wait for the chief's word.

    Args:
        own: this worker's `host:port`; it listens on that port on every network, or only on loopback if the host is
            loopback.
        chief: the chief's `host:port`, for the message.
        secret: the secret that only the workers of this training know.
        seconds: how long to wait.

    Raises:
        ConfigError: the port is in use.
        WorkerLost: the chief did not connect.
    """
    try:
        server = _server_socket(own)
    except (OSError, OverflowError) as error:
        raise ConfigError([f"{own}: expected a free port for this worker; received: {error}"]) from error
    with server:
        return asyncio.run(_listen(server, chief, secret, seconds))


async def _announce(word: Word, addresses: Sequence[str], secret: bytes, seconds: float) -> None:
    end = time.monotonic() + seconds
    calls: dict[str, _Call] = {}
    missing, is_other_secret = list(addresses), False
    try:
        while missing:
            for address in [address for address, call in calls.items() if not call.is_open]:
                calls.pop(address).writer.close()
            new = [address for address in missing if address not in calls]
            for address, call in zip(new, await asyncio.gather(*(_call(each, secret) for each in new)), strict=True):
                if isinstance(call, _Call):
                    calls[address] = call
                is_other_secret |= call is _OtherSecret
            if word == "idle" or len(calls) == len(missing):
                there = [each for each in missing if each in calls]
                results = await asyncio.gather(*(_delivers(calls.pop(each), word) for each in there))
                done = [address for address, is_delivered in zip(there, results, strict=True) if is_delivered]
                missing = [address for address in missing if address not in done]
            if missing and time.monotonic() > end:
                raise _absent([each for each in missing if each not in calls], seconds, is_other_secret)
            if missing:
                await asyncio.sleep(_PAUSE)
    finally:
        for call in calls.values():
            call.writer.close()


async def _call(address: str, secret: bytes) -> _Call | type[_OtherSecret] | None:
    """Return a connection to a listening worker; `_OtherSecret` if its secret differs, None if there is no worker."""
    host, _, port = address.rpartition(":")
    writer: asyncio.StreamWriter | None = None
    result: type[_OtherSecret] | None = None
    try:
        async with asyncio.timeout(_CALL):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=_LINE)
        greeting = await _Call(reader, writer, secret).receive()
        own = secrets.token_hex(16).encode()
        call = _Call(reader, writer, secret, greeting.removeprefix(_GREETING) + b" " + own)
        if not greeting.startswith(_GREETING):
            raise ValueError("no greeting")
        call.send(own + b" " + call.proof("chief"))
        call.check("here", await call.receive())
        return call
    except _OtherSecret:
        result = _OtherSecret
    except (*_FAILURES, OverflowError):  # no such host or port, no answer, or not a worker
        pass
    if writer is not None:
        writer.close()
    return result


async def _delivers(call: _Call, word: Word) -> bool:
    """Send the word; return whether the worker acknowledged it."""
    try:
        call.send(word.encode() + b" " + call.proof(word))
        call.check("heard", await call.receive())
        return True
    except (*_FAILURES, _OtherSecret):
        return False
    finally:
        call.writer.close()


async def _listen(server_socket: socket.socket, chief: str, secret: bytes, seconds: float) -> Word:
    received: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
    unproved: list[asyncio.StreamWriter] = []
    is_other_secret = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_other_secret
        unproved.append(writer)
        if len(unproved) > _CALLERS:
            unproved.pop(0).transport.abort()
        try:
            call = await _chief_at(reader, writer, secret)
            unproved.remove(writer)
            word, _, proof = (await call.receive(None)).partition(b" ")
            if word.decode() in get_args(Word):
                call.check(word.decode(), proof)
                call.send(call.proof("heard"))
                if not received.done():
                    received.set_result(cast(Word, word.decode()))
        except _OtherSecret:
            is_other_secret = True
        except _FAILURES:
            pass  # a timeout, a closed connection, or not the chief
        finally:
            with contextlib.suppress(ValueError):
                unproved.remove(writer)
            writer.close()

    server = await asyncio.start_server(serve, sock=server_socket, limit=_LINE)
    try:
        async with asyncio.timeout(seconds):
            return await received
    except TimeoutError:
        raise _absent([chief], seconds, is_other_secret) from None
    finally:
        server.close()


async def _chief_at(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: bytes) -> _Call:
    """Greet a caller; return the call if it is the chief's."""
    own = secrets.token_hex(16).encode()
    opened = _Call(reader, writer, secret)
    opened.send(_GREETING + own)
    number, _, proof = (await opened.receive()).partition(b" ")
    call = _Call(reader, writer, secret, own + b" " + number)
    call.check("chief", proof)
    call.send(call.proof("here"))
    return call


def _server_socket(own: str) -> socket.socket:
    host, _, port = own.rpartition(":")
    if host in _LOOPBACK:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_CALLERS)
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # the C library knows IPv6, but the kernel has it switched off
            return socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_CALLERS)
    return socket.create_server(("", int(port)), backlog=_CALLERS)


def _absent(addresses: Sequence[str], seconds: float, is_other_secret: bool) -> WorkerLost:
    other = f"\na worker that did answer has another {TOKEN_VARIABLE} or list of workers" if is_other_secret else ""
    return WorkerLost(
        f"expected every worker to start within {seconds:g} s; no answer from {', '.join(addresses)}{other}",
        hint=f"start all workers, with the same addresses; set {PATIENCE_VARIABLE}=SECONDS to wait longer",
    )
