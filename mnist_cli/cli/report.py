"""`mnist report`: one HTML page about the model, to read, draw on and share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import OfRun, flag, option
from mnist_cli.cli.pages import show_page
from mnist_cli.cli.published import Chosen
from mnist_cli.cli.session import Session
from mnist_cli.stages.stage import Pipeline
from mnist_cli.text import file_size, printable


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "report")(report)


def report(
    session: Session,
    *,
    output: Annotated[
        Path | None, option("--output", metavar="FILE", help="Write to this file, instead of artifacts/report.html.")
    ] = None,
    run: OfRun = None,
    open_: Annotated[bool, flag("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a page about the model: curves, weights, mistakes, calibration, and a pad to draw on.

    The page is one HTML file that needs no network. Training and evaluation must be up to date; the page's own counts
    are compared with metrics.json. With --run it evaluates the kept run and writes artifacts/report-RUN.html.

    Example: mnist report --output model.html
    """
    from mnist_cli.report.writing import write_report
    from mnist_cli.stages.evaluate import accuracy_sentence

    config, chosen = session.load_as_run().config, Chosen(session, run).run
    written, metrics = write_report(config, session.artifacts, output, chosen)
    accuracy = metrics["accuracy"]
    session.output.document(file=str(written.path), bytes=written.bytes, sha256=written.sha256, accuracy=accuracy)
    session.output.line(f"{printable(written.path)}: {file_size(written.bytes)}, {accuracy_sentence(metrics)}")
    if open_:
        show_page(written.path, session.output)
