"""`mnist clean`: remove files that are not needed and can be made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag
from mnist_cli.cli.running import Wait
from mnist_cli.cli.session import Session
from mnist_cli.text import file_size

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "clean")(clean)


def clean(
    session: Session,
    *,
    dry_run: Annotated[bool, flag("--dry-run", help="Print what would be removed; remove nothing.")] = False,
    wait: Wait = 0,
) -> None:
    """Remove files that are not needed and can be made again.

    These are the downloaded files once the store exists, partial downloads that were completed later, features once
    model and evaluation exist, and the checkpoints of finished trainings. Models, runs, evaluations and the store of
    images stay; so do the checkpoints of an interrupted training.

    Example: mnist clean --dry-run
    """
    from mnist_cli.audit import cleaning

    config = session.load_as_run().config
    found = []
    if session.artifacts.root.is_dir():
        if dry_run:
            found = cleaning.removable(config, session.artifacts)
        else:
            found = cleaning.clean(config, session.artifacts, session.command, wait)
    total = sum(one.bytes for one in found)
    documents = []
    for one in found:
        folder = session.artifacts.folder(one.stage)
        names = [str(path.relative_to(folder)) for path in one.paths]
        documents.append({"stage": one.stage, "kind": one.kind, "files": names, "bytes": one.bytes})
        size = file_size(one.bytes).rjust(9)
        session.output.columns((one.stage, 11), (one.kind, 12), (f"{len(names):>4}", 6), (size, 0))
    session.output.document(freed=documents, bytes=total, dry_run=dry_run)
    word = "would free" if dry_run else "freed"
    session.output.line(f"{word} {file_size(total)}" if found else "nothing to remove")
