"""A data set's description in YAML, read and checked: everything that is wrong with it is reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_cli import files as file_access
from mnist_cli.config.yaml_document import SIZE_LIMIT, Document, Place, read_yaml
from mnist_cli.datasets import DATASETS, ROLES, DataFile, Dataset, Pictures
from mnist_cli.datasets.folders import MOST_CLASSES
from mnist_cli.errors import ConfigError
from mnist_cli.text import printable

# An image of more pixels would make blocks of the store, and so the memory of whoever reads it, large.
MOST_PIXELS = 1 << 16
OWN_NAME = "own"
_SUFFIXES = (".yaml", ".yml")
_PROBLEM_LIMIT = 20
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_FILE_NAME = re.compile(r"[^/\\\0]{1,200}\Z")
_HINT = "'mnist dataset init FOLDER' writes a description; 'mnist dataset show mnist' is an example"

_COMMON = ("name", "title", "classes", "shape", "licence", "source", "transpose", "first_label", "column")
_DOWNLOADED = ("files", "archive", "mirrors")
_PICTURES = ("images", "size", "fit", "test_share", "seed")
_KEYS = (*_COMMON, *_DOWNLOADED, *_PICTURES, "generated")
_FILE_KEYS = ("name", "size", "sha256", "content")

KeyPath = tuple[str | int, ...]


def read_shipped(path: Path) -> Dataset:
    """Read a data set of the package's own."""
    document = read_yaml(path.read_bytes())
    return _Reader(document.content, path.parent, _in_document(path, document), is_own=False).dataset()


def read_own(value: object, folder: Path, where: Callable[[KeyPath], str]) -> Dataset:
    """Read a data set that a user describes; arguments and errors as `datasets.find_dataset`."""
    if isinstance(value, Mapping):
        return _Reader(value, folder, where).dataset()
    if not isinstance(value, str) or not value.endswith(_SUFFIXES):
        raise ConfigError([f"dataset: {_expected_name(value)}"])
    path = folder / value
    try:
        with file_access.open_regular(path) as file:
            text = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError([f"dataset: {printable(path)}: cannot be read: {error.strerror}"], hint=_HINT) from None
    document = read_yaml(text)
    return _Reader(document.content, path.parent, _in_document(path, document), document.problems).dataset()


def _expected_name(value: object) -> str:
    known = ", ".join(DATASETS)
    near = difflib.get_close_matches(value.lower(), [*DATASETS], n=1) if isinstance(value, str) else []
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return (
        f"expected one of {known}, a file such as digits.yaml, or files: or images: with a folder; "
        f"received {_shown(value)}{meant}"
    )


def _in_document(path: Path, document: Document) -> Callable[[KeyPath], str]:
    def where(key: KeyPath) -> str:
        while key and key not in document.key_places and key not in document.places:
            key = key[:-1]
        line, column = document.places.get(key) or document.key_places.get(key) or (1, 1)
        return f"{printable(path)}:{line}:{column}"

    return where


class _Reader:
    """Reads one description and remembers what is wrong with it."""

    def __init__(
        self,
        content: object,
        folder: Path,
        where: Callable[[KeyPath], str],
        problems: Sequence[tuple[Place, str]] = (),
        *,
        is_own: bool = True,
    ) -> None:
        self._content: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
        self._folder = folder
        self._where = where
        self._is_own = is_own
        source = where(()).rpartition(":")[0].rpartition(":")[0]
        self._problems = [f"{source}:{line}:{column}: {message}" for (line, column), message in problems]
        if not isinstance(content, Mapping) and not self._problems:
            self._wrong((), "keys and values", content)

    def dataset(self) -> Dataset:
        """Return the data set.

        Raises:
            ConfigError: with every problem there is.
        """
        dataset = self._read()
        if self._problems:
            lines = list(dict.fromkeys(self._problems))
            if len(lines) > _PROBLEM_LIMIT:
                lines = [*lines[:_PROBLEM_LIMIT], f"and {len(lines) - _PROBLEM_LIMIT} more problems"]
            raise ConfigError(lines, hint=_HINT)
        return dataset

    def _read(self) -> Dataset:
        content = self._content
        self._only_known((), content, _KEYS)
        is_generated = content.get("generated") is True and not self._is_own
        kinds = [key for key in ("files", "images") if content.get(key) is not None]
        if content and not is_generated and len(kinds) != 1:
            received = "both" if kinds else "neither"
            self._problem((), f"expected either files: or images:; received {received}")
        has_pictures, has_folder = "images" in kinds, isinstance(content.get("files"), str)
        is_downloaded = "files" in kinds and not has_folder
        for key in content:
            if key in _PICTURES and not has_pictures:
                self._problem((key,), f"{key}: only for a folder of pictures (images: FOLDER)")
            if (key in ("archive", "mirrors") and not is_downloaded) or (
                key in ("shape", "transpose", "first_label", "column") and has_pictures
            ):
                self._problem((key,), f"{key}: only for {'files to download' if key in _DOWNLOADED else 'IDX files'}")
        archive = self._archive() if "archive" in content else None
        return Dataset(
            name=self._name(),
            files=self._files(archive) if is_downloaded else {},
            mirrors=self._mirrors() if is_downloaded else (),
            classes=self._classes(are_optional=has_pictures),
            title=self._text("title"),
            shape=self._pair("shape"),
            archive=archive,
            licence=self._text("licence"),
            source=self._text("source"),
            transpose=self._flag("transpose"),
            first_label=self._whole("first_label", 0, 2**31 - 1 - MOST_CLASSES, 0),
            column=self._whole("column", 0, 2**16 - 1, None),
            folder=self._path("files") if has_folder else None,
            pictures=self._pictures() if has_pictures else None,
            is_own=self._is_own,
        )

    def _name(self) -> str:
        value = self._content.get("name", OWN_NAME if self._is_own else None)
        if not isinstance(value, str) or not _NAME.match(value):
            self._wrong(("name",), "letters, digits, '.', '_' and '-', 64 at most", value)
        elif self._is_own and value in DATASETS:
            self._problem(("name",), f"name: expected a name that no shipped data set has; received '{value}'")
        else:
            return value
        return OWN_NAME

    def _classes(self, *, are_optional: bool) -> tuple[str, ...]:
        value = self._content.get("classes")
        if value is None and (are_optional or not self._content):
            return ()
        expected = f"2 to {MOST_CLASSES} names, or how many there are"
        if type(value) is int and 2 <= value <= MOST_CLASSES:
            return tuple(map(str, range(value)))
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= MOST_CLASSES:
            received = f"a list of {len(value)}" if isinstance(value, list) else _shown(value)
            self._problem(("classes",), f"classes: expected {expected}; received {received}")
            return ()
        names: list[str] = []
        for index, item in enumerate(value):
            name = item if isinstance(item, str) else str(item) if type(item) in (int, float) else ""
            if not name.strip() or len(name) > 100 or "\0" in name:
                self._wrong(("classes", index), "a name of 1 to 100 characters", item)
            elif name in names:
                first = names.index(name)
                self._problem(("classes", index), f"classes[{index}]: '{printable(name, 60)}' is classes[{first}] too")
            names.append(name)
        return tuple(names)

    def _files(self, archive: DataFile | None) -> dict[str, DataFile]:
        table = self._content["files"]
        if not isinstance(table, Mapping):
            self._wrong(("files",), f"a folder, or {', '.join(ROLES)}", table)
            return {}
        self._only_known(("files",), table, ROLES)
        for role in ROLES:
            if role not in table:
                self._problem(("files",), f"files: expected {role}; received nothing for it")
        return {role: self._file(("files", role), table[role], archive) for role in ROLES if role in table}

    def _archive(self) -> DataFile:
        return self._file(("archive",), self._content["archive"], None)

    def _file(self, path: KeyPath, entry: object, archive: DataFile | None) -> DataFile:
        if not isinstance(entry, Mapping):
            self._wrong(path, "name, size and sha256 of a file", entry)
            return DataFile("")
        self._only_known(path, entry, _FILE_KEYS)
        name = entry.get("name")
        if not isinstance(name, str) or not _FILE_NAME.match(name) or name in (".", ".."):
            self._wrong((*path, "name"), "the name of a file, without folders", name)
            name = ""
        size = entry.get("size", 0)
        if type(size) is not int or not 0 <= size <= 2**50:
            self._wrong((*path, "size"), "a number of bytes", size)
            size = 0
        digests = {key: entry.get(key, "") for key in ("sha256", "content")}
        for key, digest in digests.items():
            if digest and not (isinstance(digest, str) and _DIGEST.match(digest)):
                self._wrong((*path, key), "64 hexadecimal digits in lower case", digest)
        if archive is None:
            # Without them a download could neither be resumed nor trusted.
            for key in ("size", "sha256"):
                if not entry.get(key):
                    self._problem(path, f"{_dotted((*path, key))}: needed for a file that is downloaded")
        return DataFile(name, size, digests["sha256"], digests["content"])

    def _mirrors(self) -> tuple[str, ...]:
        value = self._content.get("mirrors", [])
        if not isinstance(value, list | tuple):
            self._wrong(("mirrors",), "a list of http(s):// addresses or folders", value)
            return ()
        for index, mirror in enumerate(value):
            if not isinstance(mirror, str) or not mirror.strip() or "\0" in mirror:
                self._wrong(("mirrors", index), "an http(s):// address or a folder", mirror)
        texts = [mirror for mirror in value if isinstance(mirror, str)]
        return tuple(text if "://" in text or text.startswith("~") else str(self._folder / text) for text in texts)

    def _pictures(self) -> Pictures:
        fit = self._content.get("fit", "resize")
        if fit not in ("resize", "normalise"):
            self._wrong(("fit",), "resize or normalise", fit)
        share = self._content.get("test_share", Pictures(Path()).test_share)
        if type(share) not in (int, float) or not 0 < share < 1:
            self._wrong(("test_share",), "a number above 0 and below 1", share)
        size = self._pair("size")
        if fit == "normalise" and size is None and "size" not in self._content:
            size = (28, 28)
        seed = self._whole("seed", 0, 2**63 - 1, 0)
        return Pictures(self._path("images"), size, fit, share, seed or 0)

    def _path(self, key: str) -> Path:
        value = self._content.get(key)
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            self._wrong((key,), "a folder", value)
            return self._folder
        if value.startswith("~"):
            try:
                return Path(value).expanduser()
            except RuntimeError:
                self._problem((key,), f"{key}: there is no home folder for {printable(value)}")
        return self._folder / value

    def _pair(self, key: str) -> tuple[int, int] | None:
        value = self._content.get(key)
        if value is None:
            return None
        expected = f"[height, width], together 1 to {MOST_PIXELS:,} pixels"
        if (
            isinstance(value, list | tuple)
            and len(value) == 2
            and all(type(side) is int and side > 0 for side in value)
        ):
            if value[0] * value[1] <= MOST_PIXELS:
                return value[0], value[1]
            self._problem((key,), f"{key}: expected {expected}; received {printable([*value], 60)}")
        else:
            self._wrong((key,), expected, value)
        return None

    def _text(self, key: str) -> str:
        value = self._content.get(key, "")
        if not isinstance(value, str):
            self._wrong((key,), "text", value)
            return ""
        return printable(value)

    def _flag(self, key: str) -> bool:
        value = self._content.get(key, False)
        if not isinstance(value, bool):
            self._wrong((key,), "true or false", value)
        return value is True

    def _whole(self, key: str, least: int, most: int, default: Any) -> Any:
        value = self._content.get(key, default)
        if value is not None and (type(value) is not int or not least <= value <= most):
            self._wrong((key,), f"a whole number from {least} to {most}", value)
            return default
        return value

    def _only_known(self, path: KeyPath, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
                meant = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
                self._problem((*path, key), f"{_dotted((*path, key))}: unknown key; {meant}")

    def _wrong(self, path: KeyPath, expected: str, received: object) -> None:
        name = _dotted(path)
        self._problem(path, f"{f'{name}: ' if name else ''}expected {expected}; received {_shown(received)}")

    def _problem(self, path: KeyPath, message: str) -> None:
        place = self._where(path)
        self._problems.append(f"{place}: {message}" if place else f"dataset: {message}")


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return printable(text, 100)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"'{printable(value, 60)}'"
    if isinstance(value, Mapping):
        return "keys and values"
    return "a list" if isinstance(value, list | tuple) else printable(value, 60)
