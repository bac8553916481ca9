"""What a long job tells while it works; who prints it, and how, is the caller's business."""

from __future__ import annotations


class Progress:
    """A listener that hears everything and says nothing: the default, and the base of the ones that print.

    One task is under way at a time: `start`, any number of `update`, `finish`.
    """

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin a task of `total` units (None: not known), such as bytes, images or steps."""

    def update(self, done: int, detail: str = "") -> None:
        """Say how many units are done since `start`, with a short word on how it goes."""

    def finish(self) -> None:
        """End the task under way."""

    def note(self, message: str) -> None:
        """Tell something worth knowing that is no problem."""

    def warn(self, message: str) -> None:
        """Tell something that the user may want to act on."""


SILENT = Progress()
