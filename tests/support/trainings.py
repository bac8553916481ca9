"""What tests of training compare and disturb."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.progress import Progress


class Failing(Progress):
    """Fails when training reaches a step, as a crash would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def update(self, done: int, detail: str = "") -> None:
        if done >= self.step:
            raise RuntimeError(f"crash at step {done}")


def outputs(folder: Path) -> tuple[bytes, bytes]:
    """Return the bytes of the model and of the history."""
    return (folder / "model.h5").read_bytes(), (folder / "history.jsonl").read_bytes()
