"""`mnist lock`: write pipeline.lock, the inputs and outputs of every stage, for a repository to commit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import flag, option
from mnist_cli.cli.session import Session
from mnist_cli.errors import WorkNeeded
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "lock", keys=("dataset", "seed"))(lock)


def lock(
    session: Session,
    *,
    check: Annotated[
        bool, flag("--check", help="Write nothing; exit with 4 unless the lock matches the artifacts.")
    ] = False,
    output: Annotated[
        Path | None,
        option("--output", metavar="FILE", help="The lock file, instead of the one beside the configuration."),
    ] = None,
) -> None:
    """Record every stage's inputs and outputs in pipeline.lock, for mnist run --frozen to check.

    pipeline.lock lies beside pipeline.yaml; commit it. Every file is read again first, and every stage must be up to
    date. Exports to web and c that are up to date are recorded too, for mnist export --frozen.

    Example: mnist lock --check
    """
    from mnist_cli.audit.lock_file import SCHEMA, Promise, lock_of, lock_path, read_lock, write_lock
    from mnist_cli.export.state import locked_exports
    from mnist_cli.pipeline.output_files import check_output
    from mnist_cli.pipeline.plan import examine_all, require_fresh

    loaded = session.load_as_run()
    path = output or lock_path(session.config_file)
    if output and not check:
        check_output(output, session.artifacts, SCHEMA.encode())
    promise = Promise(read_lock(path, session.pipeline), path, session.pipeline) if check else None
    if promise:
        promise.check_before(loaded.config, list(session.pipeline.stages))
    session.artifacts.digests.forget()  # the lock must record what every file really holds
    statuses = examine_all(loaded.config, session.artifacts)
    session.artifacts.digests.save()
    manifests = require_fresh(statuses, WorkNeeded, "cannot lock")
    exports = locked_exports(session.artifacts, statuses)
    if promise:
        promise.check_published(manifests)
        promise.check_exports(exports)
    made = lock_of(manifests, session.pipeline, loaded.overrides, exports)
    written = write_lock(path, made) if promise is None else False
    session.output.document(file=str(path), written=written, ok=True)
    session.output.line(f"wrote {printable(path)}" if written else f"{printable(path)}: already up to date")
