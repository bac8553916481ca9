"""One file from a folder into a partial file."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from mnist_cli import files
from mnist_cli.sources.failures import MirrorError
from mnist_cli.sources.identify import what_it_is
from mnist_cli.sources.mirrors import FolderMirror
from mnist_cli.sources.partial import PartialFile
from mnist_cli.sources.patience import Patience

_BLOCK = 1 << 20


def copy_from_folder(
    mirror: FolderMirror, partial: PartialFile, patience: Patience, report: Callable[[int], None]
) -> None:
    """Copy the file that `partial` is to become.

    Args:
        mirror: where it is.
        partial: where it goes; what was there is lost once the source has the right size.
        patience: the deadline; a folder may be on a slow network.
        report: is told how many bytes are there.

    Raises:
        MirrorError: the folder does not have the file, or has another one.
        DeadlineExceeded: the time is over.
        OSError: the partial file cannot be written.
    """
    wanted = partial.wanted
    source = mirror.folder / wanted.name
    try:
        if _size(source) != wanted.size:
            raise MirrorError(f"has {what_it_is(source, wanted)}")
        file = files.open_regular(source)
    except (FileNotFoundError, NotADirectoryError):
        there = mirror.folder.is_dir()
        raise MirrorError("the folder does not have this file" if there else "there is no such folder") from None
    except OSError as error:
        raise MirrorError(f"cannot be read: {error.strerror}") from error
    with file, partial.append_from(0) as target:
        done = 0
        while done <= wanted.size:
            patience.remaining()
            try:
                block = file.read(_BLOCK)
            except OSError as error:
                raise MirrorError(f"cannot be read: {error.strerror}") from error
            if not block:
                break
            target.write(block)
            done += len(block)
            report(done)
    if not partial.is_right():
        reason = f"has {what_it_is(partial.path, wanted)}"
        partial.cut(0)
        raise MirrorError(reason)


def _size(path: Path) -> int:
    status = path.stat()
    # A pipe or a device is not even opened: that, or reading it, may never end.
    if not stat.S_ISREG(status.st_mode):
        raise MirrorError("has something under this name that is no file")
    return status.st_size
