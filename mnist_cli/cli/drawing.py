"""Digits, evidence and probabilities on standard output, as far as it shows colours."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnist_cli.cli.published import command_for
from mnist_cli.cli.session import Session
from mnist_cli.cli.terminal import shows_colour
from mnist_cli.errors import InputError
from mnist_cli.stages.stage import STORE
from mnist_cli.text import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.model import Model
    from mnist_cli.formats.store import Store

_BAR_WIDTH = 40  # characters for a probability of 1, where the terminal is wide enough


def drawing(image: npt.NDArray[np.uint8]) -> list[str]:
    """Return uint8 [height, width], 0 = background, as lines of text."""
    from mnist_cli.pictures.terminal import half_blocks, shades

    return half_blocks(image) if shows_colour(sys.stdout) else [line.rstrip() for line in shades(image)]


def evidence_drawing(values: npt.NDArray[np.floating], ink: npt.NDArray[np.uint8]) -> list[str]:
    """Return signed numbers over the drawing that they belong to, as lines of text; both [height, width]."""
    from mnist_cli.pictures.colours import over_drawing
    from mnist_cli.pictures.terminal import half_blocks, signs

    if shows_colour(sys.stdout):
        return half_blocks(over_drawing(values, ink))
    return [line.rstrip() for line in signs(values, float(abs(values).max()), ink > 0)]


def print_bars(
    session: Session, classes: Sequence[str], probabilities: Sequence[float], label: int | None = None
) -> None:
    """Print each class's probability as a bar; the largest one green if it is the label's, red if it is another's."""
    names = [printable(name) for name in classes]
    widest = max(3, *map(len, names))
    width = min(_BAR_WIDTH, max(5, shutil.get_terminal_size().columns - 12 - widest))
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    for index, (name, probability) in enumerate(zip(names, probabilities, strict=True)):
        bar = "█" * round(probability * width)
        colour = {None: "cyan", best: "green"}.get(label, "red")
        style = {"fg": colour} if index == best else {}
        session.output.line(f"{name:>{widest}} {100 * probability:6.2f} % {bar}".rstrip(), **style)


def image_shape(session: Session, model: Model, *, needs_store: bool = False) -> tuple[tuple[int, int], Store | None]:
    """Return height and width of the model's images, and the store if it is there, which knows them.

    Raises:
        InputError: the store is needed, and is not there or not for this model; or the shape cannot be told.
    """
    from mnist_cli.formats.store import open_store
    from mnist_cli.pictures.predicting import square_shape

    path = session.artifacts.path(STORE)
    if not needs_store and not path.exists():
        return square_shape(model), None
    try:
        store = open_store(path)
    except InputError as error:
        if needs_store:
            error.hint = f"run '{command_for(session, STORE)}'"
            raise
        return square_shape(model), None
    height, width = store.image_shape
    if height * width == len(model.weights) and store.classes == model.classes:
        return store.image_shape, store
    if needs_store:
        raise InputError(
            f"{printable(path)}: expected images and classes of the model ({len(model.weights):,} pixels, "
            f"{len(model.classes)} classes); received others ({height} × {width} pixels, {len(store.classes)} classes)",
            hint="run 'mnist train'",
        )
    return square_shape(model), None
