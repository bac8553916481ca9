"""What HDF5's words for a damaged file mean to somebody who has one."""

from __future__ import annotations

import re
from pathlib import Path

from mnist_cli.errors import FormatError

_TRUNCATED = re.compile(r"truncated file: eof = (\d+), .*stored_eof = (\d+)")
# Part of what HDF5 says → what it found; the first that fits counts.
_MEANINGS = {
    "file signature not found": "something else: it does not begin as HDF5 files do",
    "metadata checksum": "names, types or attributes whose checksum does not match",
    "filter returned failure": "data whose checksum does not match",
}
_OTHERWISE = "a structure that makes no sense"


def damage(path: Path, error: Exception, name: str | None = None) -> FormatError:
    """Return the error for a file on which HDF5 stumbled; HDF5's own words are for `--debug`, as its cause.

    Args:
        path: the file.
        error: what h5py raised.
        name: the object in it that could not be read, such as `/train/inputs`; None where it is the file itself.
    """
    text = str(error)
    if truncated := _TRUNCATED.search(text):
        received = f"{int(truncated[1]):,} of {int(truncated[2]):,} bytes"
    else:
        received = next((meaning for words, meaning in _MEANINGS.items() if words in text), _OTHERWISE)
    if name is None:
        return FormatError(
            path, "the HDF5 file is damaged, or is none", expected="a whole HDF5 file", received=received
        )
    return FormatError(path, f"{name} is damaged", expected="what was written", received=received)
