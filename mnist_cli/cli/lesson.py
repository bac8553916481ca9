"""`mnist lesson`: the seven ideas of the tutorial on one HTML page, with a training to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag, option
from mnist_cli.cli.pages import show_page
from mnist_cli.cli.session import Session
from mnist_cli.stages.stage import Pipeline
from mnist_cli.text import file_size, percent, printable


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "lesson")(lesson)


def lesson(
    session: Session,
    *,
    output: Annotated[
        Path | None, option("--output", metavar="FILE", help="Write to this file, instead of artifacts/lesson.html.")
    ] = None,
    data: Annotated[
        Path | None,
        option("--data", metavar="FOLDER", help="Also write the page's examples as a data set for mnist run."),
    ] = None,
    open_: Annotated[bool, flag("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a page that teaches: seven ideas, each with a figure to play with, and a training to watch.

    The page is one HTML file that needs no network. Training and evaluation must be up to date. The first time, the
    command also trains on the page's examples, so that the page can show that it computes the same bits.

    Example: mnist lesson --open
    """
    from mnist_cli.lesson.writing import write_lesson

    config = session.load_as_run().config
    written, examples, reference = write_lesson(config, session.artifacts, output, data, session.output.progress())
    train, test = len(examples.train.labels), len(examples.test.labels)
    digest, accuracy = reference.model.digest, reference.score.accuracy
    session.output.document(
        file=str(written.path),
        bytes=written.bytes,
        sha256=written.sha256,
        train=train,
        test=test,
        model_digest=digest,
        accuracy=accuracy,
    )
    session.output.line(
        f"{printable(written.path)}: {file_size(written.bytes)}; training on its {train:,} examples gets "
        f"{percent(accuracy)} of {test:,} unseen ones right, model {digest[:12]}"
    )
    if data is not None:
        dataset = printable(data / "dataset.yaml")
        session.output.line(
            f"{dataset}: to train the same model, run 'mnist run --dataset {dataset} --validation-size 0'"
        )
    if open_:
        show_page(written.path, session.output)
