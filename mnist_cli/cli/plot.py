"""`mnist plot`: pictures of the model and its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import OfRun, flag, option
from mnist_cli.cli.published import Chosen, command_for, fitting_store
from mnist_cli.cli.session import Session
from mnist_cli.errors import FormatError, InputError, UsageError
from mnist_cli.stages.stage import EVALUATION, HISTORY
from mnist_cli.text import listed, plural, printable

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline

_FORMATS = ("png", "svg", "pdf")  # as in pictures/plots.py, which would import Matplotlib
_OF_A_SPLIT = ("calibration", "mistakes", "features")
_MISTAKES = 24  # how many are drawn: four rows of six


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "plot")(plot)


def plot(
    session: Session,
    what: Annotated[
        Literal["weights", "confusion", "calibration", "history", "mistakes", "features"],
        typer.Argument(
            metavar="WHAT",
            help="weights, confusion, calibration, history, mistakes or features.",
            show_default=False,
        ),
    ],
    number: Annotated[
        int | None, typer.Argument(metavar="N", min=0, help="With features: the image's number.", show_default=False)
    ] = None,
    *,
    output: Annotated[
        Path | None, option("--output", "-o", metavar="FILE", help="A .png, .svg or .pdf, instead of artifacts/plots/.")
    ] = None,
    split: Annotated[
        Literal["test", "validation", "train"] | None,
        option("--split", metavar="SPLIT", help="The split of the mistakes or the image: test, validation or train."),
    ] = None,
    dpi: Annotated[
        int, option("--dpi", metavar="N", min=20, max=1200, help="Pixels an inch of a PNG; 150 if left out.")
    ] = 150,
    show: Annotated[bool, flag("--show", help="Draw in the terminal instead of into a file.")] = False,
    run: OfRun = None,
) -> None:
    """Draw the model's weights, its confusion matrix, its calibration, its training or its worst mistakes.

    calibration compares how sure the model is with how often it is right. features N shows image N on its way through
    the model's feature map. The file name's ending says PNG, SVG or PDF; without --output the file is
    artifacts/plots/WHAT.png, and for a kept run artifacts/plots/WHAT-RUN.png. Blue is evidence for a class, red against
    it.

    Example: mnist plot weights --output weights.svg
    """
    if show and (output is not None or session.output.as_json):
        raise UsageError("--show draws in the terminal: it cannot be combined with --output or --json")
    if split and what not in _OF_A_SPLIT:
        raise UsageError(f"--split {split}: expected {listed(_OF_A_SPLIT, 'or')} with it; received {what}")
    if (number is None) == (what == "features"):
        expected = (
            "an image's number, as in 'mnist plot features 8'" if number is None else "a number with features only"
        )
        raise UsageError(f"mnist plot {what}: expected {expected}")
    chosen = Chosen(session, run)
    name = f"{what}-{chosen.run.id}" if chosen.run else what
    target = output or session.artifacts.root / "plots" / f"{name}.png"
    format_ = target.suffix.lower().removeprefix(".")
    if format_ not in _FORMATS:
        endings = ".png, .svg or .pdf"
        raise UsageError(f"--output: expected a name that ends in {endings}; received '{printable(target)}'")
    content = _READ[what](session, chosen, split or "test", number or 0)
    if show:
        from mnist_cli.cli import plot_lines

        getattr(plot_lines, what)(session, *content)
        return
    from mnist_cli.pictures.matplotlib_folder import tidy_matplotlib

    with tidy_matplotlib():
        from mnist_cli.pictures import feature_plot, plots

        draw = getattr(feature_plot if what == "features" else plots, what)
        drawn = plots.render(draw, *content, format_=format_, dpi=dpi)
    from mnist_cli.pipeline.output_files import write_output

    write_output(target, drawn, make_folder=output is None)
    session.output.document(plot=what, file=str(target))
    session.output.line(f"{what}: {printable(target)}")


def _weights(_session: Session, chosen: Chosen, _split: str, _number: int) -> tuple[Any, ...]:
    return (chosen.model(),)


def _confusion(session: Session, chosen: Chosen, _split: str, _number: int) -> tuple[Any, ...]:
    """Return the matrix, the names of the classes and the title.

    Raises:
        InputError: the model or its metrics are missing or damaged, or the metrics are those of another model.
    """
    import json

    import numpy as np

    path = session.artifacts.path(EVALUATION)
    if chosen.run:  # a kept run stores no matrix
        from mnist_cli.runs.evaluating import evaluate_run

        content = evaluate_run(chosen.run, session.load_as_run().config, session.artifacts).content
    else:
        content = _read_file(path, command_for(session, EVALUATION))
    try:
        metrics = json.loads(content)
        matrix = np.array(metrics["confusion"])
        names = [str(entry["name"]) for entry in metrics["classes"]]
        if matrix.dtype != np.int64 or matrix.shape != (len(names), len(names)) or matrix.min() < 0:
            raise ValueError(f"a matrix of {matrix.dtype} {[*matrix.shape]} for {len(names)} classes")
        accuracy = f"{100 * metrics['accuracy']:.2f} %"
        title = f"{metrics['split']} accuracy {accuracy}: {metrics['correct']:,} of {metrics['examples']:,}"
        evaluated = str(metrics["model_digest"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, "metrics with a confusion matrix", error, "mnist eval --force") from error
    trained = chosen.model().digest
    if evaluated != trained:
        raise InputError(
            f"{printable(path)}: the evaluation is of another model\n"
            f"expected model {trained[:12]}; received {printable(evaluated[:12])}",
            hint="run 'mnist eval'",
        )
    return matrix, names, title


def _history(session: Session, chosen: Chosen, _split: str, _number: int) -> tuple[Any, ...]:
    from mnist_cli.formats.history import parse_history

    path = chosen.path(HISTORY)
    content = _read_file(path, command_for(session, HISTORY))
    try:
        records = parse_history(content)
        if not records:
            raise ValueError("no record")
        for record in records:  # text instead of a number would fail inside Matplotlib
            float(record.step), float(record.loss)
            float(record.validation_loss or 0), float(record.validation_accuracy or 0)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, "a record of the training in each line", error, "mnist train --force") from error
    return (records,)


def _mistakes(session: Session, chosen: Chosen, split: str, _number: int) -> tuple[Any, ...]:
    """Return the worst mistakes, their images [n, height, width], the names of the classes and the title."""
    from mnist_cli.pictures.mistakes import mistakes_title, worst_mistakes

    model = chosen.model()
    examples = getattr(fitting_store(session, model), split)
    found, wrong = worst_mistakes(model, examples.inputs, examples.labels, _MISTAKES)
    images = examples.inputs[[mistake.index for mistake in found]].reshape(-1, *model.shape)
    return found, images, model.classes, mistakes_title(split, len(found), wrong, len(examples))


def _calibration(session: Session, chosen: Chosen, split: str, _number: int) -> tuple[Any, ...]:
    """Return how sure the model is on a split compared with how often it is right, and the title.

    Raises:
        UsageError: the split is empty.
    """
    from mnist_cli.formats.calibration import Calibration
    from mnist_cli.formats.scoring import answers

    model = chosen.model()
    examples = getattr(fitting_store(session, model), split)
    if not len(examples):
        raise UsageError(f"--split {split}: that split is empty")
    calibration = Calibration()
    for _, probabilities, labels in answers(model, examples.inputs, examples.labels):
        calibration.add(probabilities, labels)
    error = f"expected calibration error {100 * calibration.error:.2f} %"
    return calibration, f"{split}: {error} over {plural(len(examples), 'image')}"


def _features(session: Session, chosen: Chosen, split: str, number: int) -> tuple[Any, ...]:
    """Return the steps of an image through the model's map, and the title.

    Raises:
        UsageError: the model has no feature map, or the split has no image of this number.
    """
    from mnist_cli.maps.trace import trace

    model = chosen.model()
    if model.feature_map is None:
        raise UsageError(
            "the model has no feature map: it reads pixels",
            hint="run 'mnist run --recipe scattering'",
        )
    store = fitting_store(session, model)
    examples = getattr(store, split)
    if number >= len(examples):
        raise UsageError(f"--split {split}: expected 0 to {len(examples) - 1:,}; received {number:,}")
    name = printable(model.classes[int(examples.labels[number])])
    title = f"{split} image {number:,}, {name}: {len(model.weights):,} features of {model.feature_map.name}"
    return trace(model.feature_map, examples.inputs[number].reshape(model.shape)), title


# How each is read: as the arguments of the functions of that name in plot_lines.py and pictures/plots.py.
_READ: dict[str, Callable[[Session, Chosen, str, int], tuple[Any, ...]]] = {
    "weights": _weights,
    "confusion": _confusion,
    "calibration": _calibration,
    "history": _history,
    "mistakes": _mistakes,
    "features": _features,
}


def _read_file(path: Path, command_to_run: str) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: it is missing or unreadable; the hint names the command that makes it.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{printable(path)}: no such file", hint=f"run '{command_to_run}'") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: {error.strerror}", hint=f"run '{command_to_run}'") from error


def _damaged(path: Path, expected: str, error: Exception, command_to_run: str) -> FormatError:
    received = f"{type(error).__name__}: {printable(error)}"
    return FormatError(path, "damaged", expected=expected, received=received, hint=f"run '{command_to_run}'")
