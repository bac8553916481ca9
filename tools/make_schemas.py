"""Writes docs/json.md and docs/schemas/: every JSON document, its fields, an example and its JSON Schema.

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
WITHOUT_EXAMPLE = ("config-schema",)  # a schema of pipeline.yaml is longer than all the rest of the page
_LONG_LIST = 3
_LONG_TABLE = 14  # a manifest has fewer names
_DIGEST_LENGTH = 64

_INTRODUCTION = """\
# JSON documents

With `--json` a command prints exactly one document on stdout, also when it fails; `predict` prints a line for each
picture. `python -m tools.make_schemas` writes this page from the models in mnist_cli/cli/documents, and the commands
print through the same models. Each document has a JSON Schema (2020-12) in [schemas/](schemas), named after it.

Every field is listed in its table, which says whether the field may be absent or null. Numbers are finite; digests are
64 hexadecimal digits of a SHA-256; shares go from 0 to 1. The examples shorten digests and long lists with ….
"""
_PARTLY = """
A command that fails later prints the results that it has, and `error` after them; any other field may be absent then.
The exit code says the same as `code`: see [scripting.md](scripting.md).
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
    parts: dict[str, dict[str, Any]] = {}
    lines = [_INTRODUCTION, "\n## When a command fails\n"]
    lines += _section(_FAILURE, Failed, parts)
    lines.append(_PARTLY)
    lines.append("\n## What commands print\n")
    for command, printed in COMMANDS.items():
        lines.append(f"\n### `mnist {command} --json`\n")
        for name, model in printed.items():
            lines += _section(name, model, parts)
    lines.append("\n## Files in the artifacts folder\n")
    for name, (model, places) in FILES.items():
        lines.append(f"\n### {', '.join(f'`{place}`' for place in places)}\n")
        lines += _section(name, model, parts)
    lines.append("\n## Parts of documents\n")
    for name in sorted(parts):
        lines += [f"\n### {name}\n\n{parts[name]['description']}\n", *_table(parts[name])]
    return "".join(lines)


def _section(name: str, model: type[BaseModel], parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    schema = model.model_json_schema(schema_generator=_Schema, mode="serialization")
    parts |= {part: content for part, content in schema.pop("$defs", {}).items() if "properties" in content}
    yield f"\n{schema['description']} Schema: [{name}](schemas/{name}.schema.json).\n"
    yield from _table(schema)
    if name not in WITHOUT_EXAMPLE:
        content = _shortened(json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8")))
        yield f"\n```json\n{layout(content)}\n```\n"


def _table(schema: dict[str, Any]) -> Iterator[str]:
    if not schema.get("properties"):
        if schema.get("type") == "object" and schema.get("additionalProperties", True):
            yield f"\nIt is {_kind(schema)}.\n"
        return
    yield "\n| field | type | meaning |\n|---|---|---|\n"
    for name, field in schema["properties"].items():
        kind = _kind(field) + ("" if name in schema.get("required", ()) else "; may be absent")
        yield f"| `{name}` | {_cell(kind)} | {_cell(field['description'])} |\n"


def _kind(schema: dict[str, Any]) -> str:
    """Return a type in words; the parts link to their tables."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(_kind, choices))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])}: {', '.join(map(_kind, schema['prefixItems']))}"
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "object":
            inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties", True))
            return "name → anything" if inner is True else f"name → {_kind(inner)}"
        case "integer" | "number" as number:
            return ("whole number" if number == "integer" else "number") + _range(schema)
        case "string":
            return "digest" if schema.get("pattern") == f"^[0-9a-f]{{{_DIGEST_LENGTH}}}$" else "text"
        case None:
            return "anything"
        case kind:
            return {"boolean": "true or false", "null": "null"}[kind]


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        return f" {low:g} to {high:g}"
    return "" if low is None else f" ≥ {low:g}"


def _shortened(value: Any) -> Any:
    """Cut digests and the lists that are longer than anybody reads; what is left out becomes a …."""
    if isinstance(value, dict):
        shown = {name: _shortened(inner) for name, inner in value.items()}
        return shown if len(shown) <= _LONG_TABLE else dict([*shown.items()][:_LONG_LIST]) | {"…": "…"}
    if isinstance(value, list):
        first = [_shortened(inner) for inner in value[:_LONG_LIST]]
        return first if len(first) == len(value) else [*first[:-1], "…"]
    if isinstance(value, str) and len(value) == _DIGEST_LENGTH and set(value) <= set("0123456789abcdef"):
        return f"{value[:12]}…"
    return value


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
