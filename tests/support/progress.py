"""Who is told how far a stage has come."""

from __future__ import annotations

from mnist_cli.progress import Progress


class Listener(Progress):
    """Remembers everything it is told."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int | None, str]] = []
        self.updates: list[int] = []
        self.open_tasks = 0
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.tasks.append((label, total, unit))
        self.open_tasks += 1

    def update(self, done: int, detail: str = "") -> None:
        self.updates.append(done)

    def finish(self) -> None:
        self.open_tasks -= 1

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Speaking(Progress):
    """Prints every step at once, for the process that started this one."""

    def update(self, done: int, detail: str = "") -> None:
        print(done, flush=True)
