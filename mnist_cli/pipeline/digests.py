"""Content digests of artifacts and of a user's own data, remembered by size, modification time and inode.

The digest of an HDF5 file is that of what it says (mnist_cli/formats/hdf5.py), of a gzip file that of its content, and
of any other file that of its bytes.
A file whose size, time and inode are as remembered is not read again; that is what makes `mnist status` quick, and
all that it trusts. The memory is a hint: lost or damaged, it costs a reading.
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
        """Take what another process has remembered meanwhile."""
        self._entries = self._known() | self._written()

    def forget(self) -> None:
        """Let every file be read again."""
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
            FormatError: it is an HDF5 file by its name and not by its content, or a damaged gzip file.
        """
        name = self._name(path)
        fingerprint = _fingerprint(path)
        entry = self._known().get(name)
        if isinstance(entry, list) and len(entry) == 4 and entry[:3] == fingerprint and isinstance(entry[3], str):
            if not os.access(path, os.R_OK):  # whoever uses the file would fail, and be sent back here
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return entry[3]
        digest = content_digest(path)
        self.remember(path, digest, fingerprint)
        return digest

    def remember(self, path: Path, digest: str, fingerprint: list[int] | None = None) -> None:
        """Take a digest that was computed while the file was written."""
        name = self._name(path)
        self._known()[name] = [*(fingerprint or _fingerprint(path)), digest]
        self._changed = True

    def _name(self, path: Path) -> str:
        # Without pathlib: a folder of pictures may have a hundred thousand.
        name, root = os.path.abspath(path), os.path.join(os.path.abspath(self._root), "")  # noqa: PTH100, PTH118
        return name.removeprefix(root)

    def save(self) -> None:
        """Write the memory down where that is possible; in a read-only folder it is not, and nothing is lost."""
        if self._changed:
            # What is gone would be carried along for ever.
            entries = {name: entry for name, entry in self._known().items() if (self._root / name).exists()}
            with contextlib.suppress(OSError):
                files.write_json(self._root / _NAME, entries)
            self._changed = False


def _fingerprint(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def is_of_content(name: str) -> bool:
    """Tell whether the digest of a file of this name is that of what it says, not that of its bytes."""
    return name.endswith((".h5", ".gz"))
