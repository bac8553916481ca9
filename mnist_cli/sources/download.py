"""Download one file from the first mirror that provides the right bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnist_cli.datasets import DataFile
from mnist_cli.errors import FetchError, InputError, in_one_line
from mnist_cli.progress import Progress
from mnist_cli.sources.cache import Cache
from mnist_cli.sources.failures import DeadlineExceeded, MirrorError
from mnist_cli.sources.folder import copy_from_folder
from mnist_cli.sources.mirrors import FolderMirror, Mirror, WebMirror
from mnist_cli.sources.partial import PartialFile
from mnist_cli.sources.time_limits import TimeLimits

if TYPE_CHECKING:
    from mnist_cli.sources.web import WebClient

_NO_ANSWER_HINT = "without a network: --mirror FOLDER, where FOLDER holds the four files, or --dataset synthetic"
_WRONG_ANSWER_HINT = "name another mirror: --mirror URL or --mirror FOLDER; --dataset synthetic needs none"


class Downloader:
    """Downloads the files of one fetch, and remembers which mirrors fail.

    Args:
        mirrors: in the order of the tries.
        time_limits: the time limits, for each answer and in all; also an attribute.
        progress: receives each file, and a note for each mirror that fails.
        cache: tried before the mirrors, and keeps what they provide; or None.
        offline: use no mirror on the web.
    """

    def __init__(
        self,
        mirrors: Sequence[Mirror],
        time_limits: TimeLimits,
        progress: Progress,
        *,
        cache: Cache | None = None,
        offline: bool = False,
    ) -> None:
        known = dict.fromkeys(mirrors)
        self._mirrors = tuple(mirror for mirror in known if not offline or isinstance(mirror, FolderMirror))
        self._offline = offline
        self._cache = cache
        self._keeps = True
        self.time_limits = time_limits
        self._progress = progress
        self._down: set[Mirror] = set()
        self._web: WebClient | None = None

    @property
    def requests(self) -> int:
        """Number of HTTP requests sent."""
        return self._web.requests if self._web else 0

    @property
    def bytes_received(self) -> int:
        """Number of bytes received from web servers."""
        return self._web.bytes_received if self._web else 0

    def close(self) -> None:
        """Close the idle connections."""
        if self._web:
            self._web.close()

    def get(self, partial: PartialFile) -> str:
        """Complete `partial` and verify it; return the name of the mirror, or the cache, that completed it.

        Raises:
            FetchError: no mirror provides the file before the deadline.
            OSError: the partial file cannot be written.
        """
        wanted = partial.wanted
        self._progress.start(wanted.name, wanted.size, "B")
        try:
            if self._cache and self._from_cache(partial, self._cache):
                return self._cache.name
            mirror = self._from_first(partial)
            self._keep(partial)
            return mirror.name
        finally:
            self._progress.finish()

    def _from_cache(self, partial: PartialFile, cache: Cache) -> bool:
        try:
            return cache.give(partial, self.time_limits, self._progress.update)
        except DeadlineExceeded:
            raise self._too_late(partial, {}) from None
        except (MirrorError, FileNotFoundError) as error:
            self._progress.note(f"{partial.wanted.name}: {cache.name}: {error}; not used")
            return False

    def _keep(self, partial: PartialFile) -> None:
        """Put a file into the cache; a failure is only noted."""
        if self._cache and self._keeps:
            try:
                self._cache.keep(partial)
            except (OSError, InputError) as error:
                self._progress.note(f"{self._cache.name}: {in_one_line(error)}; nothing is kept there")
                self._keeps = False

    def _from_first(self, partial: PartialFile) -> Mirror:
        name = partial.wanted.name
        failed: list[MirrorError] = []
        reasons: dict[str, str] = {}
        # A mirror that does not answer costs a time-out, so the following files try it last.
        order = sorted(self._mirrors, key=self._down.__contains__)
        for mirror, following in itertools.zip_longest(order, order[1:]):
            self._progress.update(min(partial.size(), partial.wanted.size))
            try:
                self._from(mirror, partial, is_last=following is None)
                return mirror
            except DeadlineExceeded:
                raise self._too_late(partial, reasons) from None
            except MirrorError as error:
                reasons[mirror.name] = error.reason
                failed.append(error.with_traceback(None))  # the traceback would keep the connection open
                if error.down:
                    self._down.add(mirror)
            if following:
                self._progress.note(f"{name}: {mirror.name}: {reasons[mirror.name]}; trying {following.name}")
        head = f"no mirror provided {name}" if order else f"no mirror is known for {name}"
        if self._offline:
            head = f"{name} is missing, and --offline uses no mirror on the web"
        raise FetchError("\n".join([head, *_lines(reasons)]), hint=_NO_ANSWER_HINT if self._offline else _hint(failed))

    def _from(self, mirror: Mirror, partial: PartialFile, *, is_last: bool) -> None:
        if isinstance(mirror, FolderMirror):
            found = copy_from_folder(mirror, partial, self.time_limits, self._progress.update)
            if found:
                name = partial.wanted.name
                self._progress.note(f"{name}: {mirror.name}: found in {found}; the content is verified")
        else:
            self._from_web(mirror, partial, is_last=is_last)

    def _from_web(self, mirror: WebMirror, partial: PartialFile, *, is_last: bool) -> None:
        # Imported here, because importing requests takes as long as a whole fetch from a folder.
        from mnist_cli.sources.web import WebClient, WebDownload

        if self._web is None:
            self._web = WebClient(self.time_limits)
        WebDownload(self._web, mirror, partial, self._progress.update, is_last=is_last).run()

    def _too_late(self, partial: PartialFile, reasons: dict[str, str]) -> FetchError:
        wanted: DataFile = partial.wanted
        head = (
            f"the deadline of {self.time_limits.deadline:g} s has passed: "
            f"received {partial.size():,} of {wanted.size:,} bytes of {wanted.name}"
        )
        hint = "run the same command again: it resumes where it stopped; fetch.deadline allows more time"
        return FetchError("\n".join([head, *_lines(reasons)]), hint=hint)


def _lines(reasons: dict[str, str]) -> list[str]:
    return [f"  {name}: {reason}" for name, reason in reasons.items()]


def _hint(failed: list[MirrorError]) -> str:
    """Return what to do if all mirrors failed: the fix for the causes, if they are known."""
    known = dict.fromkeys(error.hint for error in failed if error.hint)
    if known:
        return "; ".join(known)
    return _NO_ANSWER_HINT if not failed or any(error.down for error in failed) else _WRONG_ANSWER_HINT
