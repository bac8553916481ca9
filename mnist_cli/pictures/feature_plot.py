"""Plot a digit on its way through a feature map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cli.maps.trace import Step

_MOST = 16  # maps in a row; if there are more, the first ones
_TILE, _LABEL = 0.62, 2.35  # inches
_WORDS = {
    "image": "the image",
    "shrink": "shrunk",
    "deskew": "deskewed and centred",
    "conv": "convolved",
    "relu2": "both signs, separated",
    "modulus": "strength of the waves",
    "pool": "pooled",
}


def features(steps: list[Step], title: str) -> Figure:
    """Return one row for each step, with its maps side by side.

    Ink is black. Signed values are blue above zero and red below. Each row has its own scale.

    Args:
        steps: the steps of an image from `maps.trace`.
        title: of the figure.
    """
    columns = max(min(_MOST, len(step.maps)) for step in steps)
    width, height = _LABEL + _TILE * columns, 0.5 + _TILE * 1.12 * len(steps)
    figure = Figure(figsize=(max(width, 5.5), height))
    figure.suptitle(title, x=0.5, y=1 - 0.2 / height, size=10)
    for row, step in enumerate(steps):
        bottom = height - 0.5 - _TILE * 1.12 * (row + 1)
        figure.text(0.1 / figure.get_figwidth(), (bottom + _TILE / 2) / height, _label(step), size=7.5, va="center")
        limit = float(np.abs(step.maps).max()) or 1.0
        for column, values in enumerate(step.maps[:_MOST]):
            place = ((_LABEL + _TILE * column) / figure.get_figwidth(), bottom / height)
            size = (_TILE * 0.94 / figure.get_figwidth(), _TILE * 0.94 / height)
            _draw(figure.add_axes((*place, *size)), values, limit, is_signed=step.is_signed)
    return figure


def _label(step: Step) -> str:
    count, height, width = step.maps.shape
    branch = f"branch {'.'.join(map(str, step.branch))}: " if step.branch else ""
    maps = "" if count == 1 else f"{count} maps of " if count <= _MOST else f"{count} maps, the first {_MOST}, of "
    return f"{branch}{_WORDS[step.op]}\n{maps}{height} × {width}"


def _draw(axes: Axes, values: npt.NDArray[np.float32], limit: float, *, is_signed: bool) -> None:
    low, colours = (-limit, "RdBu") if is_signed else (0.0, "Greys")
    axes.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")
