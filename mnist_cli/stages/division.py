"""Which training images become the validation split: the first ones, or a choice by seed, stratified or not.

The choice is a keyed bijection and needs no list of rows, so memory does not grow with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import ConfigError
from mnist_cli.formats.store import Bytes
from mnist_cli.maps.permutation import permuted
from mnist_cli.text import plural

_STREAM = 2000  # of the permutation; streams 2001 + label divide the classes

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that chooses the validation split.

    Attributes:
        size: number of training images, or, below 1, their share.
        split: `first`, `shuffled` or `stratified`.
        seed: decides the choice, unless the split is `first`.
    """

    size: int | float = 5000
    split: str = "first"
    seed: int = 0

    def __str__(self) -> str:
        amount = f"{self.size:g} of the" if isinstance(self.size, float) else f"{self.size}"
        how = {
            "first": f"the first {amount} training images",
            "shuffled": f"{amount} training images, chosen with seed {self.seed}",
            "stratified": f"{amount} training images, evenly of each class, chosen with seed {self.seed}",
        }[self.split]
        return f"validation = {how}, train = the others"

    def count(self, images: int) -> int:
        """Return the number of training images that become the validation split.

        Raises:
            ConfigError: no image would be left to train on.
        """
        count = round(self.size * images) if self.size < 1 else int(self.size)
        if not 0 <= count < images:
            raise ConfigError(
                [
                    f"preprocess.validation_size: expected 0 to {images - 1}, since there are "
                    f"{plural(images, 'training image')} and one must be left to train on; received {self.size}"
                ],
                hint="a share fits data of any size: --validation-size 0.1",
            )
        return count


class Division:
    """Divides training images block by block, in the order of the file.

    Args:
        rule: how to divide.
        classes: int64 [K], training images of each class; `first` and `shuffled` use only their sum.
    """

    def __init__(self, rule: Rule, classes: Counts) -> None:
        self._rule = rule
        self._classes = classes
        self._images = int(classes.sum())
        self.validation = rule.count(self._images)
        self._quotas = _quotas(self.validation, classes)
        self._done = 0
        self._seen = np.zeros(len(classes), np.int64)

    @property
    def classes(self) -> int:
        """The number of classes, K."""
        return len(self._classes)

    def next(self, labels: Bytes) -> Mask:
        """Return, for each of the next images, whether it belongs to the validation split.

        Args:
            labels: uint8 [k], labels of the images that follow those of the call before.
        """
        start, count = self._done, len(labels)
        self._done += count
        positions = np.arange(start, start + count, dtype=np.int64)
        if self._rule.split == "first":
            return positions < self.validation
        if self._rule.split == "shuffled":
            return permuted(self._rule.seed, _STREAM, positions, self._images) < self.validation
        mask = np.zeros(count, np.bool_)
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            places = np.arange(len(rows), dtype=np.int64) + self._seen[label]
            self._seen[label] += len(rows)
            of_class = int(self._classes[label])
            mask[rows] = permuted(self._rule.seed, _STREAM + 1 + int(label), places, of_class) < self._quotas[label]
        return mask


def _quotas(count: int, classes: Counts) -> Counts:
    """Distribute a count over the classes by size; what rounding leaves goes to the largest remainders."""
    total = int(classes.sum())
    quotas = classes * count // total
    remainders = classes * count % total
    left = count - int(quotas.sum())
    quotas[np.argsort(-remainders, kind="stable")[:left]] += 1
    return quotas
