"""The third stage: the store becomes a model.

TensorFlow is imported by the call, after the parameters and the store were found good, and not before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnist_cli.formats.history import HISTORY_NAME, Record, write_history
from mnist_cli.formats.model import MODEL_NAME, save_model
from mnist_cli.optimizers import Optimizer, Schedule
from mnist_cli.progress import SILENT, Progress

_PARTS = ("import", "load", "compile", "steps", "validation", "checkpoints")


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Attributes:
        steps: training steps.
        examples: examples seen: steps times the batch size.
        resumed_from: step of the checkpoint that this call went on from, or 0.
        model_step: the step whose model was published; before `steps` only with select="best".
        loss: mean training loss, in nats, over the steps up to that one since the record before.
        validation_loss, validation_accuracy: of the published model; None when the validation split is empty.
        model_digest: SHA-256 over the bytes of W and b.
        store_digest: content digest of the store that was read.
        runtime: what could move the bits: device, TensorFlow, determinism, oneDNN, replicas.
        seconds: wall time of this call's parts: import, load, compile, steps, validation, checkpoints.
    """

    steps: int
    examples: int
    resumed_from: int
    model_step: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    model_digest: str
    store_digest: str
    runtime: dict[str, object]
    seconds: dict[str, float]


def train(
    store: Path | str,
    folder: Path | str,
    *,
    steps: int = 1000,
    epochs: int | None = None,
    batch_size: int | Literal["full"] = 100,
    learning_rate: float | None = None,
    optimizer: Optimizer | str = "sgd",
    schedule: Schedule | str = "constant",
    l2: float | None = None,
    ema: float | None = None,
    early_stopping: int | None = None,
    select: Literal["last", "best"] = "last",
    seed: int = 0,
    device: str = "auto",
    strategy: str = "single",
    validate_every: int = 100,
    checkpoint_every: int | None = 1000,
    checkpoint_seconds: float | None = 30,
    keep_checkpoints: int = 3,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
    resume: Literal["auto", "require", "never"] = "auto",
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a softmax regression and write `model.h5` and `history.jsonl` into `folder`.

    Args:
        store: the store to train on.
        folder: where the results go; made when it is not there.
        steps: training steps.
        epochs: passes over the training split; replaces `steps`.
        batch_size: examples in a step, or "full" for the whole training split.
        learning_rate: what a gradient is multiplied with; None takes what suits the optimizer, 0.5 for "sgd".
        optimizer: its name, or an `Optimizer` with parameters.
        schedule: how the learning rate changes: its name, or a `Schedule` with parameters.
        l2: adds l2 · ΣW² to the loss; the loss that is recorded stays the cross-entropy.
        ema: with a decay such as 0.99, the moving average of W and b is validated and published in their place.
        early_stopping: ends training after so many records without a lower validation loss.
        select: which model is published: of the last step, or of the record with the lowest validation loss.
        seed: seed of the order of the examples.
        device: where to train: "cpu", "gpu", or "gpu:N" for the GPU with that number; "auto" takes a GPU if TensorFlow
            sees one.
        strategy: "single" for one device; with "mirrored" all devices of that kind share the examples of each step,
            with "multiworker" those of all processes that TF_CONFIG or Slurm names: each calls this function, and only
            the first one, the chief, reads checkpoints and writes files.
        validate_every: steps between two records in the history.
        checkpoint_every, checkpoint_seconds: steps and seconds between two checkpoints, whichever comes first; None:
            no matter how many. Some are left out where they would take over 3 % of the time. The last step gets one
            too.
        keep_checkpoints: how many are kept in the end.
        checkpoints: their folder; `folder`/checkpoints by default.
        tensorboard: folder for event files that TensorBoard shows: losses, accuracy, and W as images; None: none.
        resume: "auto" goes on from the newest checkpoint of the same run, if there is one; "require" demands one;
            "never" removes them and starts over. The number of steps may differ: a longer run goes on, unless the
            schedule falls over all steps, which is then another one.
        progress: hears how many steps are done.

    Raises:
        ConfigError: a parameter is out of its range, or is none of the optimizer's or the schedule's; there is no
            GPU; or there is no validation split for `early_stopping` or `select`.
        InputError: the store is missing or damaged, TensorFlow cannot be imported, or the checkpoints do not allow
            what `resume` demands.
        TrainingDiverged: the loss is not finite any more; what was published before is as it was.
        Interrupted: SIGINT or SIGTERM; the next call goes on from there.
        WorkerLost: another worker did not start, ended or does not answer; start all again to go on.
        NothingToTrain: the chief has told this worker so.
        OSError: a file cannot be written.
    """
    from mnist_cli.learning import tensorflow_setup
    from mnist_cli.learning.data import load_data
    from mnist_cli.learning.settings import Settings, check_resume
    from mnist_cli.learning.stopwatch import Stopwatch

    check_resume(resume)
    settings = Settings(
        steps=steps,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=Optimizer(optimizer) if isinstance(optimizer, str) else optimizer,
        schedule=Schedule(schedule) if isinstance(schedule, str) else schedule,
        l2=l2,
        ema=ema,
        early_stopping=early_stopping,
        select=select,
        seed=seed,
        device=device,
        strategy=strategy,
        validate_every=validate_every,
        checkpoint_every=checkpoint_every,
        checkpoint_seconds=checkpoint_seconds,
        keep_checkpoints=keep_checkpoints,
    )
    stopwatch = Stopwatch()
    with stopwatch.on("load"):
        data = load_data(store)
    settings.check_length(len(data.labels))
    settings.check_validation(len(data.validation_labels))
    with stopwatch.on("import"):
        progress.start("load TensorFlow", None, "")
        try:
            tensorflow_setup.import_tensorflow()
        finally:
            progress.finish()
        from mnist_cli.learning.training import Run
    target = Path(folder)
    run = Run(settings, data, Path(checkpoints or target / "checkpoints"), stopwatch, progress, tensorboard)
    trained = run.train(resume)
    if run.writes:
        target.mkdir(parents=True, exist_ok=True)
        write_history(target / HISTORY_NAME, trained.history)
        save_model(target / MODEL_NAME, trained.model)
    run.forget()
    record = trained.record
    _warn_if_useless(record, len(trained.model.classes), settings.rate, progress)
    return TrainResult(
        steps=trained.steps,
        examples=trained.examples,
        resumed_from=trained.resumed_from,
        model_step=record.step,
        loss=record.loss,
        validation_loss=record.validation_loss,
        validation_accuracy=record.validation_accuracy,
        model_digest=trained.model.digest,
        store_digest=trained.model.store_digest,
        runtime=trained.runtime,
        seconds={name: round(stopwatch.seconds.get(name, 0.0), 4) for name in _PARTS},
    )


def _warn_if_useless(record: Record, classes: int, rate: float, progress: Progress) -> None:
    """Tell of a model that is worse than the zeros that training began with: those give every class 1/K, loss ln K."""
    loss = record.loss if record.validation_loss is None else record.validation_loss
    if loss > math.log(classes):
        kind = "training" if record.validation_loss is None else "validation"
        progress.warn(
            f"the {kind} loss {loss:.4g} is above {math.log(classes):.4g}, that of knowing nothing: the model is of no "
            f"use; train.learning_rate, which was {rate:g}, is likely too large"
        )


def excuse_workers() -> None:
    """As the chief, tell the other workers that there is nothing to train, as they come.

    Raises:
        ConfigError: nobody says who they are.
        WorkerLost: some did not come.
    """
    from mnist_cli.learning import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    from mnist_cli.learning.distributed.cluster import excuse_workers

    excuse_workers()
