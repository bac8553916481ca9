"""Find the data in a folder: IDX files by their usual names, or pictures in one subfolder per class."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnist_cli.datasets import MOST_CLASSES, ROLES, Pictures
from mnist_cli.errors import InputError
from mnist_cli.files import is_folder
from mnist_cli.text import plural, printable

Part = Literal["train", "test"]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp")
# `images-idx3-ubyte.gz`: the content, a hyphen or (from some unpackers) a dot, and the IDX type.
_IDX_NAME = re.compile(r"(?P<stem>.+)[-.](?P<kind>idx\d-\w+?)(?P<packed>\.gz)?\Z")
_USUAL = {
    "train-images": ("train-images-idx3-ubyte",),
    "train-labels": ("train-labels-idx1-ubyte", "train-labels-idx2-int"),
    "test-images": ("t10k-images-idx3-ubyte", "test-images-idx3-ubyte"),
    "test-labels": ("t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte", "t10k-labels-idx2-int", "test-labels-idx2-int"),
}
_HINT = "run 'mnist dataset check FOLDER'"


def usual_names(name: str) -> tuple[str, ...]:
    """Return the usual names of a file: packed or not, with a hyphen or a dot; its own name first."""
    match = _IDX_NAME.match(name)
    if match is None:
        return (name,)
    stem, kind = match["stem"], match["kind"]
    names = [f"{stem}{separator}{kind}{packed}" for separator in "-." for packed in (".gz", "")]
    return tuple(dict.fromkeys([name, *names]))


def places(folder: Path) -> tuple[Path, ...]:
    """Return where in a folder the files may be: there, or in torchvision's `raw` and `NAME/raw`."""
    if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir raises for a name that is too long
        return (folder,)
    return (folder, folder / "raw", *sorted(path for path in folder.glob("*/raw") if path.parent.name != "raw"))


def idx_candidates(folder: Path, role: str) -> Iterator[Path]:
    """Yield the files in a folder that may have a role, the likeliest first."""
    for place in places(folder):
        for usual in _USUAL[role]:
            yield from (place / name for name in usual_names(f"{usual}.gz") if (place / name).is_file())


def find_idx_files(folder: Path) -> dict[str, Path]:
    """Return role → file of a user's four IDX files.

    Raises:
        InputError: the folder does not exist, or files are missing from it.
    """
    if not is_folder(folder):
        raise InputError(f"{printable(folder)}: no such folder")
    found = {role: next(idx_candidates(folder, role), None) for role in ROLES}
    missing = [f"{_USUAL[role][0]}.gz" for role, path in found.items() if path is None]
    if missing:
        raise InputError(f"{printable(folder)}: missing {', '.join(missing)}", hint=_HINT)
    return {role: path for role, path in found.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture in a folder of pictures.

    Attributes:
        path: the file.
        part: `train` or `test`; all are `train` if the folder is not divided.
        label: index of its class.
    """

    path: Path
    part: Part
    label: int


@dataclass(frozen=True, slots=True)
class PictureList:
    """The pictures in a folder, by part, class and name.

    Attributes:
        classes: the name of each label, by index.
        pictures: all pictures.
        is_split: whether subfolders separate training and test pictures.
        others: files that are not pictures by their names, and are ignored.
    """

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    is_split: bool
    others: tuple[Path, ...]


def list_pictures(source: Pictures, classes: Sequence[str] = ()) -> PictureList:
    """List the pictures of a folder without opening them.

    Args:
        source: the folder.
        classes: the classes in order; if empty, the subfolders' names in alphabetical order.

    Raises:
        InputError: the folder does not exist, or its subfolders are not the classes or contain no pictures.
    """
    folder = source.folder
    if not is_folder(folder):
        raise InputError(f"{printable(folder)}: no such folder")
    is_split = (folder / "train").is_dir() and (folder / "test").is_dir()
    parts: dict[Part, Path] = {"train": folder / "train", "test": folder / "test"} if is_split else {"train": folder}
    names = {part: {path.name for path in _subfolders(place)} for part, place in parts.items()}
    if is_split and names["train"] != names["test"]:
        raise _different_classes(folder, names)
    classes = tuple(classes) or tuple(sorted(names["train"]))
    _check_classes(folder, sorted(names["train"]), classes)
    pictures: list[Picture] = []
    others: list[Path] = []
    for part, place in parts.items():
        for label, name in enumerate(classes):
            files = sorted(_files(place / name))
            found = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
            if not found:
                raise InputError(f"{printable(place / name)}: expected pictures; received none", hint=_HINT)
            pictures += [Picture(path, part, label) for path in found]
            others += [path for path in files if path.suffix.lower() not in PICTURE_SUFFIXES]
    return PictureList(classes, tuple(pictures), is_split, tuple(others))


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, except the hidden ones of file managers."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118  # takes a fifth of pathlib's time
            if not name.startswith((".", "__")) and os.path.isfile(path):  # noqa: PTH113
                yield Path(path)


def _different_classes(folder: Path, names: Mapping[Part, set[str]]) -> InputError:
    pairs: tuple[tuple[Part, Part], ...] = (("train", "test"), ("test", "train"))
    only = [(part, name) for part, other in pairs for name in sorted(names[part] - names[other])]
    found = ", ".join(f"'{printable(name, 60)}' in {part}/ only" for part, name in only[:10])
    more = f" and {len(only) - 10} more" if len(only) > 10 else ""
    message = f"{printable(folder)}: train/ and test/ hold different classes: {found}{more}"
    return InputError(message, hint="both need the same subfolders")


def _check_classes(folder: Path, names: list[str], classes: tuple[str, ...]) -> None:
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"{printable(folder)}: expected one subfolder of pictures for each of 2 to {MOST_CLASSES} classes; "
            f"received {plural(len(names), 'subfolder')}",
            hint=_HINT,
        )
    if sorted(classes) != names:
        missing, excess = sorted({*classes} - {*names}), sorted({*names} - {*classes})
        problems = [f"no subfolder '{printable(name, 60)}'" for name in missing[:10]]
        problems += [f"the subfolder '{printable(name, 60)}' is not a class of the data set" for name in excess[:10]]
        raise InputError(f"{printable(folder)}: " + "; ".join(problems), hint=_HINT)
