"""Writes docs/json.md and docs/schemas/: the list of all JSON documents, and the JSON Schema of each.

    python -m tools.make_schemas

A test compares the page and the schemas with what this gives, and the models with what the commands print.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from mnist_cli.cli.documents import adapter
from mnist_cli.cli.documents.commands import COMMANDS
from mnist_cli.cli.documents.files import FILES
from mnist_cli.cli.documents.parts import Failed
from tools import DOCS

PAGE = DOCS / "json.md"
SCHEMAS = DOCS / "schemas"
EXAMPLES = DOCS / "examples"
_FAILURE = "failure"  # name of the schema of what every command prints when it fails early
WITHOUT_EXAMPLE = ("config-schema",)  # the schema of pipeline.yaml is longer than all examples together

_INTRODUCTION = """\
# JSON documents

With `--json` a command prints exactly one document on stdout, also when it fails; `predict` prints one line for each
picture. Some commands print one of several documents: the tables say when. Each document has a JSON Schema (2020-12),
which lists every field with its type and meaning, and says whether it may be absent or null. Each has an example from a
run. The commands print through the models in `mnist_cli/cli/documents`, and `python -m tools.make_schemas` writes the
schemas and this page from the same models, so a document always fits its schema.

- Numbers are finite. A share goes from 0 to 1. A digest is the 64 hexadecimal digits of a SHA-256.
- No document has a field that its schema does not list.
- Any validator of JSON Schema 2020-12 checks a document: give it the file from `docs/schemas/`. Definitions that
  several documents share stand in each schema under `$defs`; the [last table](#shared-definitions) lists them.

A command that fails before it has a result prints the first document of the table, with nothing but `error`. One that
fails later prints the results that it has, and `error` after them; any other field may be absent then. The exit code
says the same as `error.code` ([exit codes](automation.md#exit-codes)).
"""
_PRINTED = """
## What commands print

| command | document | example | what it tells |
|---|---|---|---|
"""
_FILES = """
## Files in the artifacts folder

| file | document | example | what it tells |
|---|---|---|---|
"""
_PARTS = """
## Shared definitions

| definition | what it is | used by |
|---|---|---|
"""


class _Schema(GenerateJsonSchema):
    """Without what pydantic makes up: titles that repeat the name, and the defaults of fields that are absent.

    A field without a description has the one in its class's docstring, below `Attributes:`.
    """

    def model_schema(self, schema: Any) -> dict[str, Any]:
        made = super().model_schema(schema)
        made["description"] = made["description"].partition("\n\nAttributes:")[0]
        for name, field in schema["cls"].model_fields.items():
            described = made.get("properties", {}).get(field.alias or name, {})
            if not field.description:
                described["description"] = _documented(schema["cls"], name)
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # as the base class has it
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return {name: value for name, value in super().default_schema(schema).items() if name != "default"}


def _documented(model: type[BaseModel], name: str) -> str:
    """Return what the docstrings of a model and its bases say about a field."""
    entry = re.compile(rf"^ *{name.rstrip('_')}: (.*?)(?=\n *\w+:|\n *\n|\Z)", re.DOTALL | re.MULTILINE)
    for base in model.__mro__:
        if found := entry.search(base.__doc__ or ""):
            text = " ".join(found[1].split())
            return text[0].upper() + text[1:]
    raise LookupError(f"{model.__name__}.{name}: no description")


def _described(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=_Schema, mode="serialization")


def documents() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the name and the model of every document."""
    yield _FAILURE, Failed
    for printed in COMMANDS.values():
        yield from printed.items()
    for name, (model, _) in FILES.items():
        yield name, model


def schemas() -> dict[str, str]:
    """Return the JSON Schema of every document: file name → text."""
    made = {}
    for name, model in documents():
        content = {"$schema": GenerateJsonSchema.schema_dialect, **_schema_of(model)}
        made[f"{name}.schema.json"] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return made


def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return adapter(model).json_schema(schema_generator=_Schema, mode="serialization")


def page() -> str:
    """Return the page."""
    lines = [_INTRODUCTION, _PRINTED, _row("any, when it fails", _FAILURE, Failed)]
    for command, printed in COMMANDS.items():
        lines += [_row(f"`mnist {command}`", name, model) for name, model in printed.items()]
    lines.append(_FILES)
    for name, (model, places) in FILES.items():
        lines.append(_row(", ".join(f"`{place}`" for place in places), name, model))
    lines.append(_PARTS)
    for part, (description, users) in sorted(_parts().items()):
        lines.append(f"| `{part}` | {_cell(description)} | {', '.join(users)} |\n")
    return "".join(lines)


def _row(printed_by: str, name: str, model: type[BaseModel]) -> str:
    example = "–" if name in WITHOUT_EXAMPLE else f"[example](examples/{name}.json)"
    description = _cell(_described(model)["description"])
    return f"| {printed_by} | [{name}](schemas/{name}.schema.json) | {example} | {description} |\n"


def _parts() -> dict[str, tuple[str, list[str]]]:
    """Return the definitions that at least two documents share: name → description, and the documents."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name, model in documents():
        for part, content in _described(model).get("$defs", {}).items():
            if "description" in content:
                found.setdefault(part, (content["description"], []))[1].append(name)
    return {part: (description, users) for part, (description, users) in found.items() if len(users) > 1}


def layout(value: Any, indent: str = "") -> str:
    """Return JSON with whatever fits on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= 110 or not isinstance(value, dict | list):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(name, ensure_ascii=False)}: {layout(item, inner)}" for name, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + layout(item, inner) for item in value) + f"\n{indent}]"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the page and the schemas, and remove the schemas of documents that are no more."""
    SCHEMAS.mkdir(exist_ok=True)
    made = schemas()
    for path in SCHEMAS.glob("*.schema.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
