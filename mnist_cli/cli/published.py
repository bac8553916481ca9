"""Read what `show`, `predict` and `plot` need: a model, published or of a kept run, and the images.

Errors name the command that makes what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cli.errors import InputError
from mnist_cli.stages.stage import MODEL, STORE
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.cli.session import Session
    from mnist_cli.formats.model import Model
    from mnist_cli.formats.store import Store
    from mnist_cli.runs.runs import Run


def command_for(session: Session, kind: str) -> str:
    """Return the command that makes a kind of file: the whole pipeline if the inputs are missing."""
    from mnist_cli.pipeline.manifest import NAME

    stage = session.pipeline.maker(kind)
    sources = {session.pipeline.maker(source).name for source in stage.inputs}
    ran = all((session.artifacts.folder(source) / NAME).exists() for source in sources)
    return f"mnist {stage.name}" if ran else "mnist run"


def published_model(session: Session) -> Model:
    """Read the model in the artifacts folder; raises as `load_model`, with a hint for this folder."""
    from mnist_cli.formats.model import load_model

    try:
        return load_model(session.artifacts.path(MODEL))
    except InputError as error:
        error.hint = f"run '{command_for(session, MODEL)}'"
        raise


class Chosen:
    """The model that a command uses: the published one, or that of a kept run.

    Args:
        session: of the command.
        name: the run as it was typed; None for the published model.

    Raises:
        UsageError: several runs match.
        InputError: no run matches, or it is damaged.
    """

    def __init__(self, session: Session, name: str | None) -> None:
        self._session = session
        self.run: Run | None = None
        if name is not None:
            from mnist_cli.runs.runs import find_run

            self.run = find_run(session.artifacts, name)

    def model(self) -> Model:
        """Read it; raises as `load_model`."""
        from mnist_cli.formats.model import load_model

        return load_model(self.run.model_file) if self.run else published_model(self._session)

    def path(self, kind: str) -> Path:
        """Return its training's file of this kind."""
        artifacts = self._session.artifacts
        return self.run.folder / artifacts.pipeline.file(kind) if self.run else artifacts.path(kind)


def published_store(session: Session) -> Store:
    """Open the store in the artifacts folder; raises as `open_store`, with a hint for this folder."""
    from mnist_cli.formats.store import open_store

    try:
        return open_store(session.artifacts.path(STORE))
    except InputError as error:
        error.hint = f"run '{command_for(session, STORE)}'"
        raise


def fits(model: Model, store: Store) -> bool:
    """Whether a store has the image shape and the classes that the model was trained on."""
    return (store.image_shape, store.classes) == (model.shape, model.classes)


def fitting_store(session: Session, model: Model) -> Store:
    """Open the store in the artifacts folder, which must have the model's image shape and classes.

    Raises:
        InputError: it is missing or damaged, or the model was trained on other data.
    """
    store = published_store(session)
    if not fits(model, store):
        expected, received = (
            f"{one[0]} × {one[1]} pixels, {len(classes)} classes ({printable(', '.join(classes), 60)})"
            for one, classes in ((model.shape, model.classes), (store.image_shape, store.classes))
        )
        raise InputError(
            f"{printable(store.path)}: the model was trained on other data\nexpected {expected}; received {received}",
            hint=f"run '{command_for(session, MODEL)}'",
        )
    return store
