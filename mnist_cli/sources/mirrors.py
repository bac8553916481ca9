"""Parse mirrors: web addresses, file:// addresses or folders, and the part of them that may be shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from mnist_cli.errors import UsageError
from mnist_cli.text import printable

_HINT = "a mirror is http://…, https://…, file:///… or a folder"
# A folder may be called `a:b`; text with :// after a word, or with one of our schemes first, is an address.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|(?:https?|file):", re.IGNORECASE)

# In single or double quotes, or without spaces; a backslash is itself, as in the paths of Windows.
_LISTED = re.compile(r"""'([^']+)'(?!\S)|"([^"]+)"(?!\S)|(\S+)""")


@dataclass(frozen=True, slots=True)
class FolderMirror:
    """A folder that holds the files.

    Attributes:
        name: its name in messages.
        folder: its path.
    """

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class WebMirror:
    """A web address below which the files are.

    Attributes:
        name: its name in messages: without user, password and query, which may be secrets.
        base: scheme, host and path, ending with a slash.
        query: what comes after `?` for every file (a signature, for example), or empty.
        auth: user and password, or None.
    """

    name: str
    base: str
    query: str = field(default="", repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)

    def url(self, file_name: str) -> str:
        """Return the address of a file, with the query and without user and password."""
        return self.base + quote(file_name) + (f"?{self.query}" if self.query else "")


Mirror = FolderMirror | WebMirror


def listed_mirrors(text: str) -> tuple[str, ...]:
    """Return the mirrors in a value of MNIST_MIRRORS: separated by spaces, with quotes around names with spaces.

    Raises:
        UsageError: a quote is not closed.
    """
    found = [next(filter(None, groups), "") for groups in _LISTED.findall(text)]
    if any(mirror[:1] in ("'", '"') for mirror in found):
        raise UsageError("MNIST_MIRRORS: a quote is not closed", hint="write \"'/my folder' https://…\"")
    return tuple(found)


def shared_cache() -> Path | None:
    """Return the folder of shared downloads that MNIST_CACHE names, or None if it is not set.

    Raises:
        UsageError: it names a home folder that does not exist.
    """
    named = os.environ.get("MNIST_CACHE")
    return _home_expanded(named, "MNIST_CACHE") if named else None


def parse_mirror(text: str) -> Mirror:
    """Read a mirror that a user gave.

    Args:
        text: http://…, https://…, file://…, or the path of a folder, where `~` is the home folder.

    Raises:
        UsageError: it is not one of these.
    """
    if not text.strip() or "\0" in text:
        received = "a null character" if "\0" in text else "nothing"  # the rest may be a secret
        raise UsageError(f"mirror: expected an address or a folder; received {received}", hint=_HINT)
    if not _ADDRESS.match(text):
        return FolderMirror(printable(text), _home_expanded(text))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The reason that urlsplit gives may quote the password, and so may the address.
        raise UsageError("mirror: the address is malformed (host or port)", hint=_HINT) from None
    if parts.scheme == "file":
        return _file_mirror(parts)
    shown = _shown(parts, host, port)
    if parts.scheme not in ("http", "https"):
        raise UsageError(f"mirror {shown}: {printable(parts.scheme, 20)}:// is not supported", hint=_HINT)
    if not host:
        raise UsageError(f"mirror {shown}: the address names no host", hint=_HINT)
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return WebMirror(shown, f"{parts.scheme}://{_place(host, port)}{path}", parts.query, auth)


def shown_address(url: str) -> str:
    """Return an address from outside without user, password, query and control characters."""
    try:
        parts = urlsplit(url)
        return _shown(parts, parts.hostname, parts.port)
    except ValueError:
        return "a malformed address"


def _file_mirror(parts: SplitResult) -> FolderMirror:
    if parts.hostname not in (None, "localhost"):
        raise UsageError(
            f"mirror file://{printable(parts.hostname)}{printable(parts.path)}: "
            "expected no host, as in file:///absolute/folder",
            hint=_HINT,
        )
    path = unquote(parts.path)
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"mirror file:{printable(path)}: expected file:///absolute/folder", hint=_HINT)
    return FolderMirror(f"file://{printable(parts.path)}", Path(path))


def _home_expanded(text: str, what: str = "mirror") -> Path:
    if not text.startswith("~"):
        return Path(text)  # also `./~x`, which Path would turn into `~x`
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{what} {printable(text)}: there is no such home folder", hint=_HINT) from None


def _shown(parts: SplitResult, host: str | None, port: int | None) -> str:
    return printable(f"{parts.scheme}://{_place(host or '', port)}{parts.path}")


def _place(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
