"""The stage `train`: turns a store into a model.

TensorFlow is imported by the call, only after the settings and the store have been checked.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mnist_cli import environment, files
from mnist_cli.config.declarations import Config
from mnist_cli.errors import ConfigError
from mnist_cli.formats import HISTORY_NAME, MODEL_NAME
from mnist_cli.learning.optimizers import keras_runtime
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.progress import SILENT, Progress
from mnist_cli.stages.general import check_seed
from mnist_cli.stages.stage import HISTORY, MODEL, STORE, Job, Outcome, Resumable, Resume, Stage
from mnist_cli.text import percent, plural, printable, short

if TYPE_CHECKING:
    from mnist_cli.formats.history import Record
    from mnist_cli.formats.model import Model

CHECKPOINTS = "checkpoints"
# The devices of the drivers of NVIDIA, AMD and WSL.
_GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_PARTS = ("import", "load", "compile", "steps", "validation", "checkpoints")


@dataclass(frozen=True)
class TrainResult:
    """The result of a training run.

    Attributes:
        steps: training steps.
        examples: examples seen: steps times the batch size.
        resumed_from: step of the checkpoint that this call resumed from, or 0.
        model_step: the step whose model was published; before `steps` only with select="best".
        loss: mean training loss, in nats, over the steps from the previous record to that step.
        validation_loss, validation_accuracy: of the published model; None when the validation split is empty.
        model_digest: SHA-256 over the bytes of W and b.
        store_digest: content digest of the store that was read.
        runtime: what could move the bits: for a Keras optimizer the versions of Keras and TensorFlow and the device;
            else empty.
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
    settings: TrainSettings | None = None,
    *,
    seed: int = 0,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
    resume: Resume = "auto",
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a softmax regression and write `model.h5` and `history.jsonl` into `folder`.

    With the strategy "multiworker", all processes that TF_CONFIG or Slurm names call this function; only the first,
    the chief, reads checkpoints and writes files.

    Args:
        store: the store to train on.
        folder: folder for the results; created if missing.
        settings: how to train; by default as in the tutorial.
        seed: seed of the order of the examples, 0 to 2^63 - 1.
        checkpoints: the folder of the checkpoints; `folder`/checkpoints by default.
        tensorboard: folder for TensorBoard's event files: losses, accuracy, and W as images; by default
            `folder`/tensorboard if the settings ask for them.
        resume: "auto" resumes from the newest checkpoint of the same course, if there is one; "require" demands one;
            "never" removes the checkpoints of this course and starts over. The number of steps may differ: a longer
            run resumes from a shorter one, unless the schedule spans all steps, which makes it another course.
        progress: progress callback.

    Raises:
        ConfigError: a GPU is demanded and there is none, `early_stopping` or `select` lacks a validation split, or
            the warm-up is longer than the run.
        InputError: the store is missing or damaged, TensorFlow cannot be imported, or the checkpoints do not allow
            what `resume` demands.
        TrainingDiverged: W, b or the loss left the range of exact arithmetic; what was published before is unchanged.
        Interrupted: on SIGINT or SIGTERM; the next call resumes from there.
        WorkerLost: another worker did not start, ended or does not answer; start all workers again to resume.
        NothingToTrain: the chief has nothing to train.
        OSError: a file cannot be written.
    """
    from mnist_cli.formats.history import write_history
    from mnist_cli.formats.model import save_model
    from mnist_cli.learning import tensorflow_setup
    from mnist_cli.learning.data import load_data
    from mnist_cli.learning.stopwatch import Stopwatch

    settings = settings or TrainSettings()
    _check(seed, resume)
    stopwatch = Stopwatch()
    with stopwatch.on("load"):
        data = load_data(store)
    settings.check_data(len(data.labels), len(data.validation_labels))
    with stopwatch.on("import"):
        progress.start("load TensorFlow", None, "")
        try:
            tensorflow_setup.import_tensorflow()
        finally:
            progress.finish()
        from mnist_cli.learning.training import Run
    target = Path(folder)
    events = (tensorboard or target / "tensorboard") if settings.tensorboard else None
    with environment.prepared_for_training(by_workers=settings.strategy == "multiworker"):
        run = Run(settings, seed, TRAIN.version, data, checkpoints or target / CHECKPOINTS, stopwatch, progress, events)
        trained = run.train(resume)
        if run.writes:
            target.mkdir(parents=True, exist_ok=True)
            write_history(target / HISTORY_NAME, trained.history)
            save_model(target / MODEL_NAME, trained.model)
        run.forget()
    record = trained.record
    _warn_if_useless(record, trained.model, settings.rate, progress)
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
        runtime=dict(trained.runtime),
        seconds={name: round(stopwatch.seconds.get(name, 0.0), 4) for name in _PARTS},
    )


def dismiss_workers() -> None:
    """As the chief, tell each worker that connects that there is nothing to train.

    Raises:
        ConfigError: neither TF_CONFIG nor Slurm names the workers.
        WorkerLost: some workers did not connect.
    """
    from mnist_cli.learning import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    from mnist_cli.learning.distributed.cluster import dismiss_workers as dismiss

    dismiss()


def _check(seed: object, resume: object) -> None:
    problems: list[str] = []
    try:
        check_seed(seed)
    except ConfigError as error:
        problems += error.problems
    if resume not in get_args(Resume):
        problems.append(f"resume: expected auto, require or never; received {printable(resume, 80)}")
    if problems:
        raise ConfigError(problems)


def _warn_if_useless(record: Record, model: Model, rate: float, progress: Progress) -> None:
    """Warn about a model no better than its zero start, which gives every class the share 1/K and the loss ln K."""
    if not model.weights.any() and not model.bias.any():
        progress.warn(
            "every weight is still zero, so the model is useless; "
            f"train.learning_rate, which was {rate:g}, is probably too small"
        )
        return
    # The training loss is a mean over the steps since the record before, the first and worst ones perhaps among them.
    loss, guessing = record.validation_loss, math.log(len(model.classes))
    if loss is not None and loss > guessing:
        progress.warn(
            f"the validation loss {loss:.4g} is above {guessing:.4g}, the loss of guessing; "
            f"train.learning_rate, which was {rate:g}, is probably too large"
        )


def _run(job: Job) -> Outcome:
    files.refuse_links(job.current / "tensorboard", job.current)
    result = train(
        job.input(STORE),
        job.new,
        job.config.of(TrainSettings),
        seed=job.config.value("seed"),
        checkpoints=job.scratch,
        # Not an output: TensorBoard may read it while it is written, and it stays if training fails.
        tensorboard=job.current / "tensorboard",
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
    return Outcome(metrics, runtime=result.runtime, inputs={STORE: [result.store_digest]})


def _summary(metrics: Mapping[str, Any]) -> str:
    model_step = metrics.get("model_step", metrics["steps"])
    chosen = f", the best at {model_step:,}" if model_step != metrics["steps"] else ""
    accuracy = metrics["validation_accuracy"]
    validated = "" if accuracy is None else f", validation accuracy {percent(accuracy)}"
    return (
        f"{plural(metrics['steps'], 'step')}{chosen}, loss {short(metrics['loss'])}{validated}, "
        f"model {metrics['model_digest'][:12]}"
    )


def _runtime(config: Config) -> dict[str, Any]:
    settings = config.of(TrainSettings)
    if settings.is_exact:
        return {}
    # Without one of these nodes TensorFlow finds no GPU; with one, only TensorFlow can tell.
    without_gpu = sys.platform == "linux" and not any(Path(node).exists() for node in _GPU_NODES)
    likely = "cpu" if without_gpu else None
    return keras_runtime(likely if settings.device == "auto" else settings.device.partition(":")[0])


def _left_over(scratch: Path) -> str | None:
    """Return the newest checkpoint of any course, such as `checkpoints/1f00c2d4/step-00000400`."""
    found = [path for path in scratch.glob("*/step-*") if path.parent.name[0] != "."]
    if not found:
        return None
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    return f"{scratch.name}/{newest.parent.name}/{newest.name}"


def _resumable(scratch: Path, config: Config) -> list[Resumable]:
    """Return how far each course got, with those of its parameters that differ from the configuration."""
    from mnist_cli.config.template import yaml_value

    own, declared = config.of(TrainSettings).course(config.value("seed")), config.values()
    found = []
    for course in scratch.iterdir() if scratch.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            place = max(
                (path for path in course.glob("step-*") if path.name[5:].isdigit()), key=lambda p: int(p.name[5:])
            )
            state = json.loads(files.read_regular(place / "state.json"))
            decisive = {path: value for path, value in state["course"].items() if path in declared}
            other = [f"{path}={yaml_value(value)}" for path, value in decisive.items() if own.get(path) != value]
            reached = Resumable(course, int(state["step"]), decisive, printable(" ".join(other)))
            found.append((place.stat().st_mtime_ns, reached))
    found.sort(key=lambda one: -one[0])
    return [reached for _, reached in found]


def _is_shared(config: Config) -> bool:
    return config.of(TrainSettings).strategy == "multiworker"


def _is_chief() -> bool:
    from mnist_cli.learning.distributed.setting import this_worker

    return this_worker().is_chief


def _not_in_sweep(config: Config) -> Iterator[str]:
    if not config.value("preprocess.validation_size"):
        yield "preprocess.validation_size: expected more than 0, since points are compared on the validation split"
    if _is_shared(config):
        yield "train.strategy: expected single or mirrored, since a sweep trains in one process"


def _slow_import() -> None:
    from mnist_cli.learning import tensorflow_setup

    tensorflow_setup.import_in_background()


TRAIN = Stage(
    settings=TrainSettings,
    version=5,
    inputs=(STORE,),
    outputs={MODEL_NAME: MODEL, HISTORY_NAME: HISTORY},
    run=_run,
    help="""Train the softmax regression y = softmax(xW + b).

    Ctrl-C keeps what was learned. The same command resumes from there and ends with the same bits as an uninterrupted
    run.

    Example: mnist train --steps 2000 --learning-rate 0.3
    """,
    summary=_summary,
    general=("seed",),
    takes=frozenset({"resume", "workers"}),
    scratch=CHECKPOINTS,
    runtime=_runtime,
    left_over=_left_over,
    resumable=_resumable,
    in_sweep={"train.keep_checkpoints": 0, "train.tensorboard": False},
    not_in_sweep=_not_in_sweep,
    is_shared=_is_shared,
    alone={"train.strategy": "single"},
    is_chief=_is_chief,
    dismiss=dismiss_workers,
    slow_import=_slow_import,
)
