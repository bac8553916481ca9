"""Every JSON document of the command line and of the artifacts folder, one model each.

Commands give `Output` the parts of their document, and with `--json` it prints what the model makes of them; so a
field that is not described here cannot be printed. `python -m tools.make_schemas` writes the page and the JSON schemas
from the same models. This room is imported for `--json` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from mnist_cli.cli.documents.commands import COMMANDS, ConfigShow, Run
from mnist_cli.cli.documents.parts import ABSENT, Document, Error, Failed, Printed
from mnist_cli.errors import MnistError
from mnist_cli.text import printable

_MODELS: dict[str, type[BaseModel]] = {
    "failure": Failed,
    **{name: model for printed in COMMANDS.values() for name, model in printed.items()},
}


def content(name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as it is printed, from its parts: dictionaries, or objects with the attributes of the model.

    Args:
        name: of the document, as its schema is called.
        parts: with `error`, any of the others may be missing.

    Raises:
        MnistError: a field is wrong, missing, or not in the model.
    """
    model: type[BaseModel] = _MODELS.get(name, Run)  # the command of a stage that is not in PIPELINE
    if "error" in parts and "error" not in model.model_fields:
        model = _failed(model)
    try:
        document = model.model_validate(dict(parts))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise MnistError(
            f"internal error: {printable('.'.join(map(str, problem['loc'])))} of the JSON document '{name}': "
            f"{printable(problem['msg'])}"
        ) from error
    # Without the warnings about what a stage recorded, which was not made a model.
    made: dict[str, Any] = document.model_dump(by_alias=True, exclude_unset=True, warnings=False)
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
