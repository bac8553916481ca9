"""The stages as the pipeline sees them: what each reads, writes and depends on, and how it is called.

Nothing heavy is imported here; a stage's own module is, when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mnist_cli.config.config import Config
from mnist_cli.datasets import DATASETS, FILE_NAMES, GENERATOR
from mnist_cli.optimizers import OPTIMIZERS
from mnist_cli.progress import Progress

Resume = Literal["auto", "require", "never"]


@dataclass(frozen=True)
class Job:
    """One call of a stage.

    Attributes:
        config: the whole configuration; a stage's function takes its own part.
        root: the artifacts folder, for reading the inputs.
        new: the empty folder that the outputs go into.
        current: the folder with the outputs published before.
        scratch: a folder of the stage's own that outlives failures: downloads in progress, checkpoints.
        mirrors: addresses and folders from the command line and the environment, before the configured ones.
        resume: whether training may, must or must not go on from a checkpoint.
        reuse: whether files published before may be kept, if they are found right.
        progress: who hears how it goes.
    """

    config: Config
    root: Path
    new: Path
    current: Path
    scratch: Path
    mirrors: tuple[str, ...]
    resume: Resume
    reuse: bool
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """What a stage's function found out.

    Attributes:
        metrics: goes into the manifest.
        runtime: what can move the bits, as it was.
        digests: output file → content digest, where the stage knows it already.
        inputs: `stage/file` → content digest of what was read.
    """

    metrics: dict[str, Any]
    runtime: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: also the name of its folder, its section and its command.
        version: bumped when the same parameters and inputs give other outputs.
        inputs: `(stage, file)`, the files it reads.
        outputs: the files it writes.
        scratch: name of the folder that `Job.scratch` points to.
        parameters: the configuration keys that decide its outputs, with their values.
        run: calls the stage's function.
        runtime: what `Outcome.runtime` would be now; a value of None is not known before it runs.
    """

    name: str
    version: int
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    scratch: str
    parameters: Callable[[Config], dict[str, Any]]
    run: Callable[[Job], Outcome]
    runtime: Callable[[Config], dict[str, Any]] = lambda _config: {}


def _values(config: Config, *paths: str) -> dict[str, Any]:
    return {path: config.value(path) for path in paths}


def _fetch_parameters(config: Config) -> dict[str, Any]:
    # A pinned data set is the same whatever the seed; a generated one depends on it and on what generates it.
    if DATASETS[config.dataset].files:
        return _values(config, "dataset")
    return _values(config, "dataset", "seed") | {"generator": GENERATOR}


def _train_parameters(config: Config) -> dict[str, Any]:
    """Return what counts, defaults filled in: a parameter that the optimizer or the schedule lacks does not."""
    train = config.train
    length = "train.steps" if train.epochs is None else "train.epochs"
    decided = _values(config, "seed", length, "train.batch_size", "train.validate_every", "train.optimizer")
    decided |= _values(config, "train.schedule", "train.l2", "train.ema", "train.early_stopping")
    rate = train.learning_rate
    decided["train.learning_rate"] = OPTIMIZERS[train.optimizer]["learning_rate"] if rate is None else rate
    chosen = train.chosen_optimizer().parameters() | train.chosen_schedule().parameters(None)
    decided |= {f"train.{name}": value for name, value in chosen.items()}
    for path, default in (("train.select", "last"), ("train.strategy", "single")):
        if config.value(path) != default:
            decided[path] = config.value(path)
    return {path: value for path, value in decided.items() if value is not None}


def _run_fetch(job: Job) -> Outcome:
    from mnist_cli.stages.fetch import fetch

    settings = job.config.fetch
    result = fetch(
        job.new,
        dataset=job.config.dataset,
        seed=job.config.seed,
        mirrors=(*job.mirrors, *settings.mirrors),
        timeout=settings.timeout,
        deadline=settings.deadline,
        min_speed=settings.min_speed,
        existing=job.current if job.reuse else job.new,
        partial=job.scratch,
        progress=job.progress,
    )
    listed = [{"name": file.name, "bytes": file.size, "source": file.source} for file in result.files]
    metrics = {
        "dataset": result.dataset,
        "files": listed,
        "bytes": sum(file.size for file in result.files),
        "requests": result.requests,
        "bytes_received": result.bytes_received,
    }
    return Outcome(metrics, digests={file.name: file.sha256 for file in result.files})


def _run_preprocess(job: Job) -> Outcome:
    from mnist_cli.stages.preprocess import preprocess

    result = preprocess(
        job.root / "fetch",
        job.new,
        dataset=job.config.dataset,
        validation_size=job.config.preprocess.validation_size,
        progress=job.progress,
    )
    metrics = {"dataset": result.dataset, "train": result.train, "validation": result.validation, "test": result.test}
    read = {f"fetch/{FILE_NAMES[role]}": sha256 for role, sha256 in result.sources.items()}
    return Outcome(metrics, digests={"store.h5": result.store_digest}, inputs=read)


def _run_train(job: Job) -> Outcome:
    from mnist_cli.stages.train import train

    settings = job.config.train
    result = train(
        job.root / "preprocess" / "store.h5",
        job.new,
        steps=settings.steps,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        optimizer=settings.chosen_optimizer(),
        schedule=settings.chosen_schedule(),
        l2=settings.l2,
        ema=settings.ema,
        early_stopping=settings.early_stopping,
        select=settings.select,
        seed=job.config.seed,
        device=settings.device,
        strategy=settings.strategy,
        validate_every=settings.validate_every,
        checkpoint_every=settings.checkpoint_every,
        checkpoint_seconds=settings.checkpoint_seconds,
        keep_checkpoints=settings.keep_checkpoints,
        checkpoints=job.scratch,
        # Not an output: it may be written while TensorBoard reads it, and stays there when training fails.
        tensorboard=job.current / "tensorboard" if settings.tensorboard else None,
        resume=job.resume,
        progress=job.progress,
    )
    metrics = {
        "steps": result.steps,
        "examples": result.examples,
        "resumed_from": result.resumed_from,
        "model_step": result.model_step,
        "loss": result.loss,
        "validation_loss": result.validation_loss,
        "validation_accuracy": result.validation_accuracy,
        "model_digest": result.model_digest,
        "seconds": result.seconds,
    }
    return Outcome(metrics, runtime=result.runtime, inputs={"preprocess/store.h5": result.store_digest})


def _run_evaluate(job: Job) -> Outcome:
    from mnist_cli.stages.evaluate import evaluate

    result = evaluate(
        job.root / "train" / "model.h5",
        job.root / "preprocess" / "store.h5",
        job.new,
        split=job.config.eval.split,
        progress=job.progress,
    )
    metrics = {
        "split": result.split,
        "examples": result.examples,
        "correct": result.correct,
        "accuracy": result.accuracy,
        "accuracy_interval": list(result.accuracy_interval),
        "cross_entropy": result.cross_entropy,
        "model_digest": result.model_digest,
    }
    return Outcome(metrics, inputs={"preprocess/store.h5": result.store_digest})


def _train_runtime(config: Config) -> dict[str, Any]:
    from mnist_cli.stages.runtime import expected_runtime

    return expected_runtime(config.train.device, config.train.strategy)


_STORE = ("preprocess", "store.h5")

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            name="fetch",
            version=1,
            inputs=(),
            outputs=tuple(FILE_NAMES.values()),
            scratch="partial",
            parameters=_fetch_parameters,
            run=_run_fetch,
        ),
        Stage(
            name="preprocess",
            version=1,
            inputs=tuple(("fetch", name) for name in FILE_NAMES.values()),
            outputs=("store.h5",),
            scratch="partial",
            parameters=lambda config: _values(config, "dataset", "preprocess.validation_size"),
            run=_run_preprocess,
        ),
        Stage(
            name="train",
            version=3,
            inputs=(_STORE,),
            outputs=("model.h5", "history.jsonl"),
            scratch="checkpoints",
            parameters=_train_parameters,
            run=_run_train,
            runtime=_train_runtime,
        ),
        Stage(
            name="eval",
            version=1,
            inputs=(("train", "model.h5"), _STORE),
            outputs=("metrics.json",),
            scratch="partial",
            parameters=lambda config: _values(config, "eval.split"),
            run=_run_evaluate,
        ),
    )
}


def upstream(stage: Stage) -> tuple[Stage, ...]:
    """Return the stages that `stage` reads from, directly or not, in pipeline order."""
    wanted = {name for name, _ in stage.inputs}
    for name in reversed(list(STAGES)):
        if name in wanted:
            wanted |= {source for source, _ in STAGES[name].inputs}
    return tuple(STAGES[name] for name in STAGES if name in wanted)
