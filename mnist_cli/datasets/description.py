"""Read and check a data set's description in YAML; all problems are reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_cli import files as file_access
from mnist_cli.config import kinds
from mnist_cli.config.kinds import KeyPath, Kind, Wrong, dotted, shown
from mnist_cli.config.yaml_document import SIZE_LIMIT, Document, read_yaml
from mnist_cli.datasets import DATASETS, MOST_CLASSES, ROLES, DataFile, Dataset, Pictures
from mnist_cli.text import printable

# Larger images would make the blocks of the store too large, and with them the memory of its readers.
MOST_PIXELS = 1 << 16
OWN_NAME = "own"
_SUFFIXES = (".yaml", ".yml")

Problem = tuple[KeyPath, str | None]


def read_shipped(path: Path) -> Dataset:
    """Read a shipped data set."""
    return _dataset(read_yaml(path.read_bytes()).content, path.parent, is_own=False)


def read_own(value: object, folder: Path) -> Dataset:
    """Read a data set that a user describes; arguments as `datasets.find_dataset`.

    Raises:
        Wrong: with every problem in it.
    """
    if isinstance(value, Mapping):
        return _dataset(value, folder)
    if not isinstance(value, str) or not value.endswith(_SUFFIXES):
        raise Wrong([((), _expected_name(value, folder))])
    path = folder / value
    try:
        with file_access.open_regular(path) as file:
            text = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Wrong([((), f"{printable(path)}: cannot be read: {error.strerror}")]) from None
    document = read_yaml(text)
    problems = [f"{line}:{column}: {problem}" for (line, column), problem in document.problems]
    try:
        dataset = _dataset(document.content, path.parent)
    except Wrong as wrong:
        problems += [_with_place(document, *problem) for problem in wrong.problems]
    if problems:
        raise Wrong([((), f"{printable(path)}:{problem}") for problem in problems]) from None
    return dataset


def _with_place(document: Document, path: KeyPath, problem: str | None) -> str:
    line, column = document.place(path)
    return f"{line}:{column}: {f'{dotted(path)}: ' if path else ''}{problem}"


def _expected_name(value: object, folder: Path) -> str:
    import difflib  # imported only after a mistake

    near = difflib.get_close_matches(value.lower(), DATASETS, n=1) if isinstance(value, str) else []
    meant = f"; did you mean '{near[0]}'?" if near else ""
    if isinstance(value, str) and not near and file_access.is_folder(folder / value):
        meant = f", a folder; 'mnist dataset init {printable(value)}' describes it"
    return (
        f"expected one of {', '.join(DATASETS)}, a file such as digits.yaml, or files: or images: with a folder; "
        f"received {shown(value)}{meant}"
    )


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong
    return printable(value)


def _check_folder(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise Wrong
    try:
        return Path(value).expanduser() if value.startswith("~") else Path(value)
    except RuntimeError:
        raise Wrong([((), f"there is no home folder for {printable(value)}")]) from None


def _check_mirror(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("not an address")
    return value


def _check_pair(value: Any) -> tuple[int, int]:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(type(side) is int for side in value)
    if not is_pair or min(value) < 1 or value[0] * value[1] > MOST_PIXELS:
        raise Wrong
    return value[0], value[1]


def _check_classes(value: Any) -> tuple[str, ...]:
    if type(value) is int and 2 <= value <= MOST_CLASSES:
        return tuple(map(str, range(value)))
    if not isinstance(value, list | tuple):
        raise Wrong
    if not 2 <= len(value) <= MOST_CLASSES:
        raise Wrong([((), f"expected {_CLASSES.expected}; received a list of {len(value)}")])
    names: list[str] = []
    problems: list[Problem] = []
    for index, item in enumerate(value):
        name = item if isinstance(item, str) else str(item) if type(item) in (int, float) else ""
        if not name.strip() or len(name) > 100 or "\0" in name:
            problems.append(((index,), f"expected a name of 1 to 100 characters; received {shown(item)}"))
        elif name in names:
            problems.append(((index,), f"'{printable(name, 60)}' is already classes[{names.index(name)}]"))
        names.append(name)
    if problems:
        raise Wrong(problems)
    return tuple(names)


_TEXT = Kind("text", "TEXT", _check_text)
_FOLDER = Kind("a folder", "FOLDER", _check_folder)
_PAIR = Kind(f"[height, width], together 1 to {MOST_PIXELS:,} pixels", "[H, W]", _check_pair)
_CLASSES = Kind(f"2 to {MOST_CLASSES} names, or their number", "NAMES", _check_classes)
_FILE = {
    "name": kinds.matching(r"(?!\.{1,2}\Z)[^/\\\0]{1,200}", "the name of a file, without folders", "NAME"),
    "size": kinds.whole(0, 10**15),
    "sha256": kinds.matching(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case", "DIGEST"),
    "content": kinds.matching(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case", "DIGEST"),
}
_FILES = f"a folder, or {', '.join(ROLES)}"
_MEMBER = kinds.table(_FILE, "the name of a file in the archive", ("name",))
# Without size and digest a download could neither be resumed nor trusted.
_DOWNLOAD = kinds.table(_FILE, "name, size and sha256 of a file", ("name", "size", "sha256"))
_ALWAYS = {
    "name": kinds.matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "letters, digits, '.', '_' and '-', 64 at most", "NAME"),
    "title": _TEXT,
    "classes": _CLASSES,
    "licence": _TEXT,
    "source": _TEXT,
}
_OF_IDX = {
    "shape": _PAIR,
    "transpose": kinds.boolean(),
    "first_label": kinds.whole(0, 2**31 - 1 - MOST_CLASSES),
    "column": kinds.optional(kinds.whole(0, 2**16 - 1)),
}
_OF_DOWNLOADS = {
    "archive": _DOWNLOAD,
    "mirrors": kinds.listed(_check_mirror, "a list of http(s):// addresses or folders", "URL|FOLDER"),
}
_OF_PICTURES = {
    "size": _PAIR,
    "fit": kinds.one_of(("resize", "normalise")),
    "test_share": kinds.number(above=0, below=1),
    "seed": kinds.whole(0, 2**63 - 1),
}


def _dataset(content: object, folder: Path, *, is_own: bool = True) -> Dataset:
    """Read one description; raises Wrong."""
    if not isinstance(content, Mapping):
        raise Wrong([((), f"expected keys and values; received {shown(content)}")])
    files: Kind = _FOLDER
    if not isinstance(content.get("files"), str):
        files = kinds.table(dict.fromkeys(ROLES, _MEMBER if "archive" in content else _DOWNLOAD), _FILES, ROLES)
    generated = {} if is_own else {"generated": kinds.boolean()}
    keys = _ALWAYS | _OF_IDX | _OF_DOWNLOADS | _OF_PICTURES | {"files": files, "images": _FOLDER} | generated
    problems: list[Problem] = list(_misfits(content, is_own=is_own))
    try:
        right = kinds.table(keys, "").check(content)
    except Wrong as wrong:
        problems += wrong.problems
    if problems:
        raise Wrong(problems)
    own_files = right.get("files")
    described = right.get("archive")
    return Dataset(
        name=right.get("name", OWN_NAME),
        classes=right.get("classes", ()),
        files={role: DataFile(**file) for role, file in own_files.items()} if isinstance(own_files, dict) else {},
        archive=DataFile(**described) if described else None,
        mirrors=tuple(kinds.located(mirror, folder) for mirror in right.get("mirrors", ())),
        folder=folder / own_files if isinstance(own_files, Path) else None,
        pictures=_pictures(right, folder) if "images" in right else None,
        is_own=is_own,
        **{key: right[key] for key in ("title", "licence", "source", *_OF_IDX) if key in right},
    )


def _misfits(content: Mapping[str, Any], *, is_own: bool) -> list[Problem]:
    """Return the problems of keys that do not go together, whatever their values."""
    problems: list[Problem] = []
    is_generated = content.get("generated") is True and not is_own
    named = [key for key in ("files", "images") if content.get(key) is not None]
    if len(named) != 1 and not is_generated:
        problems.append(((), f"expected either files: or images:; received {'both' if named else 'neither'}"))
    if "images" not in named and "classes" not in content:
        problems.append(((), f"missing key 'classes': expected {_CLASSES.expected}"))
    if is_own and content.get("name") in DATASETS:
        problems.append((("name",), f"expected a name that no shipped data set has; received '{content['name']}'"))
    for keys, fits, only_for in (
        (_OF_IDX, "images" not in named, "IDX files"),
        (_OF_PICTURES, "images" in named, "a folder of pictures (images: FOLDER)"),
        (_OF_DOWNLOADS, isinstance(content.get("files"), Mapping), "files to download"),
    ):
        problems += [((key,), f"only for {only_for}") for key in keys if key in content and not fits]
    return problems


def _pictures(right: Mapping[str, Any], folder: Path) -> Pictures:
    size = {"size": (28, 28)} if right.get("fit") == "normalise" else {}  # MNIST's
    return Pictures(folder / right["images"], **(size | {key: right[key] for key in _OF_PICTURES if key in right}))
