"""Images and probabilities on standard output, as wide and as colourful as the terminal is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mnist_cli.cli.output import Output
from mnist_cli.cli.terminal import PALETTE, colours_of
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.pictures.terminal import Screen

_BAR_WIDTH = 40  # characters for a probability of 1, where the terminal is wide enough
_SHORTEST_BAR = 5
_BARS = 26  # classes at most that all get a bar; of more, the likeliest ten and the label
_LIKELIEST = 10


def screen() -> Screen:
    """Return what images are drawn on: standard output."""
    from mnist_cli.pictures.terminal import Screen

    colours = colours_of(sys.stdout)
    return Screen(shutil.get_terminal_size().columns, bool(colours), colours == PALETTE)


def print_drawing(output: Output, lines: Iterable[str]) -> None:
    """Print an image's lines."""
    for line in lines:
        output.drawing(line.rstrip())


def print_bars(
    output: Output, classes: Sequence[str], probabilities: Sequence[float], label: int | None = None
) -> None:
    """Print each class's probability as a bar; the largest one green if it is the label's, red if it is another's.

    Of many classes only the likeliest and the label are printed, the likeliest first.
    """
    from rich.cells import cell_len, set_cell_size

    shown = list(range(len(probabilities)))
    likeliest = sorted(shown, key=lambda k: -probabilities[k])
    best = likeliest[0]
    if len(shown) > _BARS:
        shown = likeliest[:_LIKELIEST]
        if label is not None and label not in shown:
            shown.append(label)
    columns = shutil.get_terminal_size().columns
    names = [printable(classes[index]) for index in shown]
    widest = min(max(3, *map(cell_len, names)), max(3, columns // 2))
    width = min(_BAR_WIDTH, max(_SHORTEST_BAR, columns - 12 - widest))
    for index, name in zip(shown, names, strict=True):
        fitted = set_cell_size(name, widest) if cell_len(name) > widest else " " * (widest - cell_len(name)) + name
        bar = "█" * round(probabilities[index] * width)
        colour = {None: "cyan", best: "green"}.get(label, "red")
        style = {"fg": colour} if index == best else {}
        output.line(f"{fitted} {100 * probabilities[index]:6.2f} % {bar}".rstrip(), **style)
    if hidden := len(probabilities) - len(shown):
        rest = 100 * (sum(probabilities) - sum(probabilities[index] for index in shown))
        output.line(f"{'…'.rjust(widest)} {max(rest, 0):6.2f} % for the other {hidden} classes")
