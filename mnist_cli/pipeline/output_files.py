"""Files that --output names: where they may not be, and what they may replace."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.text import printable

_MARK_WITHIN = 4096  # bytes at the beginning of a file


def check_output(path: Path, artifacts: Artifacts, mark: bytes) -> None:
    """Refuse to overwrite anything but an older file of the same command.

    Args:
        path: the file that --output names.
        artifacts: the artifacts, whose published files must stay as their manifests say.
        mark: bytes that the command's own files have near their beginning.

    Raises:
        UsageError: `path` is in a stage's folder, or a file of another kind is there.
        OSError: the file there cannot be read.
    """
    root = artifacts.root.resolve()
    if root in path.resolve().parent.parents:
        inner = artifacts.root / path.resolve().relative_to(root).parts[0]
        raise UsageError(
            f"--output {printable(path)}: expected a file outside {printable(inner)}, where only the pipeline writes"
        )
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(_MARK_WITHIN)
        if beginning and mark not in beginning:
            raise UsageError(
                f"--output {printable(path)}: expected a new file, or an older one of the same kind; "
                "received a file of another kind",
                hint="choose another name, or remove the file",
            )
