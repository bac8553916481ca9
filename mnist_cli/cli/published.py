"""What `predict` and `plot` read of the artifacts, and the command that makes it where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_cli.errors import InputError
from mnist_cli.stages.stage import MODEL

if TYPE_CHECKING:
    from mnist_cli.cli.session import Session
    from mnist_cli.formats.model import Model


def command_for(session: Session, kind: str) -> str:
    """Return the command that makes the file of a kind: all of the pipeline, where the stage before never ran."""
    from mnist_cli.pipeline.manifest import NAME

    names = list(session.pipeline.stages)
    stage = session.pipeline.maker(kind).name
    before = session.artifacts.folder(names[max(0, names.index(stage) - 1)])
    return f"mnist {stage}" if (before / NAME).exists() else "mnist run"


def published_model(session: Session) -> Model:
    """Read the model in the artifacts folder; errors as `load_model`, with the command for this folder as hint."""
    from mnist_cli.formats.model import load_model

    try:
        return load_model(session.artifacts.path(MODEL))
    except InputError as error:
        error.hint = f"run '{command_for(session, MODEL)}'"
        raise
