"""The interface of the old tutorial, `input_data.read_data_sets`, which no longer exists elsewhere.

mnist = read_data_sets("MNIST_data", one_hot=True)
batch_xs, batch_ys = mnist.train.next_batch(100)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mnist_cli.datasets import FILE_NAMES, Dataset, find_dataset
from mnist_cli.errors import FormatError
from mnist_cli.formats import STORE_NAME
from mnist_cli.formats.store import Bytes, Floats, Split, Store, open_store, scaled
from mnist_cli.maps import order

if TYPE_CHECKING:
    from mnist_cli.stages.division import Rule
    from mnist_cli.stages.preprocess import PreprocessSettings

_WAIT = 600.0  # seconds; the default deadline of a fetch


class DataSet:
    """The examples of one split, and a position in the endless sequence of its epochs."""

    def __init__(self, split: Split, *, one_hot: bool, seed: int) -> None:
        self._split = split
        self._one_hot = one_hot
        self._seed = seed
        self._position = 0

    @property
    def num_examples(self) -> int:
        """The number of examples."""
        return len(self._split)

    @property
    def images(self) -> Floats:
        """float32 [n, pixels] in [0, 1], 0 = background; pixels = 784 for MNIST."""
        return self._split.images

    @property
    def labels(self) -> Bytes | Floats:
        """uint8 [n], or float32 [n, classes] if one_hot was requested."""
        return self._split.one_hot if self._one_hot else self._split.labels

    @property
    def epochs_completed(self) -> int:
        """The number of times that `next_batch` has gone through all examples."""
        return self._position // max(1, self.num_examples)

    def next_batch(self, batch_size: int, *, shuffle: bool = True) -> tuple[Floats, Bytes | Floats]:
        """Return the next examples; a batch that reaches the end of an epoch continues in the next one.

        Args:
            batch_size: number of examples, at least 1.
            shuffle: True: each epoch has its own order, which depends only on the seed and is the one that
                `mnist train` uses; False: the order of the file.

        Returns:
            images float32 [batch_size, pixels] in [0, 1], and their labels as in `labels`.

        Raises:
            ValueError: `batch_size` is less than 1, or the split is empty.
            FormatError: the store has been damaged since it was opened.
        """
        if batch_size < 1 or not self.num_examples:
            raise ValueError(
                f"next_batch: expected a batch size of at least 1 and a split that is not empty; "
                f"received a batch size of {batch_size} and {self.num_examples} examples"
            )
        rows: npt.NDArray[np.int32] | npt.NDArray[np.int64]
        if shuffle:
            rows = order.rows_at(self._seed, self._position, batch_size, self.num_examples)
        else:
            rows = np.arange(self._position, self._position + batch_size, dtype=np.int64) % self.num_examples
        self._position += batch_size
        # Only the batch becomes float32, which takes four times the memory of bytes.
        return scaled(self._split.inputs[rows]), self.labels[rows]


class DataSets(NamedTuple):
    """The three splits of a data set."""

    train: DataSet
    validation: DataSet
    test: DataSet


def read_data_sets(
    folder: Path | str,
    one_hot: bool = False,
    *,
    validation_size: int | float = 5000,
    split: str = "first",
    seed: int = 0,
    dataset: object = "mnist",
    mirrors: Sequence[str] = (),
) -> DataSets:
    """Return training, validation and test examples; fetch them first if they are not in `folder`.

    Args:
        folder: a store file, or an artifacts folder with a store, which is opened as it is; or any other folder, which
            receives the four files and the store unless they are there and correct. Data there in another wrapper,
            such as `raw/` of torchvision or Keras's `mnist.npz`, are used.
        one_hot: labels as float32 [n, classes] instead of uint8 [n].
        validation_size: number of training images for the validation split, or, below 1, their share; a store that
            is opened as it is keeps its own split.
        split: how to choose them: `first`, or by seed: `shuffled` or `stratified`.
        seed: seed of the order of the batches, of the split, and of a generated data set.
        dataset: the data set to fetch: a name, a YAML file, or a mapping such as `{"images": "photos"}`.
        mirrors: URLs or folders to try first; then those in MNIST_MIRRORS, then the data set's own.

    Raises:
        InputError: the named store is missing or damaged (FormatError), or a file of the user's own data set is.
        FetchError: no mirror has the right files.
        ConfigError: `validation_size` leaves no training image, the data set is unknown, or the seed is out of range.
        Locked: another program has been filling the folder for more than ten minutes.
        OSError: the folder cannot be written.
    """
    from mnist_cli.stages.general import check_seed

    check_seed(seed)
    store = _find_store(Path(folder))
    if store is None:
        from mnist_cli.stages.division import Rule
        from mnist_cli.stages.preprocess import PreprocessSettings

        settings = PreprocessSettings(
            validation_size=validation_size, split=split
        )  # checked before anything is fetched
        rule = Rule(settings.validation_size, settings.split, seed)
        wanted = _Wanted(find_dataset(dataset), settings, rule)
        store = wanted.pinned_store(Path(folder)) or wanted.made_store(Path(folder), seed, mirrors)
    return DataSets(
        *(DataSet(split, one_hot=one_hot, seed=seed) for split in (store.train, store.validation, store.test))
    )


def _find_store(place: Path) -> Store | None:
    if place.is_file() or place.suffix in (".h5", ".hdf5"):
        return open_store(place)
    in_artifacts = place / "preprocess" / STORE_NAME
    return open_store(in_artifacts) if in_artifacts.is_file() else None


@dataclass(frozen=True)
class _Wanted:
    """What a store must have been made from.

    Attributes:
        dataset: the data set.
        settings: how to choose the validation split.
        rule: the same, with the seed.
    """

    dataset: Dataset
    settings: PreprocessSettings
    rule: Rule

    def pinned_store(self, folder: Path) -> Store | None:
        """Open a store that was made from the pinned files, for which nothing has to be fetched or written."""
        pinned = {role: file.content for role, file in self.dataset.files.items()}
        return self._current(folder, pinned) if pinned and all(pinned.values()) else None

    def made_store(self, folder: Path, seed: int, mirrors: Sequence[str]) -> Store:
        """Fetch the files, make the store unless it is correct, and open it; raises as `read_data_sets`."""
        # Imported here, so that opening an existing store does not pay for imports that only fetching needs.
        from mnist_cli.pipeline.mutex import locked
        from mnist_cli.sources.mirrors import listed_mirrors, shared_cache
        from mnist_cli.stages.fetch import fetch
        from mnist_cli.stages.preprocess import preprocess

        addresses = (*mirrors, *listed_mirrors(os.environ.get("MNIST_MIRRORS", "")))
        with locked(folder, "read_data_sets", wait=_WAIT):
            result = fetch(
                folder,
                dataset=self.dataset,
                seed=seed,
                mirrors=addresses,
                pins=self._pins(folder),
                cache=shared_cache(),
            )
            fetched = {file.name: file.sha256 for file in result.files}
            sources = {role: fetched[name] for role, name in FILE_NAMES.items()}
            if self._current(folder, sources) is None:
                preprocess(folder, folder, self.settings, dataset=self.dataset, seed=self.rule.seed)
        return open_store(folder / STORE_NAME)

    def _pins(self, folder: Path) -> dict[str, str]:
        """Return file → digest of what the store in the folder was made from, if it is of this data set."""
        store = _opened(folder / STORE_NAME)
        if store is None or store.dataset != self.dataset.name:
            return {}
        return {name: store.sources[role] for role, name in FILE_NAMES.items() if role in store.sources}

    def _current(self, folder: Path, sources: Mapping[str, str]) -> Store | None:
        store = _opened(folder / STORE_NAME)
        expected = (self.dataset.name, str(self.rule), sources)
        return store if store and (store.dataset, store.split_rule, store.sources) == expected else None


def _opened(path: Path) -> Store | None:
    try:
        return open_store(path) if path.is_file() else None
    except FormatError:
        return None
