"""Checkpoints: everything a run needs to go on from a step, to the bit, and to know that it is its own.

    checkpoints/step-00000400/weights.index, weights.data-…    the variables, as tf.train.Checkpoint writes them
    checkpoints/step-00000400/state.json                       the step, the run it belongs to, what the history needs,
                                                               and the SHA-256 of the other files and of itself

A checkpoint is written into a temporary folder, every file is fsynced, and the folder is renamed last: at any moment
each `step-…` folder is whole. What went wrong with one later (a disk, a hand) is found by the digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from mnist_cli import files
from mnist_cli.errors import InputError
from mnist_cli.formats.history import Record
from mnist_cli.learning.settings import Resume
from mnist_cli.progress import Progress
from mnist_cli.text import plural, printable

SCHEMA = "mnist-checkpoint/1"
STATE_NAME = "state.json"
_WEIGHTS = "weights"
_NAME = re.compile(r"step-(\d{8,})")
_RESTART = "run 'mnist train --restart' to start over on purpose"


@dataclass(frozen=True)
class State:
    """What a run knows at some step beside its variables.

    Attributes:
        step: steps done.
        pending: loss of each step since the last record.
        history: the records so far; without the extra one that a run writes at its last step.
    """

    step: int
    pending: tuple[float, ...]
    history: tuple[Record, ...]


class _Damaged(Exception):
    """A checkpoint is not what was written; the text says why."""


class Checkpoints:
    """The checkpoints of one run in a folder.

    Args:
        folder: where they are; made when the first one is written.
        run: what decides the run's bits, such as `train.learning_rate`: a checkpoint in which it differs is not used.
        variables: what is saved and restored, by name.
        keep: how many are kept.
        progress: hears of damaged checkpoints and of those that belong to another run.
    """

    def __init__(
        self,
        folder: Path,
        run: Mapping[str, object],
        variables: Mapping[str, tf.Variable],
        keep: int,
        progress: Progress,
    ) -> None:
        self._folder = folder
        self._run = dict(run)
        self._checkpoint = tf.train.Checkpoint(**variables)
        self._keep = keep
        self._progress = progress
        self._foreign_removed = False

    def resume(self, how: Resume, last_step: int) -> State | None:
        """Restore the variables from the newest checkpoint that is whole and belongs to the run.

        Args:
            how: "auto": None if there is none; "require": there must be one; "never": remove them all.
            last_step: where the run ends; later checkpoints are left alone.

        Returns:
            The state of the checkpoint, or None to start at step 0.

        Raises:
            InputError: there are checkpoints and none is whole, or none fits although one is required.
        """
        self._sweep()
        if how == "never":
            self.clear()
            return None
        damaged: list[str] = []
        foreign: dict[str, Any] | None = None
        for folder in self._newest_first(last_step):
            try:
                document = _read_state(folder)
                if document["run"] != self._run:
                    foreign = foreign or document["run"]
                    continue
                _check_files(folder, document["files"])
            except _Damaged as damage:
                damaged.append(folder.name)
                self._progress.warn(f"checkpoint {folder.name} is damaged and not used: {damage}")
                continue
            self._checkpoint.read(str(folder / _WEIGHTS)).assert_consumed()
            return _state_of(document)
        self._explain_start(how, last_step, damaged, foreign)
        return None

    def save(self, state: State) -> None:
        """Publish the variables and the state as a checkpoint, and remove the oldest beyond those to keep.

        Raises:
            OSError: it cannot be written; the checkpoints before are as they were.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._foreign_removed:
            self._remove_foreign()
            self._foreign_removed = True
        target = self._folder / f"step-{state.step:08}"
        temporary = self._temporary(target.name)
        temporary.mkdir()
        try:
            self._checkpoint.write(str(temporary / _WEIGHTS))
            _write_state(temporary, state, self._run)
            _sync(temporary)
            self._replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        # What was just written stays, also when a longer run left later ones.
        others = [folder for folder in self._newest_first() if folder != target]
        for folder in others[max(0, self._keep - 1) :]:
            self._remove(folder)

    def clear(self) -> None:
        """Remove every checkpoint."""
        for folder in self._newest_first():
            self._remove(folder)

    def _newest_first(self, last_step: int | None = None) -> list[Path]:
        if not self._folder.is_dir():
            return []
        steps = {int(match[1]): path for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))}
        return [steps[step] for step in sorted(steps, reverse=True) if last_step is None or step <= last_step]

    def _explain_start(self, how: Resume, last_step: int, damaged: list[str], foreign: dict[str, Any] | None) -> None:
        place = printable(self._folder)
        if damaged:
            raise InputError(
                f"{place}: {plural(len(damaged), 'checkpoint')} of this run, none of them whole\n"
                f"damaged: {', '.join(damaged)[:200]}",
                hint=_RESTART,
            )
        difference = _difference(foreign, self._run) if foreign is not None else ""
        if how == "require":
            none = f"there is none up to step {last_step}"
            found = f"those there belong to another run: {difference}" if foreign is not None else none
            raise InputError(
                f"{place}: no checkpoint to go on from; {found}", hint="run 'mnist train' without --resume"
            )
        if foreign is not None:
            self._progress.note(f"the checkpoints belong to another run ({difference}); training starts at step 0")

    def _remove_foreign(self) -> None:
        """Remove what belongs to another run or is damaged: its steps would stand in the way of the run's own."""
        for folder in self._newest_first():
            try:
                is_own = _read_state(folder)["run"] == self._run
            except _Damaged:
                is_own = False
            if not is_own:
                self._remove(folder)

    def _replace(self, temporary: Path, target: Path) -> None:
        if target.exists():
            self._remove(target)
        temporary.rename(target)
        files.sync_folder(self._folder)

    def _remove(self, folder: Path) -> None:
        # Renamed first: a folder that is half removed must not look like a checkpoint.
        doomed = self._temporary(folder.name)
        folder.rename(doomed)
        _delete(doomed)

    def _sweep(self) -> None:
        for leftover in self._folder.glob(f"{files.TEMPORARY_PREFIX}*"):
            _delete(leftover)

    def _temporary(self, name: str) -> Path:
        return self._folder / f"{files.TEMPORARY_PREFIX}{name}-{secrets.token_hex(4)}"


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_state(folder: Path, state: State, run: Mapping[str, object]) -> None:
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run,
        **asdict(state),
        "files": {path.name: files.sha256_of(path) for path in sorted(folder.iterdir())},
    }
    document["sha256"] = _self_digest(document)
    (folder / STATE_NAME).write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    files.sync_folder(folder)


def _read_state(folder: Path) -> dict[str, Any]:
    """Return what `_write_state` wrote, verified.

    Raises:
        _Damaged: it is not there, or not that.
    """
    try:
        document = json.loads((folder / STATE_NAME).read_bytes())
    except FileNotFoundError:
        raise _Damaged(f"{STATE_NAME} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _Damaged(f"{STATE_NAME} cannot be read ({printable(error, 100)})") from error
    if not isinstance(document, dict) or document.pop("sha256", None) != _self_digest(document):
        raise _Damaged(f"{STATE_NAME} is not what was written")
    if document["schema"] != SCHEMA:
        raise _Damaged(f"{STATE_NAME} is of another version: expected {SCHEMA}; received {document['schema']}")
    if folder.name != f"step-{document['step']:08}":
        raise _Damaged(f"it holds step {document['step']}")
    return document


def _check_files(folder: Path, digests: Mapping[str, str]) -> None:
    for name, expected in digests.items():
        try:
            received = files.sha256_of(folder / name)
        except OSError as error:
            raise _Damaged(f"{name}: {error.strerror}") from error
        if received != expected:
            raise _Damaged(f"{name} is not what was written")


def _state_of(document: Mapping[str, Any]) -> State:
    history = tuple(Record(**record) for record in document["history"])
    return State(document["step"], tuple(document["pending"]), history)


def _self_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names: Iterable[str] = sorted({*old, *new})
    changed = [name for name in names if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {_short(old.get(name))} → {_short(new.get(name))}" for name in changed)


def _short(value: object) -> str:
    # A digest is known by its beginning.
    return printable(value if not isinstance(value, str) else value[:12], 60)
