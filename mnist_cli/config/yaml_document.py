"""Read the part of YAML that a configuration needs, with the line and column of every key and value.

It uses the parser's events rather than `yaml.safe_load`, which lacks four things: duplicate keys are errors, `1e-3` is
a number (YAML 1.2's rules for plain scalars), every value has its place, and aliases, tags and deep nesting are
refused before anything is built from them. Nothing in a document is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from mnist_cli.config.kinds import KeyPath
from mnist_cli.text import printable

Place = tuple[int, int]

SIZE_LIMIT = 256 * 1024  # bytes; the shipped pipeline.yaml has about 3,000
_DEPTH_LIMIT = 8  # the configuration needs 3
_DIGIT_LIMIT = 400  # characters of one number; int() of more than 4,300 digits raises

# The plain scalars of YAML 1.2's core schema (section 10.3.2).
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")

_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |\Z)")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NO_BREAK_PROBLEM = "expected a space; received a no-break space, as web pages and word processors write it"

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """The content of a YAML text, and the place of each part.

    Attributes:
        content: nested dicts, lists and scalars; None for an empty text.
        places: path → (line, column) of the value, both from 1.
        key_places: path → (line, column) of the key.
        problems: (place, what is wrong), in the order of the text.
    """

    content: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    key_places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return the place of the value at a path, or of its key; if it has none, that of the nearest one around it."""
        places = self.key_places if of_key else self.places
        while path and path not in places:
            path = path[:-1]
        return places.get(path, (1, 1))


class _Refused(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def read_yaml(text: bytes, *, depth: int = _DEPTH_LIMIT) -> Document:
    """Read one YAML document; the result's `problems` list what is wrong with it.

    Args:
        text: UTF-8, at most SIZE_LIMIT bytes.
        depth: how deep mappings and lists may be nested.
    """
    document = Document()
    if len(text) > SIZE_LIMIT:
        document.problems.append(((1, 1), f"expected at most {SIZE_LIMIT:,} bytes; received {len(text):,}"))
        return document
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        place = _place_in(text[: error.start].decode(), error.start)
        document.problems.append((place, f"expected UTF-8; received the byte 0x{text[error.start]:02x}"))
        return document
    try:
        _Builder(document, decoded, depth).build()
    except _Refused as refused:
        document.problems.append((refused.place, str(refused)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        cause = _cause(decoded.splitlines()[: place[0]]) or (
            place,
            f"not YAML: {printable(error.problem or error.context)}",
        )
        document.problems.append(cause)
    except yaml.reader.ReaderError as error:
        place = _place_in(decoded, error.position)
        document.problems.append((place, "not YAML: a control character"))
    return document


def read_scalar(text: str) -> Any:
    """Return the value of a plain YAML scalar: None, a bool, an int, a float or the text itself."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= _DIGIT_LIMIT:
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    if match := _NOT_FINITE.match(text):
        return float(f"{match[1] or ''}inf") if match[2] else float("nan")
    return text


class _Builder:
    """Builds a Document's content from the parser's events."""

    def __init__(self, document: Document, text: str, depth: int) -> None:
        self._document = document
        self._depth = depth
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)

    def build(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent | yaml.DocumentEndEvent):
                if isinstance(event, yaml.DocumentStartEvent) and self._document.places:
                    raise _Refused(_place(event), "expected one document; received a second one ('---')")
            elif not isinstance(event, yaml.StreamEndEvent):
                self._document.content = self._node(event, ())

    def _node(self, event: Any, path: KeyPath) -> Any:
        place = _place(event)
        self._document.places[path] = place
        if isinstance(event, yaml.AliasEvent):
            self._problem(place, f"aliases (*{printable(event.anchor)}) are not supported here; write the value itself")
            return None
        if event.tag is not None and event.tag != "!":
            self._problem(place, f"tags ({printable(event.tag)}) are not supported here; write the value itself")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] and event.tag is None  # neither quoted nor a block
            if plain:
                self._check_blanks(event)
            return read_scalar(event.value) if plain else event.value
        if len(path) >= self._depth:
            raise _Refused(place, f"nested more than {self._depth} levels deep")
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            place = _place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused(place, "expected a word as a key")
            if event.implicit[0]:
                self._check_blanks(event)
            key = event.value
            value_path = (*path, key)
            first = self._document.key_places.get(value_path)
            if first is not None:
                name = printable(".".join(map(str, value_path)))
                self._problem(place, f"{name}: duplicate key; it is already set on line {first[0]}")
                self._node(next(self._events), (*value_path, "duplicate"))
                continue
            self._document.key_places[value_path] = place
            result[key] = self._node(next(self._events), value_path)
        return result

    def _sequence(self, path: KeyPath) -> list[Any]:
        result: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            result.append(self._node(event, (*path, len(result))))
        return result

    def _check_blanks(self, event: Any) -> None:
        at = event.value.find(_NO_BREAK)
        if at >= 0:
            line, column = _place(event)
            raise _Refused((line, column + at), _NO_BREAK_PROBLEM)

    def _problem(self, place: Place, message: str) -> None:
        self._document.problems.append((place, message))


def _cause(lines: list[str]) -> tuple[Place, str] | None:
    """Return why these lines are not YAML, where the parser notices too late or explains badly."""
    for number, line in enumerate(lines, start=1):
        if _CONFLICT.match(line):
            return (number, 1), f"a merge conflict marker ({line[:7]}): keep one of the two versions"
        blank = line[: len(line) - len(line.lstrip(f" \t{_NO_BREAK}"))]
        if "\t" in blank:
            return (number, blank.index("\t") + 1), "expected spaces at the beginning of a line; received a tab"
        if _NO_BREAK in line.partition("#")[0]:
            return (number, line.index(_NO_BREAK) + 1), _NO_BREAK_PROBLEM
    return None


def _place_in(text: str, position: int) -> Place:
    before = text[:position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
