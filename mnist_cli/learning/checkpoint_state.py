"""The state in a checkpoint, besides the variables: the step, the course, and the digests of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.formats import HISTORY_NAME
from mnist_cli.formats.history import Record, parse_history
from mnist_cli.text import printable

SCHEMA = "mnist-checkpoint/4"
STATE_NAME = "state.json"
_COURSE = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class State:
    """What a run knows at a step, besides its variables.

    Attributes:
        step: steps done.
        pending: sum of the examples' losses since the last record, in units of 2^-20.
        history: the records so far, without the extra one that a run adds at its last step.
    """

    step: int
    pending: int
    history: tuple[Record, ...]


class Damaged(Exception):
    """A checkpoint was damaged or changed after it was written; the text says how."""


def courses(folder: Path) -> list[Path]:
    """Return the folders of the courses that have checkpoints, the one changed last first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _COURSE.fullmatch(path.name) and path.is_dir()]
    return sorted((path for path in found if not path.is_symlink()), key=lambda path: -path.stat().st_mtime_ns)


def newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints of a course, including damaged ones, the last step first."""
    if not folder.is_dir():
        return []
    steps = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return [steps[step] for step in sorted(steps, reverse=True)]


def step_of(checkpoint: Path) -> int:
    """Return the step that a folder of `newest_first` is named after."""
    return int(checkpoint.name.removeprefix("step-"))


def write_state(folder: Path, state: State, course: Mapping[str, object]) -> None:
    """Write the state and the digests of the files in `folder` into a file beside them.

    Raises:
        OSError: the file cannot be written.
    """
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "course": course,
        "step": state.step,
        "pending": state.pending,
        "files": {path.name: files.sha256_of(path) for path in sorted(folder.iterdir())},
    }
    document["sha256"] = files.document_digest(document)
    (folder / STATE_NAME).write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def read_state(folder: Path) -> dict[str, Any]:
    """Return what `write_state` wrote, verified.

    Raises:
        Damaged: the file is missing or was changed.
    """
    try:
        document = json.loads(files.read_regular(folder / STATE_NAME))
    except FileNotFoundError:
        raise Damaged(f"{STATE_NAME} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{STATE_NAME} cannot be read ({printable(error, 100)})") from error
    if not isinstance(document, dict) or document.pop("sha256", None) != files.document_digest(document):
        raise Damaged(f"{STATE_NAME} was changed after it was written")
    if document["schema"] != SCHEMA:
        raise Damaged(f"{STATE_NAME} has another version: expected {SCHEMA}; received {document['schema']}")
    if folder.name != f"step-{document['step']:08}":
        raise Damaged(f"it holds step {document['step']}")
    return document


def check(checkpoint: Path) -> None:
    """Compare all files of a checkpoint to their digests.

    Raises:
        Damaged: a file is missing or was changed.
    """
    check_files(checkpoint, read_state(checkpoint)["files"])


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare files to their digests.

    Raises:
        Damaged: a file is missing or was changed.
    """
    for name, expected in digests.items():
        try:
            received = files.sha256_of(folder / name)
        except OSError as error:
            raise Damaged(f"{name}: {error.strerror}") from error
        if received != expected:
            raise Damaged(f"{name} was changed after it was written")


def state_of(folder: Path, document: Mapping[str, Any]) -> State:
    """Return the state of a checkpoint whose document and files were verified."""
    return State(document["step"], document["pending"], parse_history((folder / HISTORY_NAME).read_bytes()))
