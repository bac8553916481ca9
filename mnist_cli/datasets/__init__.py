"""Data sets: their classes, their files with digests, and where the files come from.

Each shipped data set is a YAML file in this folder; nothing else in the package names its files or counts its classes.
A file is read when its data set is requested, so a command reads at most one.
"""

from __future__ import annotations

import hashlib
import json
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mnist_cli.errors import ConfigError

ROLES = ("train-images", "train-labels", "test-images", "test-labels")

# The names under which the four files of every data set are published: those of MNIST.
FILE_NAMES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}

MOST_CLASSES = 256
_HINT = "'mnist dataset init FOLDER' writes a description; 'mnist dataset show mnist' is an example"

# The version of the bytes that `synthetic` makes from a seed; part of fetch's key. Raise it whenever they change.
GENERATOR = 2


Fit = Literal["resize", "normalise"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file as its publisher packed it.

    Attributes:
        name: its name on every mirror, or in the archive.
        size: in bytes; 0 if unknown, as for a member of an archive.
        sha256: of its bytes, 64 hexadecimal digits; empty if unknown.
        content: SHA-256 of its unpacked content; empty if unknown.
    """

    name: str
    size: int = 0
    sha256: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A folder with one subfolder of pictures for each class, and how the pictures become images.

    Attributes:
        folder: contains the classes' subfolders, directly or in `train` and `test`.
        size: height and width of the images, or None if all pictures have the same size.
        fit: `resize` scales a picture; `normalise` finds its digit and centres it as in MNIST.
        test_share: the share of each class that becomes the test images, if there is no `test` folder.
        seed: for that choice, and for the order of the images.
    """

    folder: Path
    size: tuple[int, int] | None = None
    fit: Fit = "resize"
    test_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set.

    Attributes:
        name: the value of `dataset:` in the configuration, also written into the store.
        files: role (one of ROLES) → the file; empty for a data set that is generated or the user's own.
        mirrors: base URLs, tried in order; each ends with a slash.
        classes: the name of each label, by index; empty if the subfolders of `pictures` name them.
        title: what it is, in a few words.
        shape: height and width of an image, or None if only its files state it.
        archive: the file that holds `files` as its members, or None if each is downloaded separately.
        licence: the licence of the data.
        source: the address of the page that describes it.
        transpose: whether rows and columns of the images are swapped in the files.
        first_label: the label of the first class in the files.
        column: which number is the label, if a label file has several for each image; else None.
        folder: the user's folder with four IDX files, or None.
        pictures: the user's folder of pictures, or None.
        is_own: whether a user described it, so that its name does not determine its content.
    """

    name: str
    files: Mapping[str, DataFile]
    mirrors: tuple[str, ...]
    classes: tuple[str, ...]
    title: str = ""
    shape: tuple[int, int] | None = None
    archive: DataFile | None = None
    licence: str = ""
    source: str = ""
    transpose: bool = False
    first_label: int = 0
    column: int | None = None
    folder: Path | None = None
    pictures: Pictures | None = None
    is_own: bool = field(default=False, kw_only=True)

    @property
    def is_generated(self) -> bool:
        """Whether it is made from a seed."""
        return not self.files and self.folder is None and self.pictures is None

    @property
    def fit(self) -> Fit:
        """How a picture becomes an image of the data set."""
        return self.pictures.fit if self.pictures else "normalise"

    def class_names(self) -> tuple[str, ...]:
        """Return the name of each label; for pictures, of each subfolder unless the description names the classes.

        Raises:
            InputError: the folder of pictures is missing, or its subfolders are not the classes.
        """
        if self.classes or self.pictures is None:
            return self.classes
        from mnist_cli.datasets.folders import list_pictures

        return list_pictures(self.pictures).classes

    def identity(self, digest_of: Callable[[Path], str]) -> str:
        """Return the text that identifies the data in a manifest's key.

        Args:
            digest_of: returns the content digest of a user's file; of a packed one, that of its unpacked content.

        Returns:
            The name of a shipped data set; for a user's own, the name and a digest of the content, without paths.

        Raises:
            InputError: a user's folder is missing, or is not a data set.
            OSError: a file cannot be read.
        """
        if not self.is_own:
            return self.name
        from mnist_cli.datasets import folders

        content: object
        if self.pictures is not None:
            found = folders.list_pictures(self.pictures, self.classes)
            content = [
                found.classes,
                self.pictures.size,
                self.pictures.fit,
                None if found.is_split else self.pictures.test_share,
                self.pictures.seed,
                [[picture.part, picture.label, digest_of(picture.path)] for picture in found.pictures],
            ]
        elif self.folder is not None:
            paths = folders.find_idx_files(self.folder)
            content = {role: digest_of(path) for role, path in paths.items()}
        else:
            content = {role: file.content or file.sha256 or file.name for role, file in self.files.items()}
            content["archive"] = self.archive.sha256 if self.archive else ""
        rules = [self.classes, self.shape, self.transpose, self.first_label, self.column]
        canonical = json.dumps([self.name, content, rules], sort_keys=True)
        # 64 bits distinguish a user's data sets; whoever reads the files computes their full digests.
        return f"{self.name}@{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


class _Registry(UserDict[str, Dataset]):
    """The shipped data sets by name; each file is read when its data set is first requested."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        # The default and the one that needs no network come first.
        order = {"mnist": 0, "synthetic": 1}
        names = sorted((path.stem for path in folder.glob("*.yaml")), key=lambda name: (order.get(name, 2), name))
        self.data: dict[str, Any] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Dataset:
        if self.data[name] is None:
            from mnist_cli.datasets.description import read_shipped

            self.data[name] = read_shipped(self._folder / f"{name}.yaml")
        found: Dataset = self.data[name]
        return found


DATASETS = _Registry(Path(__file__).parent)


def find_dataset(value: object, folder: Path | None = None) -> Dataset:
    """Return the data set that `dataset:` in a configuration names.

    Args:
        value: the name of a shipped data set, the path of a YAML file, a mapping such as
            `{files: FOLDER, classes: [a, b]}` or `{images: FOLDER}`, or a Dataset, which is returned unchanged.
        folder: the base of relative paths; the current folder by default.

    Raises:
        ConfigError: with every problem in it.
    """
    if isinstance(value, Dataset):
        return value
    if isinstance(value, str) and value in DATASETS:
        return DATASETS[value]
    from mnist_cli.config.kinds import Wrong, dotted
    from mnist_cli.datasets.description import read_own

    try:
        return read_own(value, folder or Path())
    except Wrong as wrong:
        problems = [f"{dotted(('dataset', *path))}: {problem}" for path, problem in wrong.problems]
        raise ConfigError(problems, hint=_HINT) from None
