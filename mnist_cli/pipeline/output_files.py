"""Files that a user names for a command to write: where none may be, and what they may take the place of."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.text import printable

_LOOKED_AT = 4096  # bytes at the beginning, which show a file's kind


def check_output(path: Path, artifacts: Artifacts, mark: bytes) -> None:
    """Refuse to write over anything but what the same command wrote.

    Args:
        path: what --output names.
        artifacts: whose published files stay as their manifests say.
        mark: what the command's own files have near their beginning.

    Raises:
        UsageError: `path` is in a folder of the artifacts, or a file of another kind is there.
        OSError: what is there cannot be read.
    """
    root = artifacts.root.resolve()
    if root in path.resolve().parent.parents:
        inner = artifacts.root / path.resolve().relative_to(root).parts[0]
        raise UsageError(
            f"--output {printable(path)}: expected a place outside "
            f"{printable(inner)}, whose files are those that the pipeline wrote"
        )
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(_LOOKED_AT)
        if beginning and mark not in beginning:
            raise UsageError(
                f"--output {printable(path)}: expected a new file, or an older one of its kind; received another one",
                hint="choose another name, or remove the file",
            )
