"""Checkpoints: everything a run needs to go on from a step, to the bit, and to know that it is its own.

    checkpoints/1f00c2d4a5b6/                   a course: the digest of what decides every step, however many there are
        step-00000400/weights.index, weights.data-…    the variables, as tf.train.Checkpoint writes them
        step-00000400/history.jsonl                    the records so far
        step-00000400/state.json                       the step, the course, the loss since the last record, and the
                                                       SHA-256 of the other files and of itself

A run goes on from its own course only; what others left, interrupted or done, waits there for them.

Saving costs the run a look at the variables' values; a thread writes them while the compiled steps go on. A
checkpoint is written into a temporary folder, every file is fsynced, and the folder is renamed last: at any moment
each `step-…` folder is whole. What went wrong with one later (a disk, a hand) is found by the digests.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import tensorflow as tf

from mnist_cli import files, system
from mnist_cli.differences import in_words
from mnist_cli.errors import InputError
from mnist_cli.formats import HISTORY_NAME
from mnist_cli.formats.history import history_line
from mnist_cli.learning.checkpoint_state import (
    Damaged,
    State,
    check_files,
    courses,
    newest_first,
    read_state,
    state_of,
    step_of,
    write_state,
)
from mnist_cli.learning.failures import not_written
from mnist_cli.learning.writer import Writer
from mnist_cli.progress import Progress
from mnist_cli.text import plural, printable

_WEIGHTS = "weights"
# Checkpoints that may wait to be written, however many are to be kept: so much memory a slow disk may take.
_MAX_WAITING = 8
# Writing takes one part in 41 of the time, at most; it competes with training for processors and for Python.
_REST = 40.0
# Of other courses, the newest: each leaves a few checkpoints behind.
_OTHER_COURSES = 16
_RESTART = "add --restart to the same command to start over on purpose"


class Checkpoints:
    """The checkpoints of one course.

    Args:
        folder: of all courses; made when the first checkpoint is written.
        course: what decides the bits of every step, such as `train.learning_rate`.
        variables: what is saved and restored, by name.
        keep: how many are kept.
        progress: hears of damaged checkpoints.
    """

    def __init__(
        self,
        folder: Path,
        course: Mapping[str, object],
        variables: Mapping[str, tf.Variable],
        keep: int,
        progress: Progress,
    ) -> None:
        self._all = folder
        self._folder = folder / files.document_digest(dict(course))[:12]
        self._course = dict(course)
        self._checkpoint = tf.train.Checkpoint(**variables)
        self._keep = keep
        self._progress = progress
        self._is_pruned = False
        self._copies = _Copies(variables)
        self._lines: list[bytes] = []  # of the history, as far as they were written
        # What is pushed out would be removed as soon as those after it are written.
        self._writer: Writer[tuple[State, list[tf.Tensor]]] = Writer(self._write, min(keep, _MAX_WAITING), _REST)

    def resume(self, how: Literal["auto", "require", "never"], last_step: int) -> State | None:
        """Restore the variables from the newest checkpoint of the course that is whole.

        Args:
            how: "auto": None if there is none; "require": there must be one; "never": remove those of the course.
            last_step: where the run ends; later checkpoints are left alone.

        Returns:
            The state of the checkpoint, or None to start at step 0.

        Raises:
            InputError: there are checkpoints and none is whole, or there is none although one is required, or the
                folder of the course is a link.
        """
        self._sweep()
        if how == "never":
            self.clear()
            return None
        damaged: list[str] = []
        for folder in self._newest_first(last_step):
            try:
                document = read_state(folder)
                if document["course"] != self._course:
                    raise Damaged(f"it is of another course: {in_words(document['course'], self._course)}")
                check_files(folder, document["files"])
            except Damaged as damage:
                damaged.append(folder.name)
                self._progress.warn(f"checkpoint {folder.name} is damaged and not used: {damage}")
                continue
            self._checkpoint.read(str(folder / _WEIGHTS)).assert_consumed()
            self._progress.note(f"resumed from step {document['step']:,}")
            return state_of(folder, document)
        self._explain_start(how, last_step, damaged)
        return None

    def save(self, state: State, values: list[tf.Tensor]) -> None:
        """Let a state and the values of the variables become a checkpoint, soon; the caller need not wait.

        The values are in the order of the variables; nothing may change them in place.

        The oldest checkpoints beyond those to keep are removed. When they come so fast that writing them would take
        more than a few percent of the time, only the newest are written.

        Raises:
            OSError: an earlier one could not be written; the checkpoints before that are as they were.
        """
        self._writer.submit((state, values))

    def wait(self) -> None:
        """Return when every checkpoint is on the disk.

        Raises:
            OSError: one cannot be written; the checkpoints before are as they were.
        """
        self._writer.wait()

    def _write(self, item: tuple[State, list[tf.Tensor]]) -> None:
        state, values = item
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._is_pruned:
            self._prune()
            self._is_pruned = True
        target = self._folder / f"step-{state.step:08}"
        temporary = files.temporary_beside(target)
        temporary.mkdir()
        try:
            self._copies.write(temporary / _WEIGHTS, values)
            # A history only grows.
            self._lines += map(history_line, state.history[len(self._lines) :])
            with files.naming(temporary):
                (temporary / HISTORY_NAME).write_bytes(b"".join(self._lines))
                write_state(temporary, state, self._course)
                _sync(temporary)
            self._replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                files.remove(temporary, self._all)
            raise
        # What was just written stays, also when a longer run left later ones.
        others = [folder for folder in self._newest_first() if folder != target]
        for folder in others[max(0, self._keep - 1) :]:
            files.remove_at_once(folder, self._all)

    def clear(self) -> None:
        """Remove every checkpoint of the course."""
        for folder in self._newest_first():
            files.remove_at_once(folder, self._all)
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # where nothing else is in it

    def _newest_first(self, last_step: int | None = None) -> list[Path]:
        found = newest_first(self._folder)
        return [folder for folder in found if last_step is None or step_of(folder) <= last_step]

    def _explain_start(self, how: str, last_step: int, damaged: list[str]) -> None:
        place = printable(self._folder)
        if damaged:
            raise InputError(
                f"{place}: {plural(len(damaged), 'checkpoint')} of this run, none of them whole\n"
                f"damaged: {', '.join(damaged)[:200]}",
                hint=_RESTART,
            )
        if how == "require":
            raise InputError(
                f"{place}: no checkpoint to go on from up to step {last_step}{self._nearest()}",
                hint="leave --resume away to start at step 0",
            )

    def _nearest(self) -> str:
        """Say how the newest checkpoint of another course differs, if there is one."""
        for course in courses(self._all):
            for folder in newest_first(course)[:1]:
                with contextlib.suppress(Damaged):
                    return (
                        f"; those there belong to another run: {in_words(read_state(folder)['course'], self._course)}"
                    )
        return ""

    def _prune(self) -> None:
        """Remove the oldest of the other courses, and damaged checkpoints of this one, which stand in its way."""
        others = [course for course in courses(self._all) if course != self._folder]
        for course in others[_OTHER_COURSES:]:
            files.remove_at_once(course, self._all)
        for old in newest_first(self._all):  # of the time before there were courses
            if not old.is_symlink():
                files.remove_at_once(old, self._all)
        for folder in self._newest_first():
            try:
                is_own = read_state(folder)["course"] == self._course
            except Damaged:
                is_own = False
            if not is_own:
                files.remove_at_once(folder, self._all)

    def _replace(self, temporary: Path, target: Path) -> None:
        if target.exists():
            files.remove_at_once(target, self._all)
        system.replace(temporary, target)
        files.sync_folder(self._folder)

    def _sweep(self) -> None:
        files.refuse_links(self._folder, self._all)
        files.sweep(self._folder)


class _Copies:
    """Writes values that variables had as `tf.train.Checkpoint` would have written them then.

    Within a compiled function it takes a quarter of the time, and lets go of Python meanwhile.
    """

    def __init__(self, variables: Mapping[str, tf.Variable]) -> None:
        with tf.device("/CPU:0"):
            self._copies = {name: tf.Variable(tf.zeros_like(variable)) for name, variable in variables.items()}
        self._checkpoint = tf.train.Checkpoint(**self._copies)
        values = [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables.values()]
        signature = [tf.TensorSpec([], tf.string), values]
        self._compiled = tf.function(self._assign_and_write, input_signature=signature, autograph=False)

    def write(self, prefix: Path, values: list[tf.Tensor]) -> None:
        """Write values in the order of the variables.

        Raises:
            OSError: it cannot be written.
        """
        with tf.device("/CPU:0"):
            try:
                self._compiled(tf.constant(str(prefix)), values)
            except tf.errors.OpError as error:
                raise not_written(prefix, error) from error

    def _assign_and_write(self, prefix: tf.Tensor, values: list[tf.Tensor]) -> None:
        for copy, value in zip(self._copies.values(), values, strict=True):
            copy.assign(value)
        self._checkpoint.write(prefix)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    files.sync_folder(folder)
