"""One model for each JSON document of the command line and of the artifacts folder.

Commands pass the parts of their document to `Output`; with `--json` it validates them with the model and prints them,
so a field without a description cannot be printed. `python -m tools.make_schemas` writes the page and the JSON schemas
from the same models. This package is imported only for `--json`.
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
    """Return a document, ready to print, from its parts: dictionaries or objects with the model's attributes.

    Args:
        name: of the document and its schema.
        parts: with `error`, any other may be missing.

    Raises:
        MnistError: a field is invalid, missing or unknown.
    """
    model: type[BaseModel] = _MODELS.get(name, Run)  # for the command of a stage that is not in PIPELINE
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
    # Without warnings about values that a stage recorded: they are not converted to models.
    made: dict[str, Any] = document.model_dump(by_alias=True, exclude_unset=True, warnings=False)
    return made


@cache
def adapter(model: type[BaseModel]) -> TypeAdapter[Any]:
    """Return a validator for a document; for a command's document, also in the form after a failure."""
    is_printed = issubclass(model, Printed) or model is ConfigShow
    kinds: Any = model | _failed(model) if is_printed else model
    return TypeAdapter(kinds)


@cache
def _failed(model: type[BaseModel]) -> type[Document]:
    """Return the model for a failed command: an error, and any of the document's fields."""
    if not issubclass(model, Printed):
        return Failed
    fields: dict[str, Any] = {}
    # Makes the fields optional as "Dynamic model creation" in pydantic's documentation does.
    for name, field in model.model_fields.items():
        described = field.asdict()
        kept = Field(**described["attributes"] | {"default": ABSENT})
        fields[name] = (Annotated[(described["annotation"], *described["metadata"], kept)], ABSENT)  # noqa: F821  # keys of a dictionary, no forward references
    about = f"{(model.__doc__ or '').splitlines()[0]} The command failed: the results so far, and the error."
    error = (Error, Field(description="What ended the command."))
    return create_model(f"{model.__name__}Failed", __base__=Document, __doc__=about, **fields, error=error)
