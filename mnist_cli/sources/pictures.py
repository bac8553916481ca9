"""Turn a folder of pictures, one subfolder per class, into four IDX files."""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_cli import files
from mnist_cli.datasets import FILE_NAMES, Pictures
from mnist_cli.datasets.folders import Part, Picture, PictureList, list_pictures
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.maps.permutation import permuted
from mnist_cli.pictures.normalize import fitted
from mnist_cli.pictures.opening import open_picture
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.wrappers import packing
from mnist_cli.text import first_of, plural, printable

_IDX_UINT8 = 0x0800
# Streams of the permutation: stream 1 + label divides a class; these two order the images of a part.
_ORDER: dict[Part, int] = {"train": 1000, "test": 1001}

Bytes = npt.NDArray[np.uint8]


def write_pictures(
    folder: Path, source: Pictures, classes: Sequence[str] = (), *, progress: Progress = SILENT
) -> tuple[str, ...]:
    """Write the pictures of a folder as four IDX files under the names in FILE_NAMES.

    Training and test images are each shuffled by the seed, so that the first ones are of all classes.

    Args:
        folder: an existing folder for the files.
        source: the pictures and how they become images.
        classes: the classes in order; if empty, the subfolders' names in alphabetical order.
        progress: receives the number of pictures done.

    Returns:
        The names of the classes.

    Raises:
        InputError: the folder does not contain pictures by class, or some cannot be used; it names them.
        ConfigError: the test share leaves a class without a training or a test picture.
        OSError: a file cannot be written.
    """
    listed = list_pictures(source, classes)
    if listed.others:
        shown = ", ".join(printable(path.name, 60) for path in listed.others[:3])
        progress.warn(f"{printable(source.folder)}: ignored {plural(len(listed.others), 'file')} by suffix: {shown}")
    parts = divided(listed, source)
    size = source.size or _first_size(parts["train"])
    problems: list[str] = []
    progress.start("read pictures", sum(map(len, parts.values())), "images")
    try:
        done = 0
        for part, pictures in parts.items():
            with _idx_file(folder, f"{part}-images", (len(pictures), *size)) as packed:
                for image in _images(pictures, source, size, problems):
                    packed.write(image.tobytes())
                    done += 1
                    progress.update(done)
            with _idx_file(folder, f"{part}-labels", (len(pictures),)) as packed:
                packed.write(bytes(picture.label for picture in pictures))
    finally:
        progress.finish()
    if problems:
        lines = [f"{plural(len(problems), 'picture')} cannot be used", *(f"  {line}" for line in first_of(problems))]
        raise InputError("\n".join(lines), hint="fix or remove them, then run 'mnist fetch'")
    return listed.classes


@contextlib.contextmanager
def _idx_file(folder: Path, role: str, shape: tuple[int, ...]) -> Iterator[gzip.GzipFile]:
    """Yield a file of bytes [*shape] to fill, with its header written."""
    with files.publish(folder / FILE_NAMES[role]) as file, packing(file) as packed:
        packed.write(struct.pack(f">{1 + len(shape)}I", _IDX_UINT8 | len(shape), *shape))
        yield packed


def divided(listed: PictureList, source: Pictures) -> dict[Part, list[Picture]]:
    """Return training and test pictures, each in a shuffled order that depends only on the seed and their names.

    Raises:
        ConfigError: the test share leaves a class without a training or a test picture.
    """
    parts: dict[Part, list[Picture]] = {"train": [], "test": []}
    if listed.is_split:
        for picture in listed.pictures:
            parts[picture.part].append(picture)
    else:
        for label, name in enumerate(listed.classes):
            own = [picture for picture in listed.pictures if picture.label == label]
            count = round(len(own) * source.test_share)
            if not 0 < count < len(own):
                raise ConfigError(
                    [
                        f"dataset: test_share {source.test_share:g} of the {plural(len(own), 'picture')} of "
                        f"'{printable(name, 60)}': expected at least 1 for training and 1 for testing; received {count}"
                    ]
                )
            places = permuted(source.seed, 1 + label, np.arange(len(own)), len(own))
            for picture, place in zip(own, places, strict=True):
                parts["test" if place < count else "train"].append(picture)
    return {part: _shuffled(pictures, source.seed, _ORDER[part]) for part, pictures in parts.items()}


def _shuffled(pictures: list[Picture], seed: int, stream: int) -> list[Picture]:
    return [pictures[place] for place in permuted(seed, stream, np.arange(len(pictures)), len(pictures))]


def _images(
    pictures: Sequence[Picture], source: Pictures, size: tuple[int, int], problems: list[str]
) -> Iterator[Bytes]:
    """Yield each picture's image, uint8 [height, width]; add the problems of pictures that cannot be used."""
    for picture in pictures:
        try:
            yield _image(picture.path, source, size)
        except InputError as error:
            shown = printable(picture.path.relative_to(source.folder))
            problems.append(f"{shown}: {error.message}")


def _image(path: Path, source: Pictures, size: tuple[int, int]) -> Bytes:
    picture = open_picture(path)
    if source.size is None and (picture.height, picture.width) != size:
        raise InputError(
            f"expected {size[0]} × {size[1]} pixels, like the first picture; "
            f"received {picture.height} × {picture.width} ('size:' in the description scales all pictures)"
        )
    return fitted(picture, size, source.fit)


def _first_size(pictures: Sequence[Picture]) -> tuple[int, int]:
    """Return the size of the first picture that can be opened; if there is none, a size that is never used."""
    for picture in pictures:
        with contextlib.suppress(InputError):
            opened = open_picture(picture.path)
            return opened.height, opened.width
    return 1, 1
