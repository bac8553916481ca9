"""Draw plots in the terminal, for `mnist plot --show`: the same functions as in pictures/plots.py."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from mnist_cli.cli.drawing import print_drawing, screen
from mnist_cli.cli.session import Session
from mnist_cli.cli.terminal import encodes
from mnist_cli.text import percent, plural, printable, signed

if TYPE_CHECKING:
    from mnist_cli.formats.calibration import Calibration
    from mnist_cli.formats.history import Record
    from mnist_cli.formats.model import Model

_CALIBRATION_NUMBERS = 47  # columns before the bar
_CALIBRATION_BAR = 32
_PAIRS = 20  # confusions to print if the matrix does not fit
_MAPS = 4  # maps to draw for each step
_NAME = 40  # characters of a class name beside the matrix
_CURVE_LINES = 8


def features(session: Session, steps: Any, title: str) -> None:
    """Draw the first maps of each step of an image through the feature map."""
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


def weights(session: Session, model: Model) -> None:
    """Draw W as one image for each class."""
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


def confusion(session: Session, matrix: Any, names: list[str], title: str) -> None:
    """Print the matrix, or the most frequent confusions if the terminal is too narrow for it."""
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
        if terminal.in_colour:  # right answers are blue, wrong ones redder the more there are
            limits = [1.0 if said == true else -min(1.0, 8 * shares[true, said]) for said in range(len(row))]
            cells = [terminal.on_colour(cell, limit) for cell, limit in zip(cells, limits, strict=True)]
        session.output.drawing(f"{_right(label, margin)}{''.join(cells)}")


def _right(text: str, width: int) -> str:
    """Return a text right-aligned in `width` columns; some letters take two."""
    from rich.cells import cell_len

    return " " * (width - cell_len(text)) + text


def calibration(session: Session, measured: Calibration, title: str) -> None:
    """Print a line for each bin: its images, the mean probability, the share that is right, and both as a bar."""
    session.output.line(title, bold=True)
    session.output.line(f"{'probability':>17} {'images':>9} {'mean':>8} {'right':>8}", bold=True)
    width = min(_CALIBRATION_BAR, shutil.get_terminal_size().columns - _CALIBRATION_NUMBERS)
    block, mark = "█│" if encodes("█│", sys.stdout) else "#|"
    for entry in measured.bins:
        span = f"{100 * entry.low:.1f} to {100 * entry.high:.1f} %"
        numbers = f"{span:>17} {entry.count:>9,} {100 * entry.confidence:6.1f} % {100 * entry.accuracy:6.1f} %"
        bar = (block * round(entry.accuracy * width)).ljust(width)
        mean = min(width - 1, round(entry.confidence * width))
        session.output.line(f"{numbers} {bar[:mean]}{mark}{bar[mean + 1 :]}".rstrip() if width > 1 else numbers)
    if width > 1:
        session.output.line(f"{block} right, {mark} mean probability of the predicted class")


def history(session: Session, records: tuple[Record, ...]) -> None:
    """Draw the losses as curves and print the records below."""
    from mnist_cli.pictures.braille import curve

    columns = min(80, shutil.get_terminal_size().columns) - 10
    lines = [("training loss", [(record.step, record.loss) for record in records])]
    validated = [(r.step, r.validation_loss) for r in records if r.validation_loss is not None]
    lines += [("validation loss", validated)] if validated else []
    values = [value for _, points in lines for _, value in points]
    up, across = (min(values), max(values)), (records[0].step, records[-1].step)
    is_drawn = columns > 10 and len(records) > 1 and encodes("⣿", sys.stdout)
    for name, points in lines if is_drawn else []:
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


def mistakes(session: Session, found: Any, images: Any, classes: tuple[str, ...], title: str) -> None:
    """Draw the images that the model gets wrong, each with its true class and the predicted one."""
    session.output.line(title, bold=True)
    terminal = screen()
    drawings = [
        (
            f"{mistake.index:,}: {printable(classes[mistake.label])} → {printable(classes[mistake.prediction])} "
            f"{percent(mistake.probability)}",
            terminal.ink(image),
        )
        for mistake, image in zip(found, images, strict=True)
    ]
    print_drawing(session.output, terminal.side_by_side(drawings))
