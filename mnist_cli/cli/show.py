"""`mnist show N`: one digit in the terminal, with its label and what the model makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cli.cli.drawing import drawing, print_bars
from mnist_cli.cli.session import Session, command
from mnist_cli.errors import UsageError
from mnist_cli.stages.stage import MODEL, STORE
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.formats.model import Model
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "show")(show)


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
    from mnist_cli.formats.store import open_store

    store = open_store(session.artifacts.path(STORE))
    examples = getattr(store, split)
    if number >= len(examples):
        if not len(examples):
            raise UsageError(f"--split {split}: that split is empty")
        raise UsageError(f"--split {split}: expected 0 to {len(examples) - 1:,}; received {number:,}")
    image = examples.inputs[number].reshape(store.image_shape)
    label = int(examples.labels[number])
    name = printable(store.classes[label])
    session.output.document(split=split, index=number, label=label, image=image.tolist())
    for line in drawing(image):
        session.output.drawing(line)
    session.output.line(f"{split} image {number:,}: label {name}", bold=True)
    model_file = session.artifacts.path(MODEL)
    if model_file.exists():
        from mnist_cli.formats.model import load_model

        _show_probabilities(session, load_model(model_file), examples.inputs[number], label)


def _show_probabilities(session: Session, model: Model, pixels: Any, label: int) -> None:
    probabilities = [float(value) for value in model.probabilities(pixels)[0]]
    best = probabilities.index(max(probabilities))
    session.output.document(prediction=best, probabilities=probabilities)
    print_bars(session, model.classes, probabilities, label)
    verdict = "right" if best == label else "wrong"
    session.output.line(f"the model says {printable(model.classes[best])}: {verdict}", bold=True)
