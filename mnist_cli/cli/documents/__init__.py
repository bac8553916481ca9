"""Every JSON document of the command line and of the artifacts folder, one model each.

Commands give `Output` the parts of their document, and with `--json` it prints what the model makes of them; so a
field that is not described here cannot be printed. `python -m docs.make_schemas` writes the page and the JSON schemas
from the same models. This room is imported for `--json` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from mnist_cli.cli.documents.commands import COMMANDS, ConfigShow
from mnist_cli.cli.documents.parts import ABSENT, Document, Error, Failed, Printed, first_problem
from mnist_cli.errors import MnistError

_MODELS = {name: model for printed in COMMANDS.values() for name, model in printed.items()}


def content(name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as it is printed, from its parts: dictionaries, or objects with the attributes of the model.

    Args:
        name: of the document, as its schema is called.
        parts: with `error`, any of the others may be missing.

    Raises:
        MnistError: a field is wrong, missing, or not in the model.
    """
    model: type[BaseModel] = _MODELS.get(name, Failed)
    if "error" in parts and model is not Failed and "error" not in model.model_fields:
        model = _failed(model)
    try:
        made: dict[str, Any] = model.model_validate(dict(parts)).model_dump(by_alias=True, exclude_unset=True)
    except ValidationError as error:
        raise MnistError(
            f"the JSON document '{name}' would be wrong: {first_problem(error)}",
            hint="leave --json out; if another version of mnist made the artifacts, run the stage again with --force",
        ) from error
    return made


@cache
def adapter(model: type[BaseModel]) -> TypeAdapter[Any]:
    """Return a reader of a document; of a command's also as it is when the command fails."""
    is_printed = issubclass(model, Printed) or model is ConfigShow
    kinds: Any = model | _failed(model) if is_printed else model
    return TypeAdapter(kinds)


@cache
def _failed(model: type[BaseModel]) -> type[Document]:
    """Return the model of what a command prints when it fails: an error, and any of its fields."""
    if not issubclass(model, Printed):
        return Failed
    fields: dict[str, Any] = {}
    # As "Dynamic model creation" in pydantic's documentation makes the fields of a model optional.
    for name, field in model.model_fields.items():
        described = field.asdict()
        kept = Field(**described["attributes"] | {"default": ABSENT})
        fields[name] = (Annotated[(described["annotation"], *described["metadata"], kept)], ABSENT)  # noqa: F821  # keys of a dictionary, no forward references
    about = f"{(model.__doc__ or '').splitlines()[0]} The command failed: the results that it had, and why."
    error = (Error, Field(description="What ended the command."))
    return create_model(f"{model.__name__}Failed", __base__=Document, __doc__=about, **fields, error=error)
