"""`mnist show N`: one digit in the terminal, with its label and what the model makes of it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cli.cli.session import Session, command
from mnist_cli.cli.terminal import shows_colour
from mnist_cli.errors import UsageError
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.formats.model import Model

_BAR_WIDTH = 40  # characters for a probability of 1, where the terminal is wide enough
_SHADES = " .:-=+*#%@"  # ten steps from background to ink, where there are no colours


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "show")(show)


def show(
    session: Session,
    number: Annotated[int, typer.Argument(metavar="N", min=0, help="Which image, from 0.", show_default=False)],
    *,
    split: Annotated[
        Literal["test", "validation", "train"], typer.Option(help="From which split.", show_default=False)
    ] = "test",
) -> None:
    """Draw a digit in the terminal, with what the model says.

    Its label comes from the store; the ten probabilities are shown as bars once there is a model.

    Example: mnist show 8 --split test
    """
    from mnist_cli.formats.store import STORE_NAME, open_store

    store = open_store(session.artifacts.folder("preprocess") / STORE_NAME)
    examples = getattr(store, split)
    if number >= len(examples):
        if not len(examples):
            raise UsageError(f"--split {split}: that split is empty")
        raise UsageError(f"--split {split}: expected 0 to {len(examples) - 1:,}; received {number:,}")
    image = examples.pixels[number].reshape(store.image_shape)
    label = int(examples.labels[number])
    name = printable(store.classes[label])
    session.output.document({"split": split, "index": number, "label": label, "image": image.tolist()})
    for line in _drawing(image.tolist()):
        session.output.drawing(line)
    session.output.line(f"{split} image {number:,}: label {name}", bold=True)
    model_file = session.artifacts.folder("train") / "model.h5"
    if model_file.exists():
        from mnist_cli.formats.model import load_model

        _show_probabilities(session, load_model(model_file), examples.pixels[number], label)


def _show_probabilities(session: Session, model: Model, pixels: Any, label: int) -> None:
    probabilities = [float(value) for value in model.probabilities(pixels)[0]]
    width = min(_BAR_WIDTH, max(5, shutil.get_terminal_size().columns - 15))
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    session.output.document({"prediction": best, "probabilities": probabilities})
    for index, probability in enumerate(probabilities):
        bar = "█" * round(probability * width)
        style = {"fg": "green" if index == label else "red"} if index == best else {}
        session.output.line(f"{printable(model.classes[index]):>3} {100 * probability:6.2f} % {bar}".rstrip(), **style)
    verdict = "right" if best == label else "wrong"
    session.output.line(f"the model says {printable(model.classes[best])}: {verdict}", bold=True)


def _drawing(rows: list[list[int]]) -> list[str]:
    """Return the image as lines of text, 0 = background.

    In colour two rows of pixels make one line of half blocks, which are about square; else two characters make a pixel.
    """
    if not shows_colour(sys.stdout):
        shades = [[_SHADES[value * len(_SHADES) // 256] * 2 for value in row] for row in rows]
        return ["".join(row).rstrip() for row in shades]
    padded = [*rows, [0] * len(rows[0])] if len(rows) % 2 else rows
    return [
        "".join(
            typer.style("▀", fg=(upper,) * 3, bg=(lower,) * 3, reset=False)
            for upper, lower in zip(padded[index], padded[index + 1], strict=True)
        )
        + "\x1b[0m"
        for index in range(0, len(padded), 2)
    ]
