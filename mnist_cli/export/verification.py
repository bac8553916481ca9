"""Verifies an exported file: compares its answers for every image of the split with those of Python."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli.errors import GateFailed
from mnist_cli.export.fingerprints import fingerprints
from mnist_cli.export.target import Answers, Bytes, Target
from mnist_cli.formats.model import Model, in_units, score_blocks, softmax


@dataclass(frozen=True)
class Verified:
    """The result of a verification.

    Attributes:
        runtime: the program or package that ran the file.
        split: the split of the store.
        images: number of images.
        same: number of images that got the same label.
        largest: largest difference of a probability.
        exact: whether features and logits were compared too, and are the same to the bit.
        seconds: time that the runtime and Python took.
    """

    runtime: str
    split: str
    images: int
    same: int
    largest: float
    exact: bool
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the result for a manifest."""
        return asdict(self)


def verify_export(target: Target, path: Path, model: Model, images: Bytes, rows: Bytes, split: str) -> Verified:
    """Run an exported file on images and compare.

    Args:
        target: the target that wrote the file.
        path: the file.
        model: the model that it was written from.
        images: uint8 [n, h, w], the whole split.
        rows: uint8 [n, D], the features of the images as `mnist eval` reads them, or their pixels.
        split: name of the split.

    Raises:
        GateFailed: the answers differ by more than the format explains.
        InputError: the runtime failed.
    """
    started = time.perf_counter()
    answers = target.run(path, images)
    scores = np.concatenate(
        [block for _, block in score_blocks(model.weights, model.bias, rows, model.zero, model.input_step)]
    )
    differences = np.abs(answers.probabilities - softmax(in_units(scores, model.input_step)))
    same = answers.labels == scores.argmax(axis=1)
    found = Verified(
        runtime=target.words(),
        split=split,
        images=len(images),
        same=int(same.sum()),
        largest=float(differences.max()),
        exact=target.exact,
        seconds=round(time.perf_counter() - started, 3),
    )
    if problem := _problem(target, found, answers, rows, scores):
        raise GateFailed(
            f"the answers of the {target.name} file differ from the model's; it was not published\n{problem}",
            hint="run 'mnist verify', then 'mnist train --force'; if that does not help, report it",
        )
    return found


def _problem(target: Target, found: Verified, answers: Answers, rows: Bytes, scores: np.ndarray[Any, Any]) -> str:
    """Return what differs by more than the format explains; empty if nothing does."""
    count = f"{found.images:,} images of {found.split}"
    if target.exact:
        assert answers.features is not None and answers.logits is not None, target.name
        other = np.flatnonzero(answers.features != fingerprints(rows))
        if len(other):
            return f"expected equal features for {count}; {len(other):,} differ, the first is image {other[0]}"
        other = np.flatnonzero((answers.logits != scores.astype(np.int64)).any(axis=1))
        if len(other):
            return f"expected equal logits for {count}; {len(other):,} differ, the first is image {other[0]}"
    least = found.images if target.exact else int(np.floor(target.least * found.images))
    if found.same < least:
        return f"expected the same answer for {least:,} of {count}; received {found.same:,}"
    if target.largest is not None and not found.largest <= target.largest:
        return f"expected probabilities within {target.largest:g} for {count}; received {found.largest:.3g}"
    return ""
