"""A training run: chunks of compiled steps, and records, checkpoints and signals between them."""

from __future__ import annotations

import functools
import math
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mnist_cli.errors import Interrupted, TrainingDiverged
from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import score
from mnist_cli.learning.checkpoint_state import State
from mnist_cli.learning.checkpoints import Checkpoints
from mnist_cli.learning.data import TrainingData
from mnist_cli.learning.distributed.cluster import Cluster
from mnist_cli.learning.distributed.replicas import make_replicas
from mnist_cli.learning.events import EventFiles
from mnist_cli.learning.loop import Chunk, TrainingLoop
from mnist_cli.learning.optimizers import keras_runtime
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.learning.stopwatch import Stopwatch
from mnist_cli.maps.order import rows_at
from mnist_cli.maps.softmax import EXACT, LOSS_UNIT, UNIT
from mnist_cli.progress import Progress
from mnist_cli.signals import StopRequest, deferred_signals

# Python runs signal handlers only after a compiled call has returned.
_CHUNK_SECONDS = 0.3
# The first chunk, when the speed is still unknown: a hundred steps of the tutorial.
_FIRST_CHUNK_EXAMPLES = 10_000
_FIRST_CHUNK_STEPS = 100  # with several workers, a step takes milliseconds however small the batch
# 2 MB of row numbers, and 8 MB from which their losses are computed.
_MAX_CHUNK_EXAMPLES = 500_000


@dataclass(frozen=True)
class Trained:
    """The result of a finished run.

    Attributes:
        model: the trained model.
        history: the records, the last one at the last step.
        record: the record of the model's step.
        steps: steps done, over the whole run.
        examples: examples seen, over the whole run.
        resumed_from: the step of the checkpoint it resumed from, or 0.
        runtime: what could move the bits; empty except for Keras's optimizers.
    """

    model: Model
    history: tuple[Record, ...]
    record: Record
    steps: int
    examples: int
    resumed_from: int
    runtime: Mapping[str, object]


class Run:
    """One training run, from its newest checkpoint or from zeros.

    Args:
        settings: how to train.
        seed: seed of the order of the examples.
        version: version of the stage, which stands for how steps and records are computed.
        data: the data to train on.
        checkpoints: the folder of the checkpoints, with one folder for each course.
        stopwatch: measures the times.
        progress: progress callback.
        tensorboard: folder of event files for TensorBoard, or None.
    """

    def __init__(
        self,
        settings: TrainSettings,
        seed: int,
        version: int,
        data: TrainingData,
        checkpoints: Path,
        stopwatch: Stopwatch,
        progress: Progress,
        tensorboard: Path | None = None,
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._data = data
        self._stopwatch = stopwatch
        self._progress = progress
        self._batch = settings.batch(len(data.labels))
        self._last_step = settings.total_steps(len(data.labels))
        self._cluster = Cluster(settings.device) if settings.strategy == "multiworker" else None
        replicas = self._cluster.replicas if self._cluster else make_replicas(settings.strategy, settings.device)
        if settings.strategy == "mirrored" and replicas.count == 1:
            progress.note("train.strategy mirrored: there is only one device, so it trains like single")
        self._runtime: Mapping[str, object] = {} if settings.is_exact else keras_runtime(replicas.devices[0].kind)
        with stopwatch.on("compile"):
            self._loop = TrainingLoop(data, settings, replicas)
            self._loop.compile()
        self._course = {**settings.course(seed), **self._runtime, "store": data.store_digest, "version": version}
        keep = max(1, settings.keep_checkpoints)
        self._checkpoints = Checkpoints(checkpoints, self._course, self._loop.variables(), keep, progress)
        self._events = EventFiles(tensorboard, data.classes, data.layout) if tensorboard else None
        self._step = self._saved_step = 0
        self._saved_time = time.monotonic()
        self._chunk: Chunk  # the newest; always set before a checkpoint is saved
        self._pending = 0  # sum of the losses since the last record, in units of 2^-20
        self._history: list[Record] = []
        self._steps_per_second: float | None = None

    @property
    def writes(self) -> bool:
        """Whether this process writes the files."""
        return self._cluster is None or self._cluster.worker.is_chief

    def train(self, resume: Literal["auto", "require", "never"]) -> Trained:
        """Train until the last step.

        Raises:
            InputError: the checkpoints do not allow what `resume` demands.
            TrainingDiverged: a parameter, or the sum of the losses, left the range of exact arithmetic.
            Interrupted: on SIGINT or SIGTERM, here or at another worker; the work until then is in a checkpoint.
            WorkerLost: another worker does not answer.
            OSError: a checkpoint cannot be written.
        """
        with self._stopwatch.on("checkpoints"):
            state = self._checkpoints.resume(resume, self._last_step) if self.writes else None
            if self._cluster:
                state = self._cluster.share_state(self._course, state, self._loop.variables())
        if state is not None:
            self._step, self._pending, self._history = state.step, state.pending, list(state.history)
        resumed_from = self._saved_step = self._step
        self._saved_time = time.monotonic()
        if self._events is not None:
            self._events.begin(self._history[-1].step if self._history else 0)
        self._progress.start("train", self._last_step, "steps")
        try:
            with deferred_signals() as stop:
                if self._cluster:
                    self._cluster.stop = stop
                try:
                    self._advance(stop)
                finally:
                    # Also after an error, to keep the checkpoints saved before it.
                    with self._stopwatch.on("checkpoints"):
                        self._checkpoints.wait()
        finally:
            self._progress.finish()
        if stop.signal_number is not None:
            raise Interrupted(stop.signal_number, reached=f"step {self._saved_step:,}")
        history = (*self._history, self._record()) if self._steps_pending() else tuple(self._history)
        if self._events is not None:
            self._events.close()
        record = lowest(history) if self._settings.select == "best" else history[-1]
        # The record at the last step may be an extra one, for which there is no remembered model.
        parameters = self._loop.model() if record is history[-1] else self._loop.best()
        data = self._data
        model = Model(
            *parameters,
            classes=data.classes,
            step=record.step,
            seed=self._seed,
            store_digest=data.store_digest,
            shape=data.image_shape,
            fit=data.fit,
            feature_map=data.feature_map,
        )
        return Trained(model, history, record, self._step, self._step * self._batch, resumed_from, self._runtime)

    def forget(self) -> None:
        """Remove the checkpoints if none are to be kept; call it on all workers once the model is published."""
        if self._settings.keep_checkpoints == 0 and self.writes:
            with self._stopwatch.on("checkpoints"):
                self._checkpoints.clear()
        if self._cluster:
            self._cluster.leave()  # no worker leaves before the chief is done

    def _advance(self, stop: StopRequest) -> None:
        self._progress.update(self._step)
        while count := self._next_steps(stop):
            self._run_chunk(count)
            if self._step % self._settings.validate_every == 0:
                self._history.append(self._record())
                self._pending = 0
                if self._settings.select == "best" and lowest(self._history) is self._history[-1]:
                    self._loop.remember_best()
            if self._checkpoint_is_due():
                self._save()
            self._progress.update(self._step, self._detail())
        if self._is_stalled():
            best = lowest(self._history)
            self._progress.note(
                f"training ends early, at step {self._step:,}: the validation loss was lowest at step {best.step:,}"
            )
        if stop.signal_number is not None and self._saved_step != self._step:
            self._save()

    def _is_stalled(self) -> bool:
        """Tell whether the last `early_stopping` records did not lower the validation loss."""
        patience = self._settings.early_stopping
        if patience is None or len(self._history) <= patience:
            return False
        return lowest(self._history) not in self._history[-patience:]

    def _next_steps(self, stop: StopRequest) -> int:
        """Return the number of steps to do now, as the chief decides; 0 ends training.

        A signal to any worker ends training too.
        """
        is_done = self._step == self._last_step or stop.signal_number is not None or self._is_stalled()
        count = 0 if is_done else self._chunk_steps()
        if self._cluster is None:
            return count
        decided, stops = map(int, self._cluster.sum([count if self.writes else 0, stop.signal_number is not None]))
        if not stops:
            return decided
        stop.signal_number = stop.signal_number or signal.SIGTERM
        return 0

    def _run_chunk(self, count: int) -> None:
        rows = rows_at(self._seed, self._step * self._batch, count * self._batch, len(self._data.labels))
        started = time.perf_counter()
        run = functools.partial(self._loop.run, self._step, rows.reshape(count, self._batch))
        with self._stopwatch.on("steps"):
            self._chunk = chunk = self._cluster.wait(run) if self._cluster else run()
        self._steps_per_second = count / (time.perf_counter() - started)
        # The terms are ≥ 0, so a sum that has passed 2^53 stays above it, in whatever order they are added.
        lost = np.flatnonzero(chunk.losses >= EXACT)
        if lost.size or not chunk.is_in_range:
            step = self._step + (int(lost[0]) + 1 if lost.size else chunk.steps)
            raise self._diverged(step, self._loop.largest)
        self._step += count
        self._pending += sum(map(int, chunk.losses))

    def _chunk_steps(self) -> int:
        """Return the number of steps to do in one call; it does not affect the result."""
        if self._steps_per_second is None:
            wanted = min(_FIRST_CHUNK_STEPS, _FIRST_CHUNK_EXAMPLES // self._batch)
        else:
            wanted = int(self._steps_per_second * _CHUNK_SECONDS)
        wanted = max(1, min(wanted, _MAX_CHUNK_EXAMPLES // self._batch))
        marks = (self._settings.validate_every, self._settings.checkpoint_every)
        until = [every - self._step % every for every in marks if every is not None]
        return min(wanted, self._last_step - self._step, *until)

    def _record(self) -> Record:
        loss = self._pending / (self._steps_pending() * self._batch) * LOSS_UNIT
        weights, bias = self._loop.model()
        record = Record(self._step, loss, None, None)
        if len(self._data.validation_labels):
            with self._stopwatch.on("validation"):
                data = self._data
                rows = (data.validation_inputs, data.validation_labels, data.zero, data.step)
                measured = score(weights, bias, *rows)
            record = Record(self._step, loss, measured.cross_entropy, measured.accuracy)
        if self._events is not None:
            self._events.add(record, weights)
        return record

    def _steps_pending(self) -> int:
        return self._step - (self._history[-1].step if self._history else 0)

    def _checkpoint_is_due(self) -> bool:
        every, seconds = self._settings.checkpoint_every, self._settings.checkpoint_seconds
        at_end = self._step == self._last_step or self._is_stalled()
        if at_end and self._settings.keep_checkpoints > 0:
            return True
        if every is not None and self._step % every == 0:
            return True
        return seconds is not None and time.monotonic() - self._saved_time >= seconds

    def _save(self) -> None:
        if self.writes:  # else the chief saves, at the same step
            with self._stopwatch.on("checkpoints"):
                state = State(self._step, self._pending, tuple(self._history))
                self._checkpoints.save(state, self._loop.snapshot(self._chunk))
        self._saved_step, self._saved_time = self._step, time.monotonic()

    def _diverged(self, step: int, largest: float) -> TrainingDiverged:
        rate = self._settings.rate
        return TrainingDiverged(
            f"training diverged: W, b or the loss is out of range after step {step}\n"
            f"expected weights within ±{largest * UNIT:g}; the learning rate is {rate:g}",
            hint=f"try a smaller learning rate: --learning-rate {min(rate / 10, 0.5):g}",
        )

    def _detail(self) -> str:
        speed, parts = self._steps_per_second or 0.0, []
        if self._history:
            last = self._history[-1]
            parts.append(f"loss {last.loss:.4f}")
            if last.validation_accuracy is not None:
                parts.append(f"validation {100 * last.validation_accuracy:.2f} %")
        return ", ".join([*parts, f"{speed:,.0f} steps/s" if speed >= 10 else f"{speed:.2f} steps/s"])


def lowest(history: Sequence[Record]) -> Record:
    """Return the first record with the lowest validation loss."""
    return min(history, key=lambda record: math.inf if record.validation_loss is None else record.validation_loss)
