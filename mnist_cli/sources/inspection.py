"""Inspect a folder of data as fetch and preprocess would read it, and describe it."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist_cli.config.yaml_document import read_scalar
from mnist_cli.datasets import DATASETS, MOST_CLASSES, ROLES, Dataset, Pictures
from mnist_cli.datasets.description import OWN_NAME
from mnist_cli.datasets.folders import find_idx_files, idx_candidates, list_pictures
from mnist_cli.errors import FormatError, InputError, MnistError, in_one_line
from mnist_cli.formats import MAX_PIXELS
from mnist_cli.formats.idx import IdxReader
from mnist_cli.pictures.opening import open_picture
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.examples import BLOCK_BYTES, open_examples
from mnist_cli.text import first_of, plural, printable


@dataclass
class Findings:
    """The contents of a folder.

    Attributes:
        folder: the folder.
        kind: `files` for IDX files, `images` for pictures, or None for neither.
        classes: class → number of training and test images; for IDX files, the labels as text.
        shape: height and width of the images, or None if they differ.
        first_label: the smallest label in IDX files.
        column: 0 if IDX labels have several numbers each, else None.
        is_split: whether the folder separates the images for testing.
        remarks: oddities that may be intended.
        problems: why the data cannot be used, at most 20.
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
        """Return the description of the data in YAML, for a file in the folder itself."""
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
            lines.append("transpose: false         # true if rows and columns are swapped, as in EMNIST")
        else:
            height, width = self.shape or (28, 28)
            lines.append(f"size: [{height}, {width}]")
            lines.append("fit: resize              # or normalise: find the digit and centre it as in MNIST")
            if not self.is_split:
                lines.append("test_share: 0.2          # of each class, chosen by the seed")
            lines.append("seed: 0                  # for the order of the images")
        return "\n".join(lines) + "\n"


def inspect_folder(folder: Path, progress: Progress = SILENT) -> Findings:
    """Inspect a folder of IDX files or of pictures, and read all of them.

    Raises:
        InputError: the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{printable(folder)}: no such folder")
    findings = Findings(folder)
    if any(next(idx_candidates(folder, role), None) for role in ROLES):
        findings.kind = "files"
        _inspect_files(findings)
    else:
        _inspect_pictures(findings, progress)
    findings.problems = first_of(findings.problems)
    return findings


def _inspect_files(findings: Findings) -> None:
    try:
        paths = find_idx_files(findings.folder)
        labels: Counter[int] = Counter()
        for role in ("train-labels", "test-labels"):
            labels.update(_labels(paths[role], findings, is_training=role == "train-labels"))
    except MnistError as error:
        findings.problems.append(in_one_line(error))
        return
    lowest, highest = min(labels), max(labels)
    findings.first_label = 1 if lowest == 1 else 0
    findings.classes = {str(label): labels[label] for label in range(findings.first_label, highest + 1)[:MOST_CLASSES]}
    if lowest < 0 or not 2 <= highest - findings.first_label + 1 <= MOST_CLASSES:
        findings.problems.append(f"labels from {lowest} to {highest}: expected 2 to {MOST_CLASSES} classes")
        return
    if absent := [name for name, count in findings.classes.items() if not count]:
        findings.remarks.append(f"no image of class {', '.join(absent[:10])}")
    described = Dataset("", {}, (), (), first_label=findings.first_label, column=findings.column)
    try:
        with open_examples(paths, described, len(findings.classes)) as parts:
            findings.shape = parts[0].shape
            for _ in itertools.chain(*(part.blocks() for part in parts)):
                pass  # only to check that all can be read
    except MnistError as error:
        findings.problems.append(in_one_line(error))


def _labels(path: Path, findings: Findings, *, is_training: bool) -> Iterator[int]:
    """Yield all labels in a file; if they have several numbers each, the first ones."""
    with IdxReader(path) as reader:
        header = reader.header
        if header.dtype.kind not in "ui" or len(header.shape) > 2 or not header.shape[0]:
            expected = "whole numbers [n] or [n, columns], n at least 1"
            raise FormatError(path, "not labels", expected=expected, received=f"{header.dtype} {list(header.shape)}")
        findings.column = 0 if len(header.shape) == 2 else None
        last, is_sorted = -1, True
        while reader.rows_left:
            block = reader.read_rows(max(1, BLOCK_BYTES // max(1, header.row_bytes)))
            column = (block if block.ndim == 1 else block[:, 0]).astype(np.int64)
            is_sorted &= bool(last <= column[0] and np.all(column[1:] >= column[:-1]))
            last = int(column[-1])
            yield from column.tolist()
    if is_training and is_sorted and header.shape[0] > 1:
        remark = "the training images are sorted by label: set preprocess.split to stratified, or the validation split "
        findings.remarks.append(f"{remark}has few classes")


def _inspect_pictures(findings: Findings, progress: Progress) -> None:
    try:
        listed = list_pictures(Pictures(findings.folder))
    except InputError as error:
        findings.problems.append(f"no IDX files with the usual names; {in_one_line(error)}")
        return
    findings.kind = "images"
    findings.is_split = listed.is_split
    findings.classes = dict.fromkeys(listed.classes, 0)
    sizes: Counter[tuple[int, int]] = Counter()
    progress.start("check pictures", len(listed.pictures), "images")
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
                f"{len(sizes):,} sizes, most often {height} × {width} ({share}); 'size:' scales all to one"
            )
        elif findings.shape is None:
            findings.remarks.append(f"pictures of {height} × {width} pixels are too large: set a smaller 'size:'")
    if listed.others:
        findings.remarks.append(f"ignored {plural(len(listed.others), 'file')} by suffix")


def _quoted(text: str) -> str:
    """Return a text as YAML: unquoted, unless it would be read as something else, such as `true`."""
    if text.isascii() and text.isalpha() and read_scalar(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in quoted)
