"""Checkpoints: everything a run needs to go on from a step, to the bit, and to know that it is its own.

    checkpoints/step-00000400/weights.index, weights.data-…    the variables, as tf.train.Checkpoint writes them
    checkpoints/step-00000400/history.jsonl                    the records so far
    checkpoints/step-00000400/state.json                       the step, the run it belongs to, the losses since the
                                                               last record, and the SHA-256 of the other files and
                                                               of itself

Saving costs the run a look at the variables' values; a thread writes them while the compiled steps go on. A
checkpoint is written into a temporary folder, every file is fsynced, and the folder is renamed last: at any moment
each `step-…` folder is whole. What went wrong with one later (a disk, a hand) is found by the digests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from mnist_cli import files
from mnist_cli.errors import InputError
from mnist_cli.formats.history import HISTORY_NAME, history_line
from mnist_cli.learning.checkpoint_state import (
    Damaged,
    State,
    check_files,
    difference,
    newest_first,
    read_state,
    state_of,
    step_of,
    write_state,
)
from mnist_cli.learning.failures import not_written
from mnist_cli.learning.settings import Resume
from mnist_cli.learning.writer import Writer
from mnist_cli.progress import Progress
from mnist_cli.text import plural, printable

_WEIGHTS = "weights"
# Checkpoints that may wait to be written, however many are to be kept: so much memory a slow disk may take.
_MAX_WAITING = 8
# Writing takes one part in 41 of the time, at most; it competes with training for processors and for Python.
_REST = 40.0
_RESTART = "add --restart to the same command to start over on purpose"


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
        self._copies = _Copies(variables)
        self._lines: list[bytes] = []  # of the history, as far as they were written
        # What is pushed out would be removed as soon as those after it are written.
        self._writer: Writer[tuple[State, list[tf.Tensor]]] = Writer(self._write, min(keep, _MAX_WAITING), _REST)

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
                document = read_state(folder)
                if document["run"] != self._run:
                    foreign = foreign or document["run"]
                    continue
                check_files(folder, document["files"])
            except Damaged as damage:
                damaged.append(folder.name)
                self._progress.warn(f"checkpoint {folder.name} is damaged and not used: {damage}")
                continue
            self._checkpoint.read(str(folder / _WEIGHTS)).assert_consumed()
            return state_of(folder, document)
        self._explain_start(how, last_step, damaged, foreign)
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
        if not self._foreign_removed:
            self._remove_foreign()
            self._foreign_removed = True
        target = self._folder / f"step-{state.step:08}"
        temporary = files.temporary_beside(target)
        temporary.mkdir()
        try:
            self._copies.write(temporary / _WEIGHTS, values)
            # A history only grows.
            self._lines += map(history_line, state.history[len(self._lines) :])
            with files.naming(temporary):
                (temporary / HISTORY_NAME).write_bytes(b"".join(self._lines))
                write_state(temporary, state, self._run)
                _sync(temporary)
            self._replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        # What was just written stays, also when a longer run left later ones.
        others = [folder for folder in self._newest_first() if folder != target]
        for folder in others[max(0, self._keep - 1) :]:
            files.remove_at_once(folder)

    def clear(self) -> None:
        """Remove every checkpoint."""
        for folder in self._newest_first():
            files.remove_at_once(folder)

    def _newest_first(self, last_step: int | None = None) -> list[Path]:
        found = newest_first(self._folder)
        return [folder for folder in found if last_step is None or step_of(folder) <= last_step]

    def _explain_start(self, how: Resume, last_step: int, damaged: list[str], foreign: dict[str, Any] | None) -> None:
        place = printable(self._folder)
        if damaged:
            raise InputError(
                f"{place}: {plural(len(damaged), 'checkpoint')} that may be of this run, none of them whole\n"
                f"damaged: {', '.join(damaged)[:200]}",
                hint=_RESTART,
            )
        changed = difference(foreign, self._run) if foreign is not None else ""
        if how == "require":
            none = f"there is none up to step {last_step}"
            found = f"those there belong to another run: {changed}" if foreign is not None else none
            raise InputError(
                f"{place}: no checkpoint to go on from; {found}", hint="leave --resume away to start at step 0"
            )
        if foreign is not None:
            self._progress.note(
                f"the checkpoints belong to another run ({changed}); "
                "training starts at step 0, and its own will replace them"
            )

    def _remove_foreign(self) -> None:
        """Remove what belongs to another run or is damaged: its steps would stand in the way of the run's own."""
        for folder in self._newest_first():
            try:
                is_own = read_state(folder)["run"] == self._run
            except Damaged:
                is_own = False
            if not is_own:
                files.remove_at_once(folder)

    def _replace(self, temporary: Path, target: Path) -> None:
        if target.exists():
            files.remove_at_once(target)
        temporary.rename(target)
        files.sync_folder(self._folder)

    def _sweep(self) -> None:
        for leftover in self._folder.glob(f"{files.TEMPORARY_PREFIX}*"):
            files.remove(leftover)


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
