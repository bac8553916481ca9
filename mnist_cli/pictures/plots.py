"""Figures of a model and its evaluation, as PNG, SVG or PDF; the same figures give the same bytes.

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
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mnist_cli.formats.calibration import BINS
from mnist_cli.formats.scoring import confused_pairs
from mnist_cli.pictures.colours import AGAINST, FOR, NEITHER
from mnist_cli.pictures.mistakes import Mistake
from mnist_cli.text import isolated, percent, printable, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mnist_cli.formats.calibration import Calibration
    from mnist_cli.formats.history import Record
    from mnist_cli.formats.model import Model

FORMATS = ("png", "svg", "pdf")

_HEX = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in (AGAINST, NEITHER, FOR)]
_DIVERGING = LinearSegmentedColormap.from_list("against and for", _HEX)
_BETWEEN_GRIDS = _DIVERGING.with_extremes(bad="#c8c8c8")
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", _HEX[1::-1])
_GREY, _INK, _RIGHT = "#666666", "#222222", "#d6e4fb"  # the last is a light blue
DOTS_PER_INCH = 150
_STYLE = {
    "svg.hashsalt": "mnist",  # else the ids in an SVG file are random
    "svg.fonttype": "none",  # text stays text, that can be searched and copied
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a class may be called $x$
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "text.color": _INK,
}
# Up to this many classes their numbers are readable in the squares of the matrix, and up to the second one the names
# beside it; of more classes every so many-th is named.
_MOST_NUMBERS, _MOST_NAMES = 26, 128
_NAME = 18  # characters of a class name at most
# Inches: an image's longer side, the room for a scale of colours, and the narrowest figure.
_SIDE, _BAR, _NARROWEST = 1.3, 1.35, 3.6
_GRIDS_SIDE, _GRIDS_WIDEST = 2.4, 30  # of the grids of a feature map, and of all of them side by side


def render(draw: Any, *arguments: Any, format_: str, dpi: int = DOTS_PER_INCH, **keywords: Any) -> bytes:
    """Return the bytes of the figure that a function of this module draws.

    Args:
        draw: one of the functions below.
        arguments, keywords: what it takes.
        format_: one of FORMATS.
        dpi: pixels an inch of a PNG, and of the images in the others.
    """
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}.get(
        format_, {"CreationDate": None, "Creator": None, "Producer": None}
    )
    content = io.BytesIO()
    # Whatever style the user's own matplotlibrc asks for, the figure is this one.
    with matplotlib.style.context(["default", _STYLE], after_reset=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class name in a script that the font lacks is drawn as boxes
        figure = draw(*arguments, **keywords)
        figure.savefig(content, format=format_, dpi=dpi, metadata=metadata, facecolor="white")
    return content.getvalue()


def weights(model: Model) -> Figure:
    """Return W as one image for each class on a common scale: red = negative, blue = positive.

    Of a feature map an image is made of its grids, each part of the map beginning a row of them.
    """
    limit = float(np.abs(model.weights).max()) or 1.0
    names = [_name(name) for name in model.classes]
    titles = [
        f"{name}  (b {signed(bias)})" if len(name) <= 3 else name for name, bias in zip(names, model.bias, strict=True)
    ]
    images = np.stack([model.layout.picture(column) for column in model.weights.T])
    is_mapped = model.feature_map is not None
    columns = _columns(len(images))
    figure, drawn = _tiles(
        images,
        titles,
        columns=columns,
        right=_BAR,
        side=max(_SIDE, min(_GRIDS_SIDE, _GRIDS_WIDEST / columns)) if is_mapped else _SIDE,
        cmap=_BETWEEN_GRIDS if is_mapped else _DIVERGING,
        vmin=-limit,
        vmax=limit,
    )
    width, height = figure.get_size_inches()
    what = "each feature in each place" if is_mapped else "ink in each pixel"
    figure.suptitle(f"Evidence of {what}: for a class (blue), against it (red)", x=0.5, size=11)
    if is_mapped:
        parts = ";  ".join(part.name for part in model.layout.parts)
        figure.text(0.5, 1 - 0.36 / height, f"rows of grids: {parts}", ha="center", va="center", size=8, color=_GREY)
    place = figure.add_axes((1 - (_BAR - 0.1) / width, 0.1, 0.15 / width, 0.8 - 0.3 / height))
    figure.colorbar(drawn, cax=place, label="weight").outline.set_visible(False)
    return figure


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """Return how many examples of each class were predicted as which.

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
    side = max(4.5, min(0.62 * count, 16))
    figure = Figure(figsize=(side + 2.6, side + 0.9), layout="constrained")
    axes = figure.subplots()
    mistakes = axes.imshow(np.ma.array(share, mask=right), cmap=_MISTAKES, vmin=0, vmax=worst or 1)
    axes.imshow(np.ma.array(np.ones_like(share), mask=~right), cmap=LinearSegmentedColormap.from_list("", [_RIGHT] * 2))
    if count <= _MOST_NUMBERS:
        for row, column in np.ndindex(matrix.shape):
            if matrix[row, column]:
                percent = f"{100 * share[row, column]:.1f} %"
                is_dark = row != column and share[row, column] > 0.75 * worst
                colour = "white" if is_dark else _INK
                axes.text(
                    column, row - 0.14, f"{matrix[row, column]:,}", ha="center", va="center", color=colour, size=9
                )
                axes.text(column, row + 0.24, percent, ha="center", va="center", color=colour, size=6.5)
    else:
        pairs = [
            f"{_name(classes[label])} → {_name(classes[said])} ({number:,})"
            for label, said, number in confused_pairs(matrix, 4)
        ]
        if pairs:
            title = f"{title}\nmost frequent confusions (true → predicted): {', '.join(pairs)}"
    named = range(0, count, -(-count // _MOST_NAMES))
    names = [_name(classes[label]) for label in named]
    size = min(10.0, 72 * side * 0.8 / count * named.step)
    axes.set_xticks(named, names, rotation=90 if max(map(len, names)) > 3 else 0, size=size)
    axes.set_yticks(named, names, size=size)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(title, wrap=True)
    bar = figure.colorbar(mistakes, ax=axes, shrink=0.7, label="mistakes, share of the true class")
    bar.ax.yaxis.set_major_formatter(
        lambda value, _position: f"{100 * value:.0f} %" if worst > 0.03 else f"{100 * value:.1f} %"
    )
    bar.outline.set_visible(False)
    return figure


def calibration(measured: Calibration, title: str) -> Figure:
    """Return the reliability diagram: accuracy against confidence in each bin, above how many examples it holds."""
    figure = Figure(figsize=(5, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    bins = measured.bins
    confidences, accuracies = [entry.confidence for entry in bins], [entry.accuracy for entry in bins]
    ends = [(entry.accuracy - entry.interval[0], entry.interval[1] - entry.accuracy) for entry in bins]
    above.plot((0, 1), (0, 1), color=_GREY, linestyle="--", linewidth=1, label="perfect calibration")
    above.errorbar(
        confidences,
        accuracies,
        np.maximum(np.transpose(ends), 0),  # rounding may leave an end a hair on the wrong side
        color=_HEX[2],
        fmt="o",
        markersize=4,
        label="a bin, 95 % interval",
    )
    above.legend(frameon=False, loc="upper left")
    below.bar([entry.low for entry in bins], [entry.count for entry in bins], 0.9 / BINS, align="edge", color=_HEX[2])
    for axes in (above, below):
        _plain(axes)
    above.yaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
    below.xaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
    below.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    figure.suptitle(title, size=11)
    below.set(ylabel="images", xlabel="probability of the predicted class")
    return figure


def history(records: Sequence[Record]) -> Figure:
    """Return the losses and the validation accuracy against the step; `records` holds one at least."""
    validated = [record for record in records if record.validation_loss is not None]
    figure = Figure(figsize=(7, 6 if validated else 3.4), layout="constrained")
    losses, *rest = np.atleast_1d(np.asarray(figure.subplots(2 if validated else 1, 1, sharex=True), dtype=object))
    steps = [record.step for record in records]
    # Red means against on every other picture; the validation is grey here.
    blue, grey = _HEX[2], _GREY
    _line(losses, steps, [record.loss for record in records], blue, "training")
    if validated:
        steps = [record.step for record in validated]
        _line(losses, steps, [record.validation_loss for record in validated], grey, "validation")
        losses.legend(frameon=False)
        (accuracy,) = rest
        percents = [100 * (record.validation_accuracy or 0) for record in validated]
        _line(accuracy, steps, percents, grey, "validation")
        accuracy.annotate(
            f"{percents[-1]:.2f} %",
            (steps[-1], percents[-1]),
            (-4, -14),
            textcoords="offset points",
            ha="right",
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
        accuracy.set(ylabel="accuracy in %", title="Validation accuracy")
    losses.set(ylabel="cross-entropy in nats", title="Loss")
    figure.axes[-1].set_xlabel("step")
    figure.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def mistakes(found: Sequence[Mistake], images: npt.NDArray[np.uint8], classes: Sequence[str], title: str) -> Figure:
    """Return the images that the model gets wrong, each with its true class and the predicted one.

    Args:
        found: what to show.
        images: uint8 [len(found), height, width], 0 = background.
        classes: name of each label.
        title: what was measured.
    """
    titles = []
    for mistake in found:
        true, predicted = _name(classes[mistake.label]), _name(classes[mistake.prediction])
        gap = " " if len(true) + len(predicted) <= 6 else "\n"
        titles.append(f"{true} →{gap}{predicted}  {percent(mistake.probability)}")
    captions = [f"image {mistake.index:,}" for mistake in found]
    figure, _ = _tiles(images, titles, captions, columns=6, cmap="gray_r", vmin=0, vmax=255)
    figure.suptitle(title, size=11)
    return figure


def _tiles(
    images: npt.NDArray[Any],
    titles: Sequence[str],
    captions: Sequence[str] = (),
    *,
    columns: int,
    right: float = 0,
    side: float = _SIDE,
    **colours: Any,
) -> tuple[Figure, Any]:
    """Return a figure of small images in rows, and the last image drawn.

    One axes, measured in inches, holds them all: an axes for each takes Matplotlib a tenth of a second.

    Args:
        images: [n, height, width].
        titles: of each, in one line or two.
        captions: of each, or none at all.
        columns: images in a row.
        right: inches that are left free.
        side: inches of an image's longer side.
        colours: what `imshow` takes.
    """
    rows = max(1, math.ceil(len(titles) / columns))
    width, height = _inches(images.shape[1:], side)
    above = 0.22 * max([1 + title.count("\n") for title in titles], default=1)
    below = 0.2 if captions else 0.05
    across, down = max(width, side) + 0.15, above + height + below
    total = (max(columns * across, _NARROWEST) + 0.15 + right, rows * down + 0.5)
    figure = Figure(figsize=total)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, total[0]), ylim=(total[1], 0))
    axes.set_axis_off()
    drawn = None
    for index, (image, words) in enumerate(zip(images, titles, strict=True)):
        middle = 0.15 + (index % columns) * across + (across - 0.15) / 2
        top = 0.4 + (index // columns) * down + above
        extent = (middle - width / 2, middle + width / 2, top + height, top)
        drawn = axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest", **colours)
        size = _fitting(max(words.split("\n"), key=len), side, 10)
        axes.text(middle, top - 0.05, words, ha="center", va="bottom", size=size)
        if captions:
            axes.text(middle, top + height + 0.03, captions[index], ha="center", va="top", size=7, color=_GREY)
    axes.set(xlim=(0, total[0]), ylim=(total[1], 0))
    return figure, drawn


def _line(axes: Axes, steps: Sequence[int], values: Sequence[Any], colour: str, label: str) -> None:
    marker = "o" if len(steps) <= 30 else None
    axes.plot(steps, values, color=colour, marker=marker, markersize=3.5, label=label)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _name(name: str) -> str:
    """Return a class name as it is drawn: short, without control characters."""
    return isolated(printable(name, _NAME))


def _fitting(text: str, side: float, size: float) -> float:
    """Return a font size at which the text is about as wide as an image: a letter is 0.6 of its size wide."""
    return min(size, 72 * side / (0.6 * max(1, len(text))))


def _inches(shape: tuple[int, ...], side: float) -> tuple[float, float]:
    """Return width and height at which an image of [height, width] is drawn, however long it is."""
    height, width = shape
    scale = side / max(height, width)
    return max(0.1, width * scale), max(0.1, height * scale)


def _columns(count: int) -> int:
    """Return how many of so many images stand in a row: 5 of ten."""
    return math.ceil(math.sqrt(2 * count)) if count > 3 else count
