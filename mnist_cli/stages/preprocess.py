"""The stage `preprocess`: four IDX files become the store.

Images and labels are read, checked and written block by block, so memory stays the same however many there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import one_of, whole_or_share
from mnist_cli.datasets import FILE_NAMES, ROLES, Dataset, find_dataset
from mnist_cli.errors import FormatError, InputError, Interrupted
from mnist_cli.formats import MAX_PIXELS, STORE_NAME
from mnist_cli.progress import SILENT, Progress
from mnist_cli.signals import StopRequest, deferred_signals
from mnist_cli.stages.general import data_identity
from mnist_cli.stages.stage import IDX, STORE, Job, Outcome, Stage
from mnist_cli.text import plural, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.idx import IdxHeader, IdxReader
    from mnist_cli.formats.store import Bytes
    from mnist_cli.formats.store_writer import StoreWriter
    from mnist_cli.stages.division import Division, Rule

_HINT = "run 'mnist fetch'"
_BLOCK_BYTES = 1 << 20
_UBYTE = "uint8"
_ENOUGH_OF_A_CLASS = 5
SPLITS = ("first", "shuffled", "stratified")


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings(Section):
    """Turn the four files into one HDF5 store."""

    section = "preprocess"

    validation_size: int | float = parameter(
        5000,
        whole_or_share(),
        "Training images for the validation split: how many, or, below 1, which share",
        option="--validation-size",
    )
    split: str = parameter(
        "first",
        one_of(SPLITS),
        "Which ones: the first, or chosen by seed: shuffled, or stratified (the same share of each class)",
        late=True,
    )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return what decides the store."""
        seed = {} if self.split == "first" else {"seed": config.value("seed")}
        return {"dataset": data_identity(config), **seed, **self.decisive()}


@dataclass(frozen=True)
class PreprocessResult:
    """What was written.

    Attributes:
        dataset: name of the data set.
        train, validation, test: number of examples.
        store_digest: content digest of the store.
        sources: role of an input file → SHA-256 of its content.
    """

    dataset: str
    train: int
    validation: int
    test: int
    store_digest: str
    sources: dict[str, str]


def preprocess(
    sources: Path | str,
    folder: Path | str,
    settings: PreprocessSettings | None = None,
    *,
    dataset: object = "mnist",
    seed: int = 0,
    progress: Progress = SILENT,
) -> PreprocessResult:
    """Read the four IDX files in `sources` and write `store.h5` into `folder`.

    Args:
        sources: the folder with the four files, named as in FILE_NAMES, with or without `.gz`.
        folder: where the store goes; made when it is not there.
        settings: how the training images are split.
        dataset: a Dataset, or what `find_dataset` takes; it says how labels and images lie in the files.
        seed: of the choice.
        progress: progress callback; it also gets warnings about the split.

    Raises:
        InputError: a file is missing or cannot be read.
        FormatError: a file is damaged, or does not fit the others.
        ConfigError: `validation_size` leaves no training image, or the data set is not known.
        OSError: the store cannot be written.
    """
    from mnist_cli.formats.idx import IdxReader
    from mnist_cli.formats.store_writer import write_store
    from mnist_cli.stages.division import Division, Rule

    settings = settings or PreprocessSettings()
    table = find_dataset(dataset)
    classes = table.class_names()
    rule = Rule(settings.validation_size, settings.split, seed)
    paths = _find_files(Path(sources))
    with contextlib.ExitStack() as stack:
        readers = {role: stack.enter_context(IdxReader(path)) for role, path in paths.items()}
        _check_headers(readers, table)
        train, test = (readers[role].header.shape[0] for role in ("train-images", "test-images"))
        validation = rule.count(train)
        counts = {"train": train - validation, "validation": validation, "test": test}
        height, width = readers["train-images"].header.shape[1:]
        shape = (width, height) if table.transpose else (height, width)
        target = Path(folder) / STORE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        division = Division(rule, _class_counts(paths["train-labels"], table, len(classes)))
        # The store holds signals back while it is open; between two blocks it is safe to act on one.
        with (
            write_store(target, counts, height * width) as writer,
            _task(progress, train + test),
            deferred_signals() as stop,
        ):
            copy = _Copy(readers, table, len(classes), writer, progress, stop)
            copy.divide(division)
            copy.all_of("test")
            digests = {role: reader.sha256 for role, reader in readers.items()}
            digest = writer.describe(
                dataset=table.name, split_rule=str(rule), image_shape=shape, classes=classes, sources=digests
            )
        copy.warn_of_missing_classes(rule, classes)
    return PreprocessResult(table.name, counts["train"], counts["validation"], counts["test"], digest, digests)


def _find_files(sources: Path) -> dict[str, Path]:
    paths = {}
    missing = []
    for role in ROLES:
        candidates = (sources / FILE_NAMES[role], sources / FILE_NAMES[role].removesuffix(".gz"))
        found = next((path for path in candidates if path.exists()), None)
        if found is None:
            missing.append(FILE_NAMES[role])
        else:
            paths[role] = found
    if missing:
        raise InputError(f"{printable(sources)}: missing {', '.join(missing)}", hint=_HINT)
    return paths


def _check_headers(readers: dict[str, IdxReader], table: Dataset) -> None:
    for part in ("train", "test"):
        images, labels = readers[f"{part}-images"], readers[f"{part}-labels"]
        if len(images.header.shape) == 1 and len(labels.header.shape) == 3:
            raise FormatError(
                images.path,
                f"images and labels seem to be swapped: {printable(labels.path.name)} holds images",
                expected="3 dimensions",
                received="1, as labels have",
                hint=_HINT,
            )
        _check_kind(images, 3, "images")
        _check_labels(labels, table)
        if images.header.shape[0] != labels.header.shape[0]:
            raise FormatError(
                labels.path,
                f"there must be one label for each image in {printable(images.path.name)}",
                expected=plural(images.header.shape[0], "label"),
                received=plural(labels.header.shape[0], "label"),
                offset=4,
                hint=_HINT,
            )
    train, test = readers["train-images"], readers["test-images"]
    if train.header.shape[1:] != test.header.shape[1:]:
        raise FormatError(
            test.path,
            f"test and training images differ in size: those in {printable(train.path.name)} have another",
            expected=_size(train.header),
            received=_size(test.header),
            offset=8,
            hint=_HINT,
        )
    if not 0 < train.header.row_bytes <= MAX_PIXELS:
        expected = f"1 to {MAX_PIXELS} pixels each"
        raise FormatError(
            train.path,
            "images too large or empty",
            expected=expected,
            received=_size(train.header),
            offset=8,
            hint=_HINT,
        )


def _check_kind(reader: IdxReader, dimensions: int, what: str) -> None:
    header = reader.header
    if header.dtype != _UBYTE or len(header.shape) != dimensions:
        received = f"{header.dtype}, {plural(len(header.shape), 'dimension')}"
        expected = f"{_UBYTE}, {plural(dimensions, 'dimension')}"
        raise FormatError(
            reader.path, f"not a file of {what}", expected=expected, received=received, offset=2, hint=_HINT
        )
    if header.shape[0] == 0:
        raise FormatError(
            reader.path, f"there are no {what}", expected="at least one", received=0, offset=4, hint=_HINT
        )


def _check_labels(reader: IdxReader, table: Dataset) -> None:
    if table.column is None:
        _check_kind(reader, 1, "labels")
        return
    header = reader.header
    if (
        len(header.shape) != 2
        or header.shape[1] <= table.column
        or header.dtype.kind not in "iu"
        or not header.shape[0]
    ):
        raise FormatError(
            reader.path,
            "not labels in columns",
            expected=f"whole numbers, 2 dimensions, more than {plural(table.column, 'column')}",
            received=f"{header.dtype}, {list(header.shape)}",
            offset=2,
            hint=_HINT,
        )


def _class_counts(path: Path, table: Dataset, classes: int) -> npt.NDArray[np.int64]:
    """Return int64 [K], how many of the labels in a file are of each class."""
    import numpy as np

    from mnist_cli.formats.idx import IdxReader

    counts = np.zeros(classes, np.int64)
    with IdxReader(path) as reader:
        while reader.rows_left:
            counts += np.bincount(
                _labels(reader, _BLOCK_BYTES // reader.header.row_bytes, table, classes), minlength=classes
            )
    return counts


class _Copy:
    """Copies examples from the four files into the store, block by block.

    Args as the variables of `preprocess`.
    """

    def __init__(
        self,
        readers: dict[str, IdxReader],
        table: Dataset,
        classes: int,
        writer: StoreWriter,
        progress: Progress,
        stop: StopRequest,
    ) -> None:
        import numpy as np

        self._readers = readers
        self._table = table
        self._writer = writer
        self._progress = progress
        self._stop = stop
        self._count = np.bincount
        self._done = 0
        # How many examples of each class are in a split.
        self._counts = {split: np.zeros(classes, np.int64) for split in ("train", "validation", "test")}

    def divide(self, division: Division) -> None:
        """Copy the training images into the training and the validation split."""
        for pixels, labels in self._blocks("train"):
            mask = division.next(labels)
            for split, rows in (("validation", mask), ("train", ~mask)):
                # Whole blocks, as nearly all are, need no copy.
                self._append(split, pixels if rows.all() else pixels[rows], labels if rows.all() else labels[rows])

    def all_of(self, part: str) -> None:
        """Copy the images of a part into the split of the same name."""
        for pixels, labels in self._blocks(part):
            self._append(part, pixels, labels)

    def warn_of_missing_classes(self, rule: Rule, classes: Sequence[str]) -> None:
        """Warn where the validation split lacks a class, as it does for files that are sorted by label."""
        if not self._counts["validation"].sum():
            return
        for split, remedy in (("validation", "validate on"), ("train", "train on")):
            others = sum(counts for name, counts in self._counts.items() if name != split)
            lacking = ((self._counts[split] == 0) & (others > 0)).nonzero()[0]
            # A handful of images may lack a class by chance.
            is_large = self._counts[split].sum() >= _ENOUGH_OF_A_CLASS * len(classes)
            if lacking.size and (is_large or 2 * lacking.size > len(classes)):
                names = ", ".join(printable(classes[label], 30) for label in lacking[:5])
                more = f" and {lacking.size - 5} more" if lacking.size > 5 else ""
                advice = "; set preprocess.split to stratified" if rule.split != "stratified" else ""
                self._progress.warn(f"there is no example of {names}{more} to {remedy} ({rule}){advice}")

    def _append(self, split: str, pixels: Bytes, labels: Bytes) -> None:
        if labels.size:
            self._counts[split] += self._count(labels, minlength=len(self._counts[split]))
            self._writer.append(split, pixels, labels)

    def _blocks(self, part: str) -> Iterator[tuple[Bytes, Bytes]]:
        """Give images as uint8 [k, pixels], upright, and their labels as uint8 [k]."""
        images, labels = self._readers[f"{part}-images"], self._readers[f"{part}-labels"]
        count = max(1, _BLOCK_BYTES // images.header.row_bytes)
        while images.rows_left:
            if self._stop.signal_number is not None:
                raise Interrupted(self._stop.signal_number)
            block = images.read_rows(count)
            upright = block.swapaxes(1, 2) if self._table.transpose else block
            pixels = upright.reshape(len(block), -1)  # in rows, a copy where it was turned
            yield pixels, _labels(labels, len(block), self._table, len(self._counts["train"]))
            self._done += len(block)
            self._progress.update(self._done)


def _labels(reader: IdxReader, count: int, table: Dataset, classes: int) -> Bytes:
    """Read labels as indexes of the classes: uint8 [count], or as many as are left."""
    header = reader.header
    start = header.shape[0] - reader.rows_left
    rows = reader.read_rows(max(1, count))
    labels = rows if table.column is None else rows[:, table.column]
    wrong = ((labels < table.first_label) | (labels >= table.first_label + classes)).nonzero()[0]
    if wrong.size:
        position = start + int(wrong[0])
        raise FormatError(
            reader.path,
            f"label {position} is out of range",
            expected=f"{table.first_label} to {table.first_label + classes - 1}",
            received=labels[wrong[0]],
            offset=header.size + position * header.row_bytes + (table.column or 0) * header.dtype.itemsize,
            hint=_HINT,
        )
    return (labels - table.first_label).astype(_UBYTE) if table.first_label else labels.astype(_UBYTE, copy=False)


@contextlib.contextmanager
def _task(progress: Progress, images: int) -> Iterator[None]:
    progress.start("preprocess", images, "images")
    try:
        yield
    finally:
        progress.finish()


def _size(header: IdxHeader) -> str:
    return "×".join(str(size) for size in header.shape[1:]) + " pixels"


def _run(job: Job) -> Outcome:
    result = preprocess(
        job.inputs[IDX][0].parent,
        job.new,
        job.config.of(PreprocessSettings),
        dataset=job.config.value("dataset"),
        seed=job.config.value("seed"),
        progress=job.progress,
    )
    metrics = {"dataset": result.dataset, "train": result.train, "validation": result.validation, "test": result.test}
    read = [result.sources[role] for role in FILE_NAMES]
    return Outcome(metrics, digests={STORE_NAME: result.store_digest}, inputs={IDX: read})


def _summary(metrics: Mapping[str, Any]) -> str:
    return (
        f"{metrics['train']:,} training, {metrics['validation']:,} validation "
        f"and {plural(metrics['test'], 'test image')}"
    )


PREPROCESS = Stage(
    settings=PreprocessSettings,
    version=2,
    inputs=(IDX,),
    outputs={STORE_NAME: STORE},
    run=_run,
    help="""Turn the four files into one HDF5 store.

    It holds a training, a validation and a test split; images stay bytes, and every array carries its SHA-256.

    Example: mnist preprocess --validation-size 10000
    """,
    summary=_summary,
    general=("dataset",),
)
