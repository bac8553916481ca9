"""How the workers of a training find each other before TensorFlow does, and hear whether there is anything to train.

TensorFlow waits an hour for a worker that never comes and does not say which one. So they meet first, at the addresses
at which TensorFlow will listen: each worker listens at its own, the chief calls them and, when all are there, tells
them its word. Each answers, so that the chief knows who has heard it.

Whoever can reach an address may call it, so both sides show that they know the shared secret, and neither says it: a
proof is its HMAC over what is said and over two numbers that each side has just drawn. Nobody is waited for longer than
a moment until then, and any number of callers at once.

    worker: mnist worker NUMBER
    chief:  NUMBER PROOF("chief")
    worker: PROOF("here")
    chief:  WORD PROOF(WORD)          when all are there
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

# "train": TensorFlow takes over; "rest": the chief has nothing to train.
Word = Literal["train", "rest"]

_PAUSE = 0.1
_CALL = 2.0  # seconds to connect, or to answer
_CALLERS = 100  # who have not proved yet that they are the chief; one more, and the oldest is turned away
_LINE = 256  # bytes
_GREETING = b"mnist worker "
_FAILURES = (OSError, ValueError)  # a time-out is an OSError; ValueError: a line that is too long
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


class _OtherSecret(Exception):
    """The other side speaks as a worker does, and does not know the secret."""


@dataclass(frozen=True)
class _Call:
    """A connection between the chief and a worker.

    Attributes:
        secret: what both know.
        numbers: drawn by the worker and by the chief, for this call alone.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    secret: bytes
    numbers: bytes = b""

    @property
    def is_open(self) -> bool:
        """Whether the other side still waits: it does not speak without being spoken to."""
        return not self.reader.at_eof()

    def proof(self, text: str) -> bytes:
        """Return what shows that this side knows the secret and says `text`, in this call."""
        return hmac.digest(self.secret, text.encode() + b" " + self.numbers, "sha256").hex().encode()

    async def hear(self, seconds: float | None = _CALL) -> bytes:
        """Return the next line, without its end; nothing where the other side hung up."""
        async with asyncio.timeout(seconds):
            return (await self.reader.readline()).removesuffix(b"\n")

    def say(self, line: bytes) -> None:
        """Send a line."""
        self.writer.write(line + b"\n")

    def check(self, text: str, proof: bytes) -> None:
        """Compare a proof.

        Raises:
            _OtherSecret: it is another one.
            ValueError: it is none.
        """
        if len(proof) != len(own := self.proof(text)):
            raise ValueError("no proof")
        if not hmac.compare_digest(own, proof):
            raise _OtherSecret


def tell(word: Word, addresses: Sequence[str], secret: bytes, seconds: float) -> None:
    """As the chief, call every other worker and tell them the word.

    Args:
        word: "train" is told when all are there, "rest" to each as it comes.
        addresses: the others' `host:port`.
        secret: what all workers of this training know, and nobody else.
        seconds: how long to try.

    Raises:
        WorkerLost: some did not answer; names them.
    """
    asyncio.run(_tell(word, addresses, secret, seconds))


def listen(own: str, chief: str, secret: bytes, seconds: float) -> Word:
    """As another worker, wait for the chief's word.

    Args:
        own: this worker's `host:port`; it listens on that port on every network, or on loopback where host is that.
        chief: the chief's, for the message.
        secret: what all workers of this training know, and nobody else.
        seconds: how long to wait.

    Raises:
        ConfigError: the port is taken.
        WorkerLost: the chief did not call.
    """
    try:
        door = _door(own)
    except (OSError, OverflowError) as error:
        raise ConfigError([f"{own}: expected a port for this worker that is free; received: {error}"]) from error
    with door:
        return asyncio.run(_listen(door, chief, secret, seconds))


async def _tell(word: Word, addresses: Sequence[str], secret: bytes, seconds: float) -> None:
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
            if word == "rest" or len(calls) == len(missing):
                there = [each for each in missing if each in calls]
                told = await asyncio.gather(*(_is_told(calls.pop(each), word) for each in there))
                done = [address for address, is_told in zip(there, told, strict=True) if is_told]
                missing = [address for address in missing if address not in done]
            if missing and time.monotonic() > end:
                raise _absent([each for each in missing if each not in calls], seconds, is_other_secret)
            if missing:
                await asyncio.sleep(_PAUSE)
    finally:
        for call in calls.values():
            call.writer.close()


async def _call(address: str, secret: bytes) -> _Call | type[_OtherSecret] | None:
    """Return a connection to a worker that listens; `_OtherSecret` if it has one, None if there is no worker."""
    host, _, port = address.rpartition(":")
    writer: asyncio.StreamWriter | None = None
    result: type[_OtherSecret] | None = None
    try:
        async with asyncio.timeout(_CALL):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=_LINE)
        greeting = await _Call(reader, writer, secret).hear()
        own = secrets.token_hex(16).encode()
        call = _Call(reader, writer, secret, greeting.removeprefix(_GREETING) + b" " + own)
        if not greeting.startswith(_GREETING):
            raise ValueError("no greeting")
        call.say(own + b" " + call.proof("chief"))
        call.check("here", await call.hear())
        return call
    except _OtherSecret:
        result = _OtherSecret
    except (*_FAILURES, OverflowError):  # no such name, no such port, nobody there, silence, or somebody else
        pass
    if writer is not None:
        writer.close()
    return result


async def _is_told(call: _Call, word: Word) -> bool:
    try:
        call.say(word.encode() + b" " + call.proof(word))
        call.check("heard", await call.hear())
        return True
    except (*_FAILURES, _OtherSecret):
        return False
    finally:
        call.writer.close()


async def _listen(door: socket.socket, chief: str, secret: bytes, seconds: float) -> Word:
    said: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
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
            word, _, proof = (await call.hear(None)).partition(b" ")
            if word.decode() in get_args(Word):
                call.check(word.decode(), proof)
                call.say(call.proof("heard"))
                if not said.done():
                    said.set_result(cast(Word, word.decode()))
        except _OtherSecret:
            is_other_secret = True
        except _FAILURES:
            pass  # silence, gone, or somebody else
        finally:
            with contextlib.suppress(ValueError):
                unproved.remove(writer)
            writer.close()

    server = await asyncio.start_server(serve, sock=door, limit=_LINE)
    try:
        async with asyncio.timeout(seconds):
            return await said
    except TimeoutError:
        raise _absent([chief], seconds, is_other_secret) from None
    finally:
        server.close()


async def _chief_at(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: bytes) -> _Call:
    """Greet a caller; return the call if it is the chief."""
    own = secrets.token_hex(16).encode()
    opened = _Call(reader, writer, secret)
    opened.say(_GREETING + own)
    number, _, proof = (await opened.hear()).partition(b" ")
    call = _Call(reader, writer, secret, own + b" " + number)
    call.check("chief", proof)
    call.say(call.proof("here"))
    return call


def _door(own: str) -> socket.socket:
    host, _, port = own.rpartition(":")
    if host in _LOOPBACK:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_CALLERS)
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # known to the C library, but switched off in the kernel
            return socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_CALLERS)
    return socket.create_server(("", int(port)), backlog=_CALLERS)


def _absent(addresses: Sequence[str], seconds: float, is_other_secret: bool) -> WorkerLost:
    other = f"\none that did answer has another {TOKEN_VARIABLE} or list of workers" if is_other_secret else ""
    return WorkerLost(
        f"expected every worker to start within {seconds:g} s; no answer from {', '.join(addresses)}{other}",
        hint=f"start all workers, with the same addresses; {PATIENCE_VARIABLE}=SECONDS waits longer",
    )
