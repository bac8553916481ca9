"""Download one file from a web mirror into a partial file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import requests

from mnist_cli import __version__
from mnist_cli.sources import answers, proxies
from mnist_cli.sources.connecting import Adapter
from mnist_cli.sources.exchange import Exchange
from mnist_cli.sources.failures import MirrorError, ProxyError, RangeError, TransientError
from mnist_cli.sources.identify import description_of, page_or_pointer
from mnist_cli.sources.mirrors import WebMirror
from mnist_cli.sources.partial import PartialFile
from mnist_cli.sources.proxies import Proxy
from mnist_cli.sources.time_limits import SpeedGauge, TimeLimits

T = TypeVar("T")

TRIES = 3
MAX_REDIRECTS = 5
# A try that brought this many bytes before it broke off does not count: the connection is bad, but it works.
_WORTHWHILE = 1 << 16


class _Session(requests.Session):
    """Leaves redirects to us: requests would first read the whole body of a redirect, however long."""

    def get_redirect_target(self, _resp: requests.Response) -> None:
        """Return None: treat no answer as a redirect."""
        return


class WebClient:
    """Sends the requests of one fetch and counts them.

    Attributes:
        requests: number of requests sent, including redirects.
        bytes_received: number of bytes of bodies received.
    """

    def __init__(self, time_limits: TimeLimits) -> None:
        self.time_limits = time_limits
        self.requests = 0
        self.bytes_received = 0
        # Proxy → why it would refuse every other mirror too.
        self._refusing: dict[Proxy, ProxyError] = {}
        self._session = _Session()
        # Otherwise requests sends passwords from ~/.netrc to mirrors and to their redirects. We look up proxies and
        # certificates, which it would also take from the environment, ourselves.
        self._session.trust_env = False
        adapter = Adapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        self._session.headers["User-Agent"] = f"mnist-cli/{__version__} (+python-requests/{requests.__version__})"
        # The pinned digest is that of the file itself: nothing may compress or unpack it on the way.
        self._session.headers["Accept-Encoding"] = "identity"

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()

    @contextlib.contextmanager
    def get(
        self, mirror: WebMirror, file_name: str, offset: int, limit: int
    ) -> Iterator[tuple[Exchange, requests.Response]]:
        """Request a file from byte `offset` on and follow redirects; yield the exchange and its head.

        Args:
            mirror: the mirror.
            file_name: the name of the file.
            offset: position of the first byte wanted.
            limit: the most bytes of the body to read.

        Raises:
            MirrorError: there is no answer, or a redirect must not be followed.
            DeadlineExceeded: the time is up.
        """
        url = first = mirror.url(file_name)
        for _ in range(MAX_REDIRECTS + 1):
            # The target of a redirect gets no password that was meant for the mirror.
            elsewhere = self._session.should_strip_auth(first, url)  # type: ignore[no-untyped-call]
            auth = None if elsewhere else mirror.auth
            proxy = self._proxy(url)
            with self._exchange(url, auth, proxy, offset, limit) as exchange:
                head = self._head(exchange, url, proxy)
                target = answers.redirect_target(url, head)
                if target is None:
                    yield exchange, head
                    return
            url = target
        raise MirrorError(f"redirects more than {MAX_REDIRECTS} times")

    def take(self, receive: Callable[[float], T], limit: float) -> T:
        """Wait for a part of an exchange.

        Raises:
            MirrorError: it does not come within `limit` seconds.
            DeadlineExceeded: the time is up.
        """
        try:
            return self.time_limits.wait(receive, limit)
        except TimeoutError:
            raise answers.silence(limit) from None

    def block(self, exchange: Exchange) -> bytes:
        """Return the next bytes of a body, empty at its end, and count them."""
        block = self.take(exchange.block, self.time_limits.timeout)
        self.bytes_received += len(block)
        return block

    def _proxy(self, url: str) -> Proxy | None:
        """Return the proxy for an address; raise if it refuses all mirrors or cannot be used."""
        proxy = proxies.proxy_for(url)
        if proxy in self._refusing:
            refused = self._refusing[proxy]
            raise ProxyError(refused.reason, refused.hint or "", for_all=True)
        return proxy

    def _head(self, exchange: Exchange, url: str, proxy: Proxy | None) -> requests.Response:
        """Return status and headers of an answer; raise if it is a proxy's refusal."""
        try:
            # Connecting and answering may each take `timeout`, which the library limits; the sum limits the rest.
            head = self.take(exchange.head, 2 * self.time_limits.timeout)
            if proxy and url.startswith("http:") and (refused := proxies.refusal(proxy, head.status_code)):
                raise refused
        except ProxyError as error:
            if proxy and error.for_all:
                self._refusing[proxy] = error.with_traceback(None)
            raise
        return head

    def _exchange(
        self, url: str, auth: tuple[str, str] | None, proxy: Proxy | None, offset: int, limit: int
    ) -> Exchange:
        self.requests += 1
        timeout = self.time_limits.timeout
        send = functools.partial(
            self._session.get,
            url,
            headers={"Range": f"bytes={offset}-"} if offset else {},
            # requests encodes as Latin-1, but servers expect UTF-8.
            auth=auth and (auth[0].encode().decode("latin-1"), auth[1].encode().decode("latin-1")),
            timeout=(timeout, timeout),
            proxies={"all": proxy.address} if proxy else {},
            allow_redirects=False,
            stream=True,
        )
        return Exchange(send, limit, timeout, lambda error: proxies.failure(error, proxy) if proxy else None)


class WebDownload:
    """Downloads one file from one web mirror, in as many tries as make sense.

    Args:
        client: sends the requests.
        mirror: the mirror.
        partial: the target.
        report: called with the number of bytes received.
        is_last: whether no other mirror can take over if this one would miss the deadline.
    """

    def __init__(
        self,
        client: WebClient,
        mirror: WebMirror,
        partial: PartialFile,
        report: Callable[[int], None],
        *,
        is_last: bool,
    ) -> None:
        self._client = client
        self._mirror = mirror
        self._partial = partial
        self._report = report
        self._is_last = is_last
        self._started_over = False

    def run(self) -> None:
        """Download until the partial file is complete and verified.

        Raises:
            MirrorError: this mirror does not provide the file. Bytes that may be right stay in the partial file.
            DeadlineExceeded: the time is up.
            OSError: the partial file cannot be written.
        """
        tries = 0
        while True:
            before = self._partial.size()
            try:
                self._once()
                return
            except TransientError as error:
                tries = 1 if self._partial.size() - before >= _WORTHWHILE else tries + 1
                # Not the error itself, whose traceback would keep this connection open.
                reason, retry_after = error.reason, error.retry_after
            if tries == TRIES or not self._client.time_limits.pause(tries, retry_after):
                raise MirrorError(f"{reason} ({tries} of {TRIES} tries)", down=True)

    def _once(self) -> None:
        try:
            self._complete()
        except RangeError:
            if self._started_over:
                raise
            # Either this mirror cannot resume, or the earlier bytes are damaged; starting over shows which.
            self._started_over = True
            self._partial.cut(0)
            self._report(0)
            self._complete()

    def _complete(self) -> None:
        """Download what is missing, and verify the file."""
        wanted = self._partial.wanted
        before = self._partial.size()
        if before < wanted.size:
            self._receive(before)
        if self._partial.is_right():
            return
        reason = f"sends {description_of(self._partial.path, wanted)}"
        self._partial.cut(0)
        raise RangeError(reason) if before else MirrorError(reason)

    def _receive(self, before: int) -> None:
        size = self._partial.wanted.size
        # Reading one byte too many is enough to notice a body that is too long.
        with self._client.get(self._mirror, self._partial.wanted.name, before, size + 1) as (exchange, head):
            begin = answers.first_byte(head, before, size)
            block = self._client.block(exchange)
            stand_in = None if begin else page_or_pointer(block)
            if stand_in:
                raise MirrorError(f"sends {stand_in}")
            answers.check_length(head, size - begin)
            end = self._write(exchange, block, begin)
        if end == size:
            return
        if end < size and not answers.declares_its_end(head):
            raise TransientError(f"the connection broke off after {end:,} of {size:,} bytes")
        self._partial.cut(begin)
        raise answers.wrong_length(
            head, f"{end - begin:,}" if end < size else f"more than {size - begin:,}", size - begin
        )

    def _write(self, exchange: Exchange, block: bytes, begin: int) -> int:
        """Write the body, which begins with `block`, and return the position after its last byte."""
        size = self._partial.wanted.size
        gauge = SpeedGauge(self._client.time_limits, None if self._is_last else size - begin)
        position = begin
        with self._partial.append_from(begin) as file:
            while block := block[: size + 1 - position]:
                file.write(block)
                position += len(block)
                self._report(min(position, size))
                gauge.add(len(block))
                block = self._client.block(exchange)
        return position
