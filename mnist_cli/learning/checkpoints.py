"""Checkpoints: everything a run needs to resume from a step, to the bit, and to know that the checkpoint is its own.

    checkpoints/1f00c2d4a5b6/                   a course: the digest of what decides each step, but not their number
        step-00000400/weights.index, weights.data-…    the variables, as tf.train.Checkpoint writes them
        step-00000400/history.jsonl                    the records so far
        step-00000400/state.json                       the step, the course, the loss since the last record, and the
                                                       SHA-256 of the other files and of itself

A run resumes from its own course only. Checkpoints of other courses, finished or not, stay for runs of those courses.

To save, a run only reads the values of its variables; a thread writes them while the compiled steps go on. A
checkpoint is written into a temporary folder, every file is fsynced, and the folder is renamed last, so each `step-…`
folder is complete at any moment. The digests reveal later damage, by a disk or by hand.
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
from mnist_cli.text import printable

_WEIGHTS = "weights"
# Checkpoints that may wait to be written, which limits the memory that a slow disk can cost.
_MAX_WAITING = 8
# Writing takes at most one part in 41 of the time: it competes with training for processors and for Python's lock.
_IDLE = 40.0
# The newest ones are kept; each leaves a few checkpoints behind.
_OTHER_COURSES = 16
_RESTART = "add --restart to the same command to start over on purpose"


class Checkpoints:
    """The checkpoints of one course.

    Args:
        folder: the folder of all courses; created with the first checkpoint.
        course: key → value of what decides the bits of every step, such as `train.learning_rate`.
        variables: the variables to save and restore, by name.
        keep: number of checkpoints to keep.
        progress: progress callback, which is also notified of damaged checkpoints.
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
        self._lines: list[bytes] = []  # the lines of the history that were already written
        # A checkpoint that is pushed out would be removed as soon as the ones after it are written.
        self._writer: Writer[tuple[State, list[tf.Tensor]]] = Writer(self._write, min(keep, _MAX_WAITING), _IDLE)

    def resume(self, how: Literal["auto", "require", "never"], last_step: int) -> State | None:
        """Restore the variables from the newest undamaged checkpoint of the course.

        Args:
            how: "auto": resume if there is a checkpoint; "require": demand one; "never": remove those of the course.
            last_step: the last step of the run; later checkpoints are left alone.

        Returns:
            The state of the checkpoint, or None to start at step 0.

        Raises:
            InputError: all checkpoints are damaged, none exists although one is required, or the folder of the course
                is a link.
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
                    raise Damaged(f"it belongs to another course: {in_words(document['course'], self._course)}")
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
        """Write a state and the values of the variables as a checkpoint, soon, without making the caller wait.

        The values are in the order of the variables; nothing may change them in place.

        The oldest checkpoints beyond those to keep are removed. If checkpoints come so fast that writing them would
        take more than a few percent of the time, only the newest are written.

        Raises:
            OSError: an earlier checkpoint could not be written; the ones before it are unchanged.
        """
        self._writer.submit((state, values))

    def wait(self) -> None:
        """Wait until every checkpoint is on the disk.

        Raises:
            OSError: a checkpoint cannot be written; the ones before it are unchanged.
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
            # A history only grows, so earlier lines can be reused.
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
        # The checkpoint just written stays, even if a longer run left later ones.
        others = [folder for folder in self._newest_first() if folder != target]
        for folder in others[max(0, self._keep - 1) :]:
            files.remove_atomically(folder, self._all)

    def clear(self) -> None:
        """Remove every checkpoint of the course."""
        for folder in self._newest_first():
            files.remove_atomically(folder, self._all)
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # fails if anything else is in it

    def _newest_first(self, last_step: int | None = None) -> list[Path]:
        found = newest_first(self._folder)
        return [folder for folder in found if last_step is None or step_of(folder) <= last_step]

    def _explain_start(self, how: str, last_step: int, damaged: list[str]) -> None:
        place = printable(self._folder)
        if damaged:
            raise InputError(
                f"{place}: every checkpoint of this run is damaged: {', '.join(damaged)[:200]}", hint=_RESTART
            )
        if how == "require":
            raise InputError(
                f"{place}: no checkpoint up to step {last_step} to resume from{self._nearest()}",
                hint="leave out --resume to start at step 0",
            )

    def _nearest(self) -> str:
        """Describe how the newest checkpoint of another course differs, if there is one."""
        for course in courses(self._all):
            for folder in newest_first(course)[:1]:
                with contextlib.suppress(Damaged):
                    return (
                        f"; there are checkpoints of another run: "
                        f"{in_words(read_state(folder)['course'], self._course)}"
                    )
        return ""

    def _prune(self) -> None:
        """Remove the oldest other courses, and damaged checkpoints of this one, which are in the way."""
        others = [course for course in courses(self._all) if course != self._folder]
        for course in others[_OTHER_COURSES:]:
            files.remove_atomically(course, self._all)
        for old in newest_first(self._all):  # from versions without courses
            if not old.is_symlink():
                files.remove_atomically(old, self._all)
        for folder in self._newest_first():
            try:
                is_own = read_state(folder)["course"] == self._course
            except Damaged:
                is_own = False
            if not is_own:
                files.remove_atomically(folder, self._all)

    def _replace(self, temporary: Path, target: Path) -> None:
        if target.exists():
            files.remove_atomically(target, self._all)
        system.replace(temporary, target)
        files.sync_folder(self._folder)

    def _sweep(self) -> None:
        files.refuse_links(self._folder, self._all)
        files.sweep(self._folder)


class _Copies:
    """Writes earlier values of variables as `tf.train.Checkpoint` would have written them then.

    In a compiled function this takes a quarter of the time, and releases Python's lock meanwhile.
    """

    def __init__(self, variables: Mapping[str, tf.Variable]) -> None:
        with tf.device("/CPU:0"):
            self._copies = {name: tf.Variable(tf.zeros_like(variable)) for name, variable in variables.items()}
        self._checkpoint = tf.train.Checkpoint(**self._copies)
        values = [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables.values()]
        signature = [tf.TensorSpec([], tf.string), values]
        self._compiled = tf.function(self._assign_and_write, input_signature=signature, autograph=False)

    def write(self, prefix: Path, values: list[tf.Tensor]) -> None:
        """Write values, given in the order of the variables.

        Raises:
            OSError: they cannot be written.
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
