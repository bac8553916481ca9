"""`mnist fetch`, `preprocess`, `train` and `eval`: one stage on what the stages before it made."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.options import option
from mnist_cli.cli.running import (
    EVAL_KEYS,
    TRAIN_KEYS,
    Force,
    Mirror,
    Resume,
    Wait,
    check_gate,
    make_request,
    print_accuracy,
    run_request,
)
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import ConfigError, NothingToTrain, UsageError
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.config.loading import LoadedConfig
    from mnist_cli.pipeline.request import StageResult

Workers = Annotated[
    int | None,
    option("--workers", metavar="N", min=1, max=64, help="Try out multiworker: N processes here, on the CPU."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "fetch", keys=("dataset", "seed"))(fetch)
    command(app, "preprocess", keys=("preprocess.validation_size",))(preprocess)
    command(app, "train", keys=TRAIN_KEYS)(train)
    command(app, "eval", keys=EVAL_KEYS)(evaluate)


def fetch(session: Session, *, mirror: Mirror = None, force: Force = False, wait: Wait = 0) -> None:
    """Download the four files and verify every byte.

    Mirrors are tried in order; an interrupted download goes on where it stopped; a file that is there and right is not
    fetched again.

    Example: mnist fetch --mirror https://mirror.example.org/mnist/
    """
    _single(session, "fetch", force=force, mirror=mirror, wait=wait)


def preprocess(session: Session, *, force: Force = False, wait: Wait = 0) -> None:
    """Turn the four files into one HDF5 store.

    It holds a training, a validation and a test split; images stay bytes, and every array carries its SHA-256.

    Example: mnist preprocess --validation-size 10000
    """
    _single(session, "preprocess", force=force, wait=wait)


def train(
    session: Session, *, workers: Workers = None, resume: Resume = None, force: Force = False, wait: Wait = 0
) -> None:
    """Train the softmax regression y = softmax(xW + b).

    Ctrl-C keeps what was learned: the same command goes on from there and ends with the same bits as a run that was
    not disturbed.

    Example: mnist train --steps 2000 --learning-rate 0.3
    """
    if workers is not None:
        from mnist_cli.cli.workers import run_workers

        config = session.load().config  # a mistake in it is told once, not by every worker
        if config.train.strategy == "mirrored" or config.train.device.startswith("gpu"):
            raise UsageError("--workers: expected processes on the CPU; received another device or strategy")
        run_workers(workers, as_json=session.output.as_json)
    _tell_of_workers(session)
    _single(session, "train", force=force, resume=resume, wait=wait)


def _tell_of_workers(session: Session) -> None:
    """Say that the workers that the environment names are not asked: each of them would train by itself."""
    if "TF_CONFIG" not in os.environ:
        return
    from mnist_cli.distribution import this_worker

    with contextlib.suppress(ConfigError):  # what is wrong with it matters to those who use it
        count = this_worker().count
        if count > 1 and session.load().config.train.strategy != "multiworker":
            session.output.note(
                f"TF_CONFIG names {count} workers, and this one trains alone; --strategy multiworker joins them"
            )


def evaluate(session: Session, *, force: Force = False, wait: Wait = 0) -> None:
    """Measure the model: its accuracy, and how sure that is.

    metrics.json holds the accuracy with its 95 % interval, the cross-entropy, precision, recall and F1 of each class
    and the confusion matrix.

    Example: mnist eval --split test --min-accuracy 0.91
    """
    loaded, results = _single(session, "eval", force=force, wait=wait)
    print_accuracy(session, results)
    check_gate(loaded, results)


def _single(session: Session, stage: str, **options: Any) -> tuple[LoadedConfig, list[StageResult]]:
    """Run one stage on what the stages before it made, with the overrides that they were run with."""
    from mnist_cli.pipeline.overrides import kept_overrides

    typed = {override.path for override in session.overrides()[0]}
    kept = {path: value for path, value in kept_overrides(session.artifacts, stage).items() if path not in typed}
    loaded = session.load(kept)
    default = session.load()
    told = [f"{path}={printable(value)}" for path, value in kept.items() if default.config.value(path) != value]
    if told:
        session.output.note(f"with {', '.join(told)}, as in the stages before")
    request = make_request(session, loaded, (stage,), **options)
    try:
        results = run_request(request)
    except NothingToTrain as nothing:
        session.output.line(nothing.message)
        return loaded, []
    if not results:
        session.output.line("done: this worker's share; the chief publishes the model")
    elif not results[0].ran:
        session.output.line("nothing to do: it is fresh (--force runs it all the same)")
    return loaded, results
