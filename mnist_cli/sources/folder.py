"""Copy one file from a folder into a partial file."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from mnist_cli import files
from mnist_cli.datasets.folders import places
from mnist_cli.formats.byte_stream import MAX_DEFLATE_RATIO
from mnist_cli.sources import wrappers
from mnist_cli.sources.failures import MirrorError
from mnist_cli.sources.identify import description_of
from mnist_cli.sources.mirrors import FolderMirror
from mnist_cli.sources.partial import PartialFile
from mnist_cli.sources.time_limits import TimeLimits

_BLOCK = 1 << 20


def copy_from_folder(
    mirror: FolderMirror, partial: PartialFile, time_limits: TimeLimits, report: Callable[[int], None]
) -> str:
    """Copy a file into `partial`, whatever wrapper its content is in.

    Args:
        mirror: the folder.
        partial: the target; its content is lost once a source of the right size is found.
        time_limits: the time limits; a folder may be on a slow network.
        report: called with the number of bytes copied.

    Returns:
        What was found instead of the published file, such as `mnist.npz (x_train)`; empty for the file itself.

    Raises:
        MirrorError: the folder lacks the file, or has another one.
        DeadlineExceeded: the time is up.
        OSError: the partial file cannot be written.
    """
    try:
        _copy(mirror, partial, time_limits, report)
    except MirrorError as error:
        if found := rewrapped(mirror.folder, partial, time_limits):
            return found
        raise error from None
    return ""


def rewrapped(folder: Path, partial: PartialFile, time_limits: TimeLimits) -> str:
    """Make `partial` from another wrapper of its content in a folder; return which, or nothing if there is none.

    Raises:
        DeadlineExceeded: the time is up.
        OSError: the partial file cannot be written.
    """
    wanted = partial.wanted
    if not wanted.content:
        return ""
    for wrapped in wrappers.find(folder, wanted.name, partial.role):
        partial.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(wrappers.WrongContent):
            limit = wanted.size * MAX_DEFLATE_RATIO
            wrappers.save(wrapped, partial.path, wanted.content, limit, lambda _done: time_limits.check())
            return wrapped.what
    return ""


def _copy(mirror: FolderMirror, partial: PartialFile, time_limits: TimeLimits, report: Callable[[int], None]) -> None:
    names = [place / partial.wanted.name for place in places(mirror.folder)]
    source = next((path for path in names if os.path.lexists(path)), names[0])
    try:
        copy_file(source, partial, time_limits, report)
    except FileNotFoundError:
        there = mirror.folder.is_dir()
        raise MirrorError("the folder does not have this file" if there else "there is no such folder") from None


def copy_file(source: Path, partial: PartialFile, time_limits: TimeLimits, report: Callable[[int], None]) -> None:
    """Copy a file into a partial file and verify the copy; arguments and other errors as `copy_from_folder`.

    Raises:
        FileNotFoundError: the source does not exist.
        MirrorError: it is not the right file, or cannot be read.
    """
    wanted = partial.wanted
    try:
        if _size(source) != wanted.size:
            raise MirrorError(f"has {description_of(source, wanted)}")
        file = files.open_regular(source)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError from None
    except OSError as error:
        raise MirrorError(f"cannot be read: {error.strerror}") from error
    with file, partial.append_from(0) as target:
        done = 0
        while done <= wanted.size:
            time_limits.remaining()
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
        reason = f"has {description_of(partial.path, wanted)}"
        partial.cut(0)
        raise MirrorError(reason)


def _size(path: Path) -> int:
    status = path.stat()
    # A pipe or a device is not even opened: opening or reading it might never end.
    if not stat.S_ISREG(status.st_mode):
        raise MirrorError("has something of this name that is not a file")
    return status.st_size
