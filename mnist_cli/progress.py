"""Progress reports of a long job; the caller decides who prints them, and how."""

from __future__ import annotations


class Progress:
    """A listener that ignores every report: the default, and the base class of those that print.

    One task is under way at a time: `start`, any number of `update`, `finish`.
    """

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin a task of `total` units (None: unknown), such as bytes, images or steps."""

    def update(self, done: int, detail: str = "") -> None:
        """Report how many units are done since `start`, and a short detail such as the loss."""

    def finish(self) -> None:
        """End the task under way."""

    def note(self, message: str) -> None:
        """Report something worth knowing that is not a problem."""

    def warn(self, message: str) -> None:
        """Report something that the user may want to act on."""


SILENT = Progress()
