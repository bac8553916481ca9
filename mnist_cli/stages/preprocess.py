"""The second stage: four IDX files become the store.

Images and labels are read, checked and written block by block, so memory stays the same however many there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import whole
from mnist_cli.datasets import DATASETS, FILE_NAMES, ROLES
from mnist_cli.errors import ConfigError, FormatError, InputError, Interrupted
from mnist_cli.formats import MAX_PIXELS, STORE_NAME
from mnist_cli.progress import SILENT, Progress
from mnist_cli.signals import StopRequest, deferred_signals
from mnist_cli.stages.stage import IDX, STORE, Job, Outcome, Stage
from mnist_cli.text import plural, printable

if TYPE_CHECKING:
    from mnist_cli.formats.idx import IdxHeader, IdxReader
    from mnist_cli.formats.store import Bytes
    from mnist_cli.formats.store_writer import StoreWriter

_HINT = "run 'mnist fetch'"
_BLOCK_BYTES = 1 << 20
_UBYTE = "uint8"


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings(Section):
    """Turn the four files into one HDF5 store."""

    section = "preprocess"

    validation_size: int = parameter(
        5000,
        whole(0),
        "How many training images, from the first on, become the validation split",
        option="--validation-size",
    )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return what decides the store."""
        return {"dataset": config.value("dataset"), **self.decisive()}


@dataclass(frozen=True)
class PreprocessResult:
    """What was written.

    Attributes:
        dataset: name of the data set.
        train, validation, test: number of examples.
        store_digest: content digest of the store.
        sources: role of an input file → SHA-256 of its bytes.
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
    dataset: str = "mnist",
    progress: Progress = SILENT,
) -> PreprocessResult:
    """Read the four IDX files in `sources` and write `store.h5` into `folder`.

    Args:
        sources: the folder with the four files, named as in FILE_NAMES, with or without `.gz`.
        folder: where the store goes; made when it is not there.
        settings: how the images are split.
        dataset: the data set whose classes the labels are.
        progress: hears how many images are done.

    Raises:
        InputError: a file is missing or cannot be read.
        FormatError: a file is damaged, or does not fit the others.
        ConfigError: `validation_size` leaves no training image, or the data set is not known.
        OSError: the store cannot be written.
    """
    from mnist_cli.formats.idx import IdxReader
    from mnist_cli.formats.store_writer import write_store

    validation_size = (settings or PreprocessSettings()).validation_size
    if dataset not in DATASETS:
        known = ", ".join(DATASETS)
        raise ConfigError([f"dataset: expected one of {known}; received '{printable(dataset)}'"])
    classes = DATASETS[dataset].classes
    paths = _find_files(Path(sources))
    with contextlib.ExitStack() as stack:
        readers = {role: stack.enter_context(IdxReader(path)) for role, path in paths.items()}
        _check_headers(readers)
        train, test = (readers[role].header.shape[0] for role in ("train-images", "test-images"))
        _check_validation_size(validation_size, train)
        counts = {"train": train - validation_size, "validation": validation_size, "test": test}
        height, width = readers["train-images"].header.shape[1:]
        target = Path(folder) / STORE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        with write_store(target, counts, height * width) as writer, _task(progress, train + test):
            _copy_examples(readers, counts, len(classes), writer, progress)
            digests = {role: reader.sha256 for role, reader in readers.items()}
            digest = writer.describe(
                dataset=dataset,
                split_rule=f"validation = the first {validation_size} training images, train = the others",
                image_shape=(height, width),
                classes=classes,
                sources=digests,
            )
    return PreprocessResult(dataset, counts["train"], counts["validation"], counts["test"], digest, digests)


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


def _check_headers(readers: dict[str, IdxReader]) -> None:
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
        _check_kind(labels, 1, "labels")
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
            train.path, "images of no use", expected=expected, received=_size(train.header), offset=8, hint=_HINT
        )


def _check_kind(reader: IdxReader, dimensions: int, what: str) -> None:
    header = reader.header
    if str(header.dtype) != _UBYTE or len(header.shape) != dimensions:
        received = f"{header.dtype}, {plural(len(header.shape), 'dimension')}"
        expected = f"{_UBYTE}, {plural(dimensions, 'dimension')}"
        raise FormatError(
            reader.path, f"these are no {what}", expected=expected, received=received, offset=2, hint=_HINT
        )
    if header.shape[0] == 0:
        raise FormatError(
            reader.path, f"there are no {what}", expected="at least one", received=0, offset=4, hint=_HINT
        )


def _check_validation_size(validation_size: int, train: int) -> None:
    if not 0 <= validation_size < train:
        raise ConfigError(
            [
                f"preprocess.validation_size: expected 0 to {train - 1}, since there are "
                f"{plural(train, 'training image')} and one must be left to train on; received {validation_size}"
            ]
        )


def _copy_examples(
    readers: dict[str, IdxReader], counts: dict[str, int], classes: int, writer: StoreWriter, progress: Progress
) -> None:
    row_bytes = readers["train-images"].header.row_bytes
    rows = max(1, _BLOCK_BYTES // row_bytes)
    done = 0
    # The store holds signals back while it is open; between two blocks it is safe to heed one.
    with deferred_signals() as stop:
        for split, part in (("validation", "train"), ("train", "train"), ("test", "test")):
            images, labels = readers[f"{part}-images"], readers[f"{part}-labels"]
            left = counts[split]
            while left:
                _heed(stop)
                count = min(rows, left)
                pixels = images.read_rows(count).reshape(count, row_bytes)
                writer.append(split, pixels, _checked_labels(labels, count, classes))
                left -= count
                done += count
                progress.update(done)


def _checked_labels(reader: IdxReader, count: int, classes: int) -> Bytes:
    start = reader.header.shape[0] - reader.rows_left
    labels: Bytes = reader.read_rows(count)
    wrong = (labels >= classes).nonzero()[0]
    if wrong.size:
        position = start + int(wrong[0])
        raise FormatError(
            reader.path,
            f"label {position} is no class",
            expected=f"0 to {classes - 1}",
            received=labels[wrong[0]],
            offset=reader.header.size + position,
            hint=_HINT,
        )
    return labels


def _heed(stop: StopRequest) -> None:
    if stop.signal_number is not None:
        raise Interrupted(stop.signal_number)


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
