"""Content digests of artifacts and of a user's own data, cached by size, modification time and inode.

The digest of an HDF5 file covers the data in it (mnist_cli/formats/hdf5.py), that of a gzip file its unpacked content,
and that of any other file its bytes.
A file whose size, time and inode match the cache is not read again. That makes `mnist status` quick, and it is all that
`mnist status` trusts. A lost or damaged cache only means that files are read again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.formats.byte_stream import content_digest

_NAME = ".digests.json"


class DigestCache:
    """The digests of files below one folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changed = False
        self._entries: dict[str, Any] | None = None

    def reload(self) -> None:
        """Add what another process has cached since."""
        self._entries = self._known() | self._written()

    def forget(self) -> None:
        """Empty the cache, so that every file is read again."""
        self._entries = {}
        with contextlib.suppress(OSError):
            files.remove(self._root / _NAME, self._root)

    def _known(self) -> dict[str, Any]:
        if self._entries is None:
            self._entries = self._written()
        return self._entries

    def _written(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            entries = json.loads(files.read_regular(self._root / _NAME))
            if isinstance(entries, dict):
                return entries
        return {}

    def digest(self, path: Path) -> str:
        """Return the content digest of a file, below the cache's folder or elsewhere.

        Raises:
            OSError: the file is missing or cannot be read.
            FormatError: its name ends in .h5 but it is not a valid HDF5 file, or it is a damaged gzip file.
        """
        name = self._name(path)
        fingerprint = _fingerprint(path)
        entry = self._known().get(name)
        if isinstance(entry, list) and len(entry) == 4 and entry[:3] == fingerprint and isinstance(entry[3], str):
            if not os.access(path, os.R_OK):  # else whoever reads the file next would fail
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return entry[3]
        digest = content_digest(path)
        self.remember(path, digest, fingerprint)
        return digest

    def remember(self, path: Path, digest: str, fingerprint: list[int] | None = None) -> None:
        """Cache a digest that was computed while the file was written."""
        name = self._name(path)
        self._known()[name] = [*(fingerprint or _fingerprint(path)), digest]
        self._changed = True

    def _name(self, path: Path) -> str:
        # Not pathlib, which is slow: a folder may hold a hundred thousand pictures.
        name, root = os.path.abspath(path), os.path.join(os.path.abspath(self._root), "")  # noqa: PTH100, PTH118
        return name.removeprefix(root)

    def save(self) -> None:
        """Write the cache to its file; in a read-only folder, do nothing."""
        if self._changed:
            # Drop the files that are gone, or the cache would grow for ever.
            entries = {name: entry for name, entry in self._known().items() if (self._root / name).exists()}
            with contextlib.suppress(OSError):
                files.write_json(self._root / _NAME, entries)
            self._changed = False


def _fingerprint(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def is_of_content(name: str) -> bool:
    """Tell whether the digest of a file with this name covers its content rather than its bytes."""
    return name.endswith((".h5", ".gz"))
