"""How getting a file from one mirror can fail; `download` turns these into the `FetchError` that a user sees."""

from __future__ import annotations


class MirrorError(Exception):
    """One mirror does not give the file.

    Args:
        reason: why, on one line, printable, without secrets.
        down: the mirror as a whole is at fault, so that the files that follow try it last.
        hint: what mends it, where the reason says so much.
    """

    def __init__(self, reason: str, *, down: bool = False, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.down = down
        self.hint = hint


class TransientError(MirrorError):
    """The same mirror may well answer at the next try.

    Args:
        reason: as for MirrorError.
        retry_after: seconds that the server asks to wait before that, or None.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason, down=True)
        self.retry_after = retry_after


class ProxyError(MirrorError):
    """The proxy on the way to a mirror is at fault; to ask it again at once would not help.

    Args:
        reason: as for MirrorError.
        hint: as for MirrorError.
        for_all: it would refuse every other mirror as well.
    """

    def __init__(self, reason: str, hint: str, *, for_all: bool = False) -> None:
        super().__init__(reason, down=True, hint=hint)
        self.for_all = for_all


class RangeError(MirrorError):
    """The mirror cannot continue what was begun: only a download from the first byte can help."""


class DeadlineExceeded(Exception):
    """The time for the whole fetch is over."""
