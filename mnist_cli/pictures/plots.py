"""Figures of a model and its evaluation, as PNG or SVG; the same figures give the same bytes.

No pyplot: a figure belongs to whoever made it, and no display or global state is asked for.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mnist_cli.pictures.colours import BLUE, RED, WHITE
from mnist_cli.pictures.mistakes import Mistake
from mnist_cli.text import printable, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mnist_cli.formats.history import Record
    from mnist_cli.formats.model import Model

FORMATS = ("png", "svg")

_HEX = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in (RED, WHITE, BLUE)]
_DIVERGING = LinearSegmentedColormap.from_list("against and for", _HEX)
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", _HEX[1::-1])
_GREY, _INK = "#666666", "#222222"
_DOTS_PER_INCH = 150
_STYLE = {
    "svg.hashsalt": "mnist",  # else the ids in an SVG file are random
    "text.parse_math": False,  # a class may be called $x$
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "text.color": _INK,
}
# Up to this many classes their numbers are readable in the squares of the matrix.
_MOST_NUMBERS = 26


def render(draw: Any, *arguments: Any, format_: str, **keywords: Any) -> bytes:
    """Return the bytes of the figure that a function of this module draws.

    Args:
        draw: one of the functions below.
        arguments, keywords: what it takes.
        format_: one of FORMATS.
    """
    metadata = {"Software": None} if format_ == "png" else {"Date": None, "Creator": None}
    content = io.BytesIO()
    # Whatever style the user's own matplotlibrc asks for, the figure is this one.
    with matplotlib.style.context(["default", _STYLE], after_reset=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class name in a script that the font lacks is drawn as boxes
        figure = draw(*arguments, **keywords)
        figure.savefig(content, format=format_, dpi=_DOTS_PER_INCH, metadata=metadata, facecolor="white")
    return content.getvalue()


def weights(model: Model, shape: tuple[int, int]) -> Figure:
    """Return W as one image for each class on a common scale: red = negative, blue = positive.

    Args:
        model: what to show.
        shape: height and width of an image.
    """
    limit = float(np.abs(model.weights).max()) or 1.0
    columns, rows = _grid(len(model.bias))
    figure = Figure(figsize=(1.5 * columns + 1.2, 1.75 * rows + 0.6), layout="constrained")
    figure.suptitle("What each pixel says for a class (blue) or against it (red)")
    axes = figure.subplots(rows, columns, squeeze=False)
    image = None
    for label, one in enumerate(axes.flat):
        one.set_axis_off()
        if label < len(model.bias):
            picture = model.weights[:, label].reshape(shape)
            image = one.imshow(picture, cmap=_DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
            one.set_title(f"{printable(model.classes[label])}  (b {signed(model.bias[label])})")
    assert image is not None
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8).outline.set_visible(False)
    return figure


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """Return how many examples of each class were taken for which.

    Args:
        matrix: int64 [K, K], examples by [true label][predicted label].
        classes: K names.
        title: what was measured.
    """
    count = len(classes)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # What is right is most of every row; on a scale of its own, what is wrong can be told apart.
    right = np.eye(count, dtype=bool)
    worst = float(share[~right].max()) if count > 1 else 0.0
    side = max(4.5, 0.62 * min(count, 40))
    figure = Figure(figsize=(side + 1.4, side + 0.6), layout="constrained")
    axes = figure.subplots()
    mistakes = axes.imshow(np.ma.array(share, mask=right), cmap=_MISTAKES, vmin=0, vmax=worst or 1)
    axes.imshow(
        np.ma.array(np.ones_like(share), mask=~right), cmap=LinearSegmentedColormap.from_list("", ["#d1e5f0"] * 2)
    )
    if count <= _MOST_NUMBERS:
        for row, column in np.ndindex(matrix.shape):
            if matrix[row, column]:
                percent = f"{100 * share[row, column]:.1f} %"
                is_dark = row != column and share[row, column] > 0.6 * worst
                colour = "white" if is_dark else _INK
                axes.text(
                    column, row - 0.14, f"{matrix[row, column]:,}", ha="center", va="center", color=colour, size=9
                )
                axes.text(column, row + 0.24, percent, ha="center", va="center", color=colour, size=6.5)
    names = [printable(name) for name in classes]
    rotation = 90 if max(map(len, names)) > 4 else 0
    axes.set_xticks(range(count), names, rotation=rotation)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    bar = figure.colorbar(mistakes, ax=axes, shrink=0.7, label="mistakes, share of the true class")
    bar.ax.yaxis.set_major_formatter(
        lambda value, _position: f"{100 * value:.0f} %" if worst > 0.03 else f"{100 * value:.1f} %"
    )
    bar.outline.set_visible(False)
    return figure


def history(records: Sequence[Record]) -> Figure:
    """Return the losses and the validation accuracy against the step; `records` holds one at least."""
    validated = [record for record in records if record.validation_loss is not None]
    figure = Figure(figsize=(7, 6 if validated else 3.4), layout="constrained")
    losses, *rest = np.atleast_1d(np.asarray(figure.subplots(2 if validated else 1, 1, sharex=True), dtype=object))
    steps = [record.step for record in records]
    blue, red = _HEX[2], _HEX[0]
    _line(losses, steps, [record.loss for record in records], blue, "training")
    if validated:
        steps = [record.step for record in validated]
        _line(losses, steps, [record.validation_loss for record in validated], red, "validation")
        losses.legend(frameon=False)
        (accuracy,) = rest
        percents = [100 * (record.validation_accuracy or 0) for record in validated]
        _line(accuracy, steps, percents, red, "validation")
        accuracy.annotate(
            f"{percents[-1]:.2f} %",
            (steps[-1], percents[-1]),
            (-4, -8),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        accuracy.set(ylabel="accuracy in %", title="Validation accuracy")
    losses.set(ylabel="cross-entropy in nats", title="Loss")
    figure.axes[-1].set_xlabel("step")
    figure.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def mistakes(found: Sequence[Mistake], images: npt.NDArray[np.uint8], classes: Sequence[str], title: str) -> Figure:
    """Return the images that the model gets wrong, each with its label and what it was taken for.

    Args:
        found: what to show.
        images: uint8 [len(found), height, width], 0 = background.
        classes: name of each label.
        title: what was measured.
    """
    columns, rows = (6, max(1, -(-len(found) // 6)))
    figure = Figure(figsize=(1.45 * columns, 1.75 * rows + 0.6), layout="constrained")
    figure.suptitle(title)
    for one in figure.subplots(rows, columns, squeeze=False).flat:
        one.set_axis_off()
    for axes, mistake, image in zip(figure.axes, found, images, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
        names = printable(classes[mistake.label]), printable(classes[mistake.prediction])
        axes.set_title(f"{names[0]} → {names[1]}  {100 * mistake.probability:.0f} %", size=10)
        axes.text(
            0.5, -0.02, f"image {mistake.index:,}", transform=axes.transAxes, ha="center", va="top", size=7, color=_GREY
        )
    return figure


def _line(axes: Axes, steps: Sequence[int], values: Sequence[Any], colour: str, label: str) -> None:
    marker = "o" if len(steps) <= 30 else None
    axes.plot(steps, values, color=colour, marker=marker, markersize=3.5, label=label)
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _grid(count: int) -> tuple[int, int]:
    """Return columns and rows for so many images: 5 × 2 for ten."""
    columns = math.ceil(math.sqrt(2 * count)) if count > 3 else count
    return columns, math.ceil(count / columns)
