"""Interpret a web server's answer, or the lack of one, for a download."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from mnist_cli.errors import causes
from mnist_cli.sources import certificates
from mnist_cli.sources.failures import MirrorError, RangeError, TransientError
from mnist_cli.sources.mirrors import shown_address
from mnist_cli.text import printable

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# OpenSSL's numbers for a certificate of an unknown authority, and for one that is not yet or no longer valid.
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
_WRONG_TIME = (9, 10)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)


def failure(error: Exception, timeout: float) -> Exception:
    """Return the failure that an error of the HTTP library means; other errors are returned unchanged.

    The library's own texts are not used: they quote bytes from the server, and addresses with queries that may be
    secrets.
    """
    known = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
    if not isinstance(error, known):
        return error
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return MirrorError(f"TLS failure: {_cause(error)}", down=True, hint=_tls_hint(error))
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return MirrorError(f"no connection within {timeout:g} s", down=True)
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return silence(timeout)
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.HTTPError | http.client.HTTPException):
        return TransientError(_cause(error))
    return MirrorError(f"the request failed ({type(error).__name__})", down=True)


def silence(timeout: float) -> MirrorError:
    """Return the failure of a server that stays silent; a second try would take as long, so there is none."""
    return MirrorError(f"no answer within {timeout:g} s", down=True)


def redirect_target(url: str, answer: requests.Response) -> str | None:
    """Return the target of a redirect in an answer to `url`, or None if it is not a redirect.

    Raises:
        MirrorError: the redirect must not be followed: from https to http, or to anything but the web.
    """
    if answer.status_code not in _REDIRECTS:
        return None
    location = answer.headers.get("Location")
    if not location:
        raise MirrorError(f"{status_text(answer.status_code)} without a Location")
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        scheme, _port = parts.scheme, parts.port  # a bad port raises only when it is read
    except ValueError:
        raise MirrorError("redirects to a malformed address") from None
    if scheme not in ("http", "https"):
        raise MirrorError(f"redirects to {printable(scheme, 20)}://, which is not followed")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise MirrorError(f"redirects from https to {shown_address(target)}, which is not followed")
    return target


def first_byte(answer: requests.Response, offset: int, size: int) -> int:
    """Return the position in the file of the first byte of the body, if the answer is a good one.

    Args:
        answer: the answer, redirects followed.
        offset: the requested start in the file; 0 if the request had no Range.
        size: the length of the whole file in bytes.

    Returns:
        `offset`, or 0 if the server sends the whole file.

    Raises:
        RangeError: the server cannot or does not send the file from `offset` on.
        TransientError: the server asks to retry later.
        MirrorError: any other refusal.
    """
    status = answer.status_code
    if status == HTTPStatus.OK:
        return 0
    if not offset or status not in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        _refuse(answer)
    if status != HTTPStatus.PARTIAL_CONTENT:
        raise RangeError(status_text(status))
    header = answer.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if not match or match[1] != str(offset) or match[2] != str(size - 1) or match[3] not in (str(size), "*"):
        raise RangeError(
            f"sends the range {printable(repr(header), 60)}; expected 'bytes {offset}-{size - 1}/{size}'",
        )
    return offset


def check_length(answer: requests.Response, expected: int) -> None:
    """Check that a body does not declare another length than `expected` bytes.

    Raises:
        MirrorError: it declares another length.
    """
    declared = answer.headers.get("Content-Length", "").strip()
    if declared.isascii() and declared.isdigit() and declared.lstrip("0") != str(expected):
        raise wrong_length(answer, f"{int(declared[:15]):,}", expected)


def wrong_length(answer: requests.Response, received: str, expected: int) -> MirrorError:
    """Return the failure of a body of the wrong length, `received` bytes."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    why = "" if encoding == "identity" else f" (Content-Encoding: {printable(encoding, 40)})"
    return MirrorError(f"sends {received} bytes, expected {expected:,}{why}")


def declares_its_end(answer: requests.Response) -> bool:
    """Return whether the end of the body can be distinguished from a broken connection."""
    return "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers


def status_text(status: int) -> str:
    """Return `HTTP 404 Not Found`, in the words of the standard, never the server's."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def retry_after(answer: requests.Response) -> float | None:
    """Return how many seconds a server asks to wait, or None if it gives no clear number.

    A date is compared with the server's own, so our clock need not be right.
    """
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, wait.total_seconds())


def _refuse(answer: requests.Response) -> NoReturn:
    status = answer.status_code
    if status not in (408, 429) and status < 500:
        raise MirrorError(status_text(status))
    wait = retry_after(answer)
    asks = "" if wait is None else f", asks to wait {wait:,.0f} s"
    raise TransientError(status_text(status) + asks, retry_after=wait)


def _cause(error: BaseException) -> str:
    """Return the root cause of an error, in words without an address."""
    for cause in reversed(list(causes(error))):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return printable(cause.verify_message.rstrip("."))
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return printable(cause.reason.replace("_", " ").lower())
        if isinstance(cause, socket.gaierror):
            return "host name not found"
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return printable(cause.strerror)
    return "the connection broke off"


def _tls_hint(error: BaseException) -> str | None:
    codes = [cause.verify_code for cause in causes(error) if isinstance(cause, ssl.SSLCertVerificationError)]
    if any(code in _UNKNOWN_AUTHORITY for code in codes):
        return certificates.HINT
    return "check the clock of this machine" if any(code in _WRONG_TIME for code in codes) else None
