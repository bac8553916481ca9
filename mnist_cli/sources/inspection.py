"""What is in a folder of data, looked at as fetch and preprocess would read it, and the description that suits it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist_cli.config.yaml_document import read_scalar
from mnist_cli.datasets import DATASETS, MOST_CLASSES, ROLES, Pictures
from mnist_cli.datasets.description import OWN_NAME
from mnist_cli.datasets.folders import find_idx_files, idx_candidates, list_pictures
from mnist_cli.errors import InputError, MnistError, in_one_line
from mnist_cli.formats import MAX_PIXELS
from mnist_cli.formats.idx import IdxReader
from mnist_cli.pictures.opening import open_picture
from mnist_cli.progress import SILENT, Progress
from mnist_cli.text import plural, printable

_PROBLEM_LIMIT = 20
_BLOCK_BYTES = 1 << 20


@dataclass
class Findings:
    """What a folder holds.

    Attributes:
        folder: the folder.
        kind: `files` for IDX files, `images` for pictures, or None for neither.
        classes: class → how many training and test images; of IDX files the labels as text.
        shape: height and width of the images, or None where they differ.
        first_label: the smallest label in IDX files.
        column: 0 where IDX labels have several numbers each, else None.
        is_split: whether the folder says which images are for testing.
        remarks: what is odd and may be meant.
        problems: what keeps the data from being used, at most 20 of them.
    """

    folder: Path
    kind: Literal["files", "images"] | None = None
    classes: dict[str, int] = field(default_factory=dict)
    shape: tuple[int, int] | None = None
    first_label: int = 0
    column: int | None = None
    is_split: bool = True
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the findings for `--json`."""
        return {
            "folder": str(self.folder),
            "kind": self.kind,
            "classes": self.classes,
            "shape": list(self.shape) if self.shape else None,
            "remarks": self.remarks,
            "problems": self.problems,
        }

    def description(self) -> str:
        """Return the YAML that describes the data, with the folder as `./`, for a file in the folder itself."""
        own = re.sub(r"[^A-Za-z0-9._-]+", "-", self.folder.resolve().name).strip("-._")[:60]
        lines = [
            f"# {plural(sum(self.classes.values()), 'image')}",
            f"name: {_quoted(f'my-{own}' if own in DATASETS else own or OWN_NAME)}",
            f"{self.kind}: ./",
            f"classes: [{', '.join(map(_quoted, self.classes))}]",
        ]
        if self.kind == "files":
            lines += [f"shape: [{self.shape[0]}, {self.shape[1]}]"] if self.shape else []
            lines += [f"first_label: {self.first_label}"] if self.first_label else []
            lines += [f"column: {self.column}"] if self.column is not None else []
            lines.append("transpose: false         # true where rows and columns are exchanged, as in EMNIST")
        else:
            height, width = self.shape or (28, 28)
            lines.append(f"size: [{height}, {width}]")
            lines.append("fit: resize              # or normalise: find the digit and centre it, as MNIST was made")
            if not self.is_split:
                lines.append("test_share: 0.2          # of each class, chosen by the seed")
            lines.append("seed: 0                  # of the order of the images")
        return "\n".join(lines) + "\n"


def inspect_folder(folder: Path, progress: Progress = SILENT) -> Findings:
    """Look at a folder of IDX files or of pictures, and read all that is in it.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{printable(folder)}: no such folder")
    findings = Findings(folder)
    if any(next(idx_candidates(folder, role), None) for role in ROLES):
        findings.kind = "files"
        _inspect_files(findings)
    else:
        _inspect_pictures(findings, progress)
    excess = len(findings.problems) - _PROBLEM_LIMIT
    if excess > 0:
        findings.problems[_PROBLEM_LIMIT:] = [f"and {excess} more"]
    return findings


def _inspect_files(findings: Findings) -> None:
    try:
        paths = find_idx_files(findings.folder)
    except InputError as error:
        findings.problems.append(in_one_line(error))
        return
    shapes: dict[str, tuple[int, ...]] = {}
    labels: Counter[int] = Counter()
    for role, path in paths.items():
        try:
            shapes[role] = _read(path, role, labels, findings)
        except MnistError as error:
            findings.problems.append(in_one_line(error))
    for part in ("train", "test"):
        counts = [shapes[role][0] for role in (f"{part}-images", f"{part}-labels") if role in shapes]
        if len(counts) == 2 and counts[0] != counts[1]:
            findings.problems.append(f"{part}: {plural(counts[0], 'image')} and {plural(counts[1], 'label')}")
    sizes = {shapes[role][1:] for role in ("train-images", "test-images") if role in shapes}
    if len(sizes) > 1:
        findings.problems.append("training and test images differ in size: " + " and ".join(map(_size, sorted(sizes))))
    elif sizes and len(size := sizes.pop()) == 2:
        findings.shape = size[0], size[1]
    if labels:
        findings.first_label = 1 if min(labels) == 1 else 0
        highest = max(labels)
        if min(labels) < 0 or not 2 <= highest - findings.first_label + 1 <= MOST_CLASSES:
            findings.problems.append(f"labels from {min(labels)} to {highest}: expected 2 to {MOST_CLASSES} classes")
            return
        findings.classes = {str(label): labels[label] for label in range(findings.first_label, highest + 1)}
        if absent := [name for name, count in findings.classes.items() if not count]:
            findings.remarks.append(f"no image of class {', '.join(absent[:10])}")


def _read(path: Path, role: str, labels: Counter[int], findings: Findings) -> tuple[int, ...]:
    """Read one file to its end and return its shape; what is wrong with it is added to the findings."""
    with IdxReader(path) as reader:
        shape, dtype = reader.header.shape, reader.header.dtype
        is_images = role.endswith("images")
        kinds = "u" if is_images else "ui"
        dimensions = (3,) if is_images else (1, 2)
        if (
            dtype.kind not in kinds
            or (is_images and dtype.itemsize > 1)
            or len(shape) not in dimensions
            or not shape[0]
        ):
            expected = "uint8 [n, height, width]" if is_images else "whole numbers [n] or [n, columns]"
            findings.problems.append(f"{printable(path)}: expected {expected}; received {dtype} {list(shape)}")
            return shape
        if is_images and not 0 < reader.header.row_bytes <= MAX_PIXELS:
            findings.problems.append(
                f"{printable(path)}: expected 1 to {MAX_PIXELS:,} pixels; received {_size(shape[1:])}"
            )
        if len(shape) == 2:
            findings.column = 0
        last, is_sorted = -1, True
        while reader.rows_left:
            block = reader.read_rows(max(1, _BLOCK_BYTES // max(1, reader.header.row_bytes)))
            if not is_images:
                column = (block if len(shape) == 1 else block[:, 0]).astype(np.int64)
                is_sorted &= bool(last <= column[0] and np.all(column[1:] >= column[:-1]))
                last = int(column[-1])
                labels.update(column.tolist())
        if role == "train-labels" and is_sorted and shape[0] > 1:
            findings.remarks.append(
                "the training images are sorted by label: set preprocess.split to stratified, or the validation split "
                "has few classes"
            )
    return shape


def _inspect_pictures(findings: Findings, progress: Progress) -> None:
    try:
        listed = list_pictures(Pictures(findings.folder))
    except InputError as error:
        findings.problems.append(f"no IDX files under a usual name; {in_one_line(error)}")
        return
    findings.kind = "images"
    findings.is_split = listed.is_split
    findings.classes = dict.fromkeys(listed.classes, 0)
    sizes: Counter[tuple[int, int]] = Counter()
    progress.start("look at pictures", len(listed.pictures), "images")
    for done, picture in enumerate(listed.pictures, 1):
        try:
            opened = open_picture(picture.path)
        except InputError as error:
            findings.problems.append(f"{printable(picture.path.relative_to(findings.folder))}: {error.message}")
        else:
            sizes[opened.height, opened.width] += 1
            findings.classes[listed.classes[picture.label]] += 1
        progress.update(done)
    progress.finish()
    if sizes:
        (height, width), count = sizes.most_common(1)[0]
        if height * width <= MAX_PIXELS:
            findings.shape = height, width
        if len(sizes) > 1:
            share = f"{count:,} of {sum(sizes.values()):,}"
            findings.remarks.append(
                f"{len(sizes):,} sizes, the most frequent {height} × {width} ({share}); size: scales all to one"
            )
        elif findings.shape is None:
            findings.remarks.append(f"pictures of {height} × {width} pixels: size: must say a smaller one")
    if listed.others:
        findings.remarks.append(
            f"{plural(len(listed.others), 'file')} that are not pictures by their names are left out"
        )


def _quoted(text: str) -> str:
    """Return a text as YAML: as it is, unless it would be read as something else, such as `true`."""
    if text.isascii() and text.isalpha() and read_scalar(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in quoted)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) + " pixels"
