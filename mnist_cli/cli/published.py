"""What `predict` and `plot` read of the artifacts, and the command that makes it where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_cli.errors import InputError

if TYPE_CHECKING:
    from mnist_cli.cli.session import Session
    from mnist_cli.formats.model import Model

_BEFORE = {"preprocess": "fetch", "train": "preprocess", "eval": "train"}


def command_for(session: Session, stage: str) -> str:
    """Return the command that makes what a stage publishes: all of the pipeline, where the stage before never ran."""
    from mnist_cli.pipeline.manifest import NAME

    before = session.artifacts.folder(_BEFORE[stage])
    return f"mnist {stage}" if (before / NAME).exists() else "mnist run"


def published_model(session: Session) -> Model:
    """Read the model in the artifacts folder; errors as `load_model`, with the command for this folder as hint."""
    from mnist_cli.formats.model import MODEL_NAME, load_model

    try:
        return load_model(session.artifacts.folder("train") / MODEL_NAME)
    except InputError as error:
        error.hint = f"run '{command_for(session, 'train')}'"
        raise
