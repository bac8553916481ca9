"""`mnist show N`: one image in the terminal, with its label and what the model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.drawing import answer_of, print_answer, print_drawing, screen
from mnist_cli.cli.options import OfRun, option
from mnist_cli.cli.published import Chosen, command_for, fits, published_store
from mnist_cli.cli.session import Session
from mnist_cli.errors import UsageError
from mnist_cli.stages.stage import MODEL
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "show")(show)


def show(
    session: Session,
    number: Annotated[int, typer.Argument(metavar="N", min=0, help="Which image, from 0.", show_default=False)],
    *,
    split: Annotated[
        Literal["test", "validation", "train"],
        option("--split", metavar="SPLIT", help="The split: test (if left out), validation or train."),
    ] = "test",
    run: OfRun = None,
) -> None:
    """Draw an image in the terminal, with its label and what the model says.

    Once there is a model, the fields are those of 'mnist predict': the predicted class, the label, and the probability
    of each class as a bar. A large image is shrunk to fit the terminal.

    Example: mnist show 8 --split test
    """
    store = published_store(session)
    examples = getattr(store, split)
    if number >= len(examples):
        if not len(examples):
            raise UsageError(f"--split {split}: that split is empty")
        raise UsageError(f"--split {split}: expected 0 to {len(examples) - 1:,}; received {number:,}")
    inputs = examples.inputs[number]
    image = inputs.reshape(store.image_shape)
    label = int(examples.labels[number])
    session.output.document(split=split, index=number, label=label, image=image.tolist())
    title = f"{split} image {number:,}"
    chosen = Chosen(session, run)
    model = chosen.model() if chosen.path(MODEL).exists() else None
    if model and fits(model, store):
        answer = answer_of(model, image)
        print_answer(session.output, title, answer, model.classes, label, screen().ink(image), bars=True)
        session.output.document(model=model.digest, **answer)
        return
    session.output.line(f"{title}: label {printable(store.classes[label])}", bold=True)
    print_drawing(session.output, screen().ink(image).lines)
    if model:
        session.output.note(
            f"the model was trained on other data; run '{command_for(session, MODEL)}' for one of this data"
        )
