"""Failures of getting a file from one mirror; `download` turns them into the `FetchError` that a user sees."""

from __future__ import annotations


class MirrorError(Exception):
    """One mirror does not provide the file.

    Args:
        reason: why, on one line, printable, without secrets.
        down: whether the whole mirror is at fault, so that the following files try it last.
        hint: how to fix it, if the reason is known well enough.
    """

    def __init__(self, reason: str, *, down: bool = False, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.down = down
        self.hint = hint


class TransientError(MirrorError):
    """The same mirror may answer at the next try.

    Args:
        reason: as for MirrorError.
        retry_after: seconds that the server asks to wait first, or None.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason, down=True)
        self.retry_after = retry_after


class ProxyError(MirrorError):
    """The proxy on the way to a mirror is at fault; retrying at once would not help.

    Args:
        reason: as for MirrorError.
        hint: as for MirrorError.
        for_all: whether it would refuse every other mirror too.
    """

    def __init__(self, reason: str, hint: str, *, for_all: bool = False) -> None:
        super().__init__(reason, down=True, hint=hint)
        self.for_all = for_all


class RangeError(MirrorError):
    """The mirror cannot resume the download: only one from the first byte can help."""


class DeadlineExceeded(Exception):
    """The time for the whole fetch is up."""
