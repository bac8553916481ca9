"""Files that --output names: where they may be, what they may replace, and writing them."""

from __future__ import annotations

from pathlib import Path

from mnist_cli import files
from mnist_cli.errors import MnistError, UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.text import printable

_MARK_WITHIN = 4096  # bytes at the beginning of a file


def check_place(path: Path, *, is_folder: bool = False) -> None:
    """Check that --output names something to write in an existing folder.

    Args:
        path: as --output names it.
        is_folder: whether the command writes a folder there.

    Raises:
        UsageError: the path is `-`, in a missing folder, or a folder where the command writes a file.
    """
    if path == Path("-"):  # standard output reports the file that was written
        raise UsageError("--output: expected the name of a file; received '-'")
    if not is_folder and path.is_dir():
        raise UsageError(f"--output {printable(path)}: expected a file to write; received a folder")
    if not path.parent.is_dir():
        raise UsageError(
            f"--output {printable(path)}: the folder {printable(path.parent)} does not exist",
            hint="make the folder, or choose another file",
        )


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


def write_output(path: Path, content: bytes, *, make_folder: bool = False) -> None:
    """Publish a file that --output can name.

    Args:
        path: the file.
        content: its bytes.
        make_folder: whether to create its folder if that is missing.

    Raises:
        MnistError: it cannot be written, for example because the folder is read-only.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content)
    except OSError as error:  # its message would name the temporary file
        raise MnistError(
            f"{printable(path)}: {error.strerror or printable(error)}",
            hint="name another file with --output; an existing file is unchanged",
        ) from error
