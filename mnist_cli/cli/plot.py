"""`mnist plot`: pictures of the model and of how it did."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cli.cli.drawing import print_drawing, screen
from mnist_cli.cli.options import OfRun, flag, option
from mnist_cli.cli.published import Chosen, command_for, fitting_store
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import FormatError, InputError, MnistError, UsageError
from mnist_cli.stages.stage import EVALUATION, HISTORY
from mnist_cli.text import plural, printable, signed

if TYPE_CHECKING:
    from mnist_cli.formats.history import Record
    from mnist_cli.formats.model import Model
    from mnist_cli.stages.stage import Pipeline

_FORMATS = ("png", "svg", "pdf")  # those of the plots, without importing Matplotlib to refuse others
_MISTAKES = 24  # how many are drawn: four rows of six
_PAIRS = 20  # confusions that are printed where the matrix does not fit
_MAPS = 4  # of a step that are drawn in the terminal
_NAME = 40  # characters of a class name beside the matrix
_CURVE_LINES = 8


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
        int | None, typer.Argument(metavar="N", min=0, help="Whose features: an image's number.", show_default=False)
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
    """Draw the model's weights, its confusion matrix, its training, its worst mistakes, or the features of an image.

    features N shows image N on its way through the model's feature map. The name's ending says whether it is a PNG, an
    SVG or a PDF; without --output it is artifacts/plots/WHAT.png, and of a kept run artifacts/plots/WHAT-RUN.png. Blue
    is evidence for a class and red against it.

    Example: mnist plot weights --output weights.svg
    """
    if show and (output is not None or session.output.as_json):
        raise UsageError("--show draws in the terminal: it cannot be combined with --output or --json")
    if split and what not in ("mistakes", "features"):
        raise UsageError(f"--split {split}: 'mnist plot mistakes' and 'features' take it; received 'mnist plot {what}'")
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
    read, print_lines = _PLOTS[what]
    content = read(session, chosen, split or "test", number or 0)
    if show:
        print_lines(session, *content)
        return
    from mnist_cli.pictures.matplotlib_folder import tidy_matplotlib

    with tidy_matplotlib():
        from mnist_cli.pictures import feature_plot, plots

        draw = getattr(feature_plot if what == "features" else plots, what)
        drawn = plots.render(draw, *content, format_=format_, dpi=dpi)
    _publish(target, drawn, make_folder=output is None)
    session.output.document(plot=what, file=str(target))
    session.output.line(f"{what}: {printable(target)}")


def _publish(target: Path, content: bytes, *, make_folder: bool) -> None:
    from mnist_cli import files

    try:
        if make_folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(target, content)
    except OSError as error:  # which would name the temporary file
        raise MnistError(
            f"{printable(target)}: {error.strerror}",
            hint="name another file with --output; the old one, if any, is unchanged",
        ) from error


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
    if chosen.run:  # its record has no matrix
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
            raise ValueError("nothing")
        for record in records:  # text in place of a number would fail inside Matplotlib
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


def _features(session: Session, chosen: Chosen, split: str, number: int) -> tuple[Any, ...]:
    """Return the steps of an image through the model's map, and the title.

    Raises:
        UsageError: the model looks at pixels, or there is no such image.
    """
    from mnist_cli.maps.trace import trace

    model = chosen.model()
    if model.feature_map is None:
        raise UsageError(
            "the model looks at pixels: nothing happens to an image on the way",
            hint="run 'mnist run --recipe scattering'",
        )
    store = fitting_store(session, model)
    examples = getattr(store, split)
    if number >= len(examples):
        raise UsageError(f"--split {split}: expected 0 to {len(examples) - 1:,}; received {number:,}")
    name = printable(model.classes[int(examples.labels[number])])
    title = f"{split} image {number:,}, {name}: {len(model.weights):,} features of {model.feature_map.name}"
    return trace(model.feature_map, examples.inputs[number].reshape(model.shape)), title


def _show_features(session: Session, steps: Any, title: str) -> None:
    terminal = screen()
    session.output.line(title, bold=True)
    for step in steps:
        branch = f"branch {'.'.join(map(str, step.branch))}: " if step.branch else ""
        limit = float(abs(step.maps).max()) or 1.0
        session.output.line(f"{branch}{step.op}, {plural(len(step.maps), 'map')}", bold=True)
        drawings = [
            (
                "",
                terminal.weights(values, limit)
                if step.is_signed
                else terminal.ink((values / limit * 255).astype("u1")),
            )
            for values in step.maps[:_MAPS]
        ]
        print_drawing(session.output, terminal.side_by_side(drawings))


def _show_weights(session: Session, model: Model) -> None:
    terminal = screen()
    limit = float(abs(model.weights).max())
    drawings = [
        (
            f"{printable(name)}  b {signed(model.bias[label])}",
            terminal.weights(model.layout.picture(model.weights[:, label], terminal.widest), limit),
        )
        for label, name in enumerate(model.classes)
    ]
    print_drawing(session.output, terminal.side_by_side(drawings))
    session.output.line(f"from {-limit:+.2f} (red, -) to {limit:+.2f} (blue, +)")


def _show_confusion(session: Session, matrix: Any, names: list[str], title: str) -> None:
    """Print the matrix, or the most frequent confusions where the terminal is too narrow for it."""
    from rich.cells import cell_len

    from mnist_cli.formats.scoring import confused_pairs

    labels = [printable(name, _NAME) for name in names]
    session.output.line(title, bold=True)
    corner = "true ↓ predicted →"
    width = max(len(f"{matrix.max():,}"), *map(cell_len, labels)) + 1
    margin = max(len(corner), width - 1)
    if margin + width * len(labels) > shutil.get_terminal_size().columns:
        pairs = confused_pairs(matrix, _PAIRS)
        session.output.line(f"the {len(pairs)} most frequent confusions among {len(labels)} classes, true → predicted:")
        for true, said, count in pairs:
            session.output.line(f"{count:>8,} × {labels[true]} → {labels[said]}")
        return
    session.output.line(corner.ljust(margin) + "".join(_right(label, width) for label in labels))
    terminal, shares = screen(), matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    for true, (label, row) in enumerate(zip(labels, matrix.tolist(), strict=True)):
        cells = [f"{f'{count:,}' if count else '·':>{width}}" for count in row]
        if terminal.in_colour:  # right answers blue, wrong ones the redder the more there are
            limits = [1.0 if said == true else -min(1.0, 8 * shares[true, said]) for said in range(len(row))]
            cells = [terminal.on_colour(cell, limit) for cell, limit in zip(cells, limits, strict=True)]
        session.output.drawing(f"{_right(label, margin)}{''.join(cells)}")


def _right(text: str, width: int) -> str:
    """Return a text at the right end of so many characters of the terminal; some letters take up two."""
    from rich.cells import cell_len

    return " " * (width - cell_len(text)) + text


def _show_history(session: Session, records: tuple[Record, ...]) -> None:
    """Draw the losses as curves, and print the records below them."""
    from mnist_cli.pictures.braille import curve

    columns = min(80, shutil.get_terminal_size().columns) - 10
    lines = [("training loss", [(record.step, record.loss) for record in records])]
    validated = [(r.step, r.validation_loss) for r in records if r.validation_loss is not None]
    lines += [("validation loss", validated)] if validated else []
    values = [value for _, points in lines for _, value in points]
    up, across = (min(values), max(values)), (records[0].step, records[-1].step)
    for name, points in lines if columns > 10 and len(records) > 1 else []:
        session.output.line(name, bold=True)
        drawn = curve(points, columns, _CURVE_LINES, across, up)
        for index, line in enumerate(drawn):
            mark = {0: f"{up[1]:.4f}", _CURVE_LINES - 1: f"{up[0]:.4f}"}.get(index, "")
            session.output.drawing(f"{mark:>8} {line.rstrip(chr(0x2800))}".rstrip())
        session.output.line(f"{'':>8} {across[0]:,}{across[1]:>{columns - len(f'{across[0]:,}')},}")
    session.output.line(f"{'step':>8}  {'loss':>9}  {'validation':>10}  {'accuracy':>9}", bold=True)
    for record in records:
        loss = "-" if record.validation_loss is None else f"{record.validation_loss:.4f}"
        accuracy = "-" if record.validation_accuracy is None else f"{100 * record.validation_accuracy:.2f} %"
        session.output.line(f"{record.step:>8,}  {record.loss:>9.4f}  {loss:>10}  {accuracy:>9}")


def _show_mistakes(session: Session, found: Any, images: Any, classes: tuple[str, ...], title: str) -> None:
    session.output.line(title, bold=True)
    terminal = screen()
    drawings = [
        (
            f"{mistake.index:,}: {printable(classes[mistake.label])} → {printable(classes[mistake.prediction])} "
            f"{100 * mistake.probability:.0f} %",
            terminal.ink(image),
        )
        for mistake, image in zip(found, images, strict=True)
    ]
    print_drawing(session.output, terminal.side_by_side(drawings))


# How each is read, as arguments of the function of that name in pictures/plots.py, and how it is drawn in the terminal.
_PLOTS: dict[str, tuple[Callable[[Session, Chosen, str, int], tuple[Any, ...]], Callable[..., None]]] = {
    "weights": (_weights, _show_weights),
    "confusion": (_confusion, _show_confusion),
    "history": (_history, _show_history),
    "mistakes": (_mistakes, _show_mistakes),
    "features": (_features, _show_features),
}


def _read_file(path: Path, command_to_run: str) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: it is missing or cannot be read; the hint is the command that makes it.
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
