"""Draw images and probabilities on standard output, in the width and colours of the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from mnist_cli.cli.output import Output
from mnist_cli.cli.terminal import PALETTE, colours_of, encodes, styled
from mnist_cli.text import percent, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.model import Model
    from mnist_cli.pictures.terminal import Drawing, Screen

_BAR_WIDTH = 40  # characters for a probability of 1, if the terminal is wide enough
_SHORTEST_BAR = 5
_BESIDE = 36  # free columns that bars need beside an image; with fewer they stand below it
_GAP = "  "
_BARS = 26  # up to this many classes all get a bar; of more, the likeliest ten and the label
_LIKELIEST = 10


def screen() -> Screen:
    """Return standard output as a screen to draw on."""
    from mnist_cli.pictures.terminal import Screen

    colours = colours_of(sys.stdout)
    return Screen(shutil.get_terminal_size().columns, bool(colours), colours == PALETTE)


def print_drawing(output: Output, lines: Iterable[str]) -> None:
    """Print an image's lines."""
    for line in lines:
        output.drawing(line.rstrip())


def answer_of(model: Model, pixels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Return what a model says about one image, uint8 [height, width], as JSON documents have it."""
    probabilities = [float(value) for value in model.probabilities(pixels.ravel())[0]]
    best = probabilities.index(max(probabilities))
    return {"prediction": best, "class": model.classes[best], "probabilities": probabilities}


def print_answer(
    output: Output,
    name: str,
    answer: Mapping[str, Any],
    classes: Sequence[str],
    label: int | None,
    drawing: Drawing | None,
    *,
    bars: bool,
) -> None:
    """Print what a model says about one image.

    Args:
        output: where to print.
        name: the image's name.
        answer: see `answer_of`.
        classes: K names.
        label: the true class, if it is known.
        drawing: of the image, or None.
        bars: whether to print the probability of each class, beside the drawing if there is room.
    """
    probabilities = answer["probabilities"]
    truth = "" if label is None else f" (label {printable(classes[label])})"
    share = percent(probabilities[answer["prediction"]])
    output.line(f"{name}: {printable(answer['class'])}{truth}, {share}", bold=True)
    columns = shutil.get_terminal_size().columns
    free = columns - drawing.width - len(_GAP) if drawing else columns
    is_beside = bars and free >= _BESIDE
    if drawing and not is_beside:
        print_drawing(output, drawing.lines)
    lines = probability_bars(classes, probabilities, label, free if is_beside else columns) if bars else []
    print_drawing(output, _beside(drawing, lines) if drawing and is_beside else lines)


def _beside(drawing: Drawing, lines: list[str]) -> Iterator[str]:
    """Yield the lines of a drawing with other lines to its right, at mid-height."""
    above = [""] * ((len(drawing.lines) - len(lines)) // 2)
    for left, right in zip_longest(drawing.lines, above + lines, fillvalue=""):
        yield f"{left or ' ' * drawing.width}{_GAP}{right}"


def probability_bars(
    classes: Sequence[str],
    probabilities: Sequence[float],
    label: int | None,
    columns: int,
) -> list[str]:
    """Return each class's probability as a line with a bar; the largest green if it is the label's, else red.

    Of many classes only the likeliest and the label get a line, the likeliest first.

    Args:
        classes: K names.
        probabilities: of each.
        label: the true class, if it is known; without it the largest probability is cyan.
        columns: how wide a line may be.
    """
    from rich.cells import cell_len, set_cell_size

    shown = list(range(len(probabilities)))
    likeliest = sorted(shown, key=lambda k: -probabilities[k])
    best = likeliest[0]
    if len(shown) > _BARS:
        shown = likeliest[:_LIKELIEST]
        if label is not None and label not in shown:
            shown.append(label)
    names = [printable(classes[index]) for index in shown]
    widest = min(max(3, *map(cell_len, names)), max(3, columns // 2))
    width = min(_BAR_WIDTH, max(_SHORTEST_BAR, columns - 12 - widest))
    lines, block = [], "█" if encodes("█", sys.stdout) else "#"
    for index, name in zip(shown, names, strict=True):
        fitted = set_cell_size(name, widest) if cell_len(name) > widest else " " * (widest - cell_len(name)) + name
        bar = block * round(probabilities[index] * width)
        colour = {None: "cyan", best: "green"}.get(label, "red")
        style = {"fg": colour} if index == best else {}
        lines.append(styled(f"{fitted} {100 * probabilities[index]:6.2f} % {bar}".rstrip(), sys.stdout, **style))
    if hidden := len(probabilities) - len(shown):
        rest = 100 * (sum(probabilities) - sum(probabilities[index] for index in shown))
        lines.append(f"{'…'.rjust(widest)} {max(rest, 0):6.2f} % for the other {hidden} classes")
    return lines
