"""The stage `preprocess`: turns the four IDX files into the store.

Images and labels are read, checked and written block by block, so memory does not grow with their number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli.config.declarations import Config, Section, parameter
from mnist_cli.config.kinds import one_of, whole_or_share
from mnist_cli.datasets import FILE_NAMES, ROLES, find_dataset
from mnist_cli.errors import InputError, Interrupted
from mnist_cli.formats import STORE_NAME
from mnist_cli.progress import SILENT, Progress
from mnist_cli.signals import StopRequest, deferred_signals
from mnist_cli.stages.general import check_seed, data_identity
from mnist_cli.stages.stage import IDX, STORE, Job, Outcome, Stage
from mnist_cli.text import plural, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.store import Bytes
    from mnist_cli.formats.store_writer import StoreWriter
    from mnist_cli.sources.examples import Examples
    from mnist_cli.stages.division import Division, Rule

    Counts = dict[str, npt.NDArray[np.int64]]

_HINT = "run 'mnist fetch'"
_ENOUGH_OF_A_CLASS = 5
SPLITS = ("first", "shuffled", "stratified")


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings(Section):
    """Turn the four files into one HDF5 store."""

    section = "preprocess"

    validation_size: int | float = parameter(
        5000,
        whole_or_share(),
        "Training images for the validation split: their number, or, below 1, their share",
        option="--validation-size",
    )
    split: str = parameter(
        "first",
        one_of(SPLITS),
        "How to choose them: first, or by seed: shuffled, or stratified (the same share of each class)",
        late=True,
    )

    def counted(self, config: Config) -> dict[str, Any]:
        """Return the parameters that decide the store."""
        seed = {} if self.split == "first" else {"seed": config.value("seed")}
        return {"dataset": data_identity(config), **seed, **self.decisive()}


@dataclass(frozen=True)
class PreprocessResult:
    """The result of preprocessing.

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
        folder: folder for the store; created if missing.
        settings: how the training images are split.
        dataset: a Dataset, or what `find_dataset` takes; it describes the layout of labels and images in the files.
        seed: seed of the split, unless that is `first`.
        progress: progress callback; it also receives warnings about the split.

    Raises:
        InputError: a file is missing or cannot be read.
        FormatError: a file is damaged, or does not match the others.
        ConfigError: `validation_size` leaves no training image, the data set is unknown, or the seed is out of range.
        OSError: the store cannot be written.
    """
    from mnist_cli.formats.store_writer import StoreFacts, write_store
    from mnist_cli.sources.examples import open_examples
    from mnist_cli.stages.division import Division, Rule

    check_seed(seed)
    settings = settings or PreprocessSettings()
    table = find_dataset(dataset)
    classes = table.class_names()
    rule = Rule(settings.validation_size, settings.split, seed)
    target = Path(folder) / STORE_NAME
    with open_examples(_find_files(Path(sources)), table, len(classes)) as (train, test):
        validation = rule.count(len(train))
        sizes = {"train": len(train) - validation, "validation": validation, "test": len(test)}
        target.parent.mkdir(parents=True, exist_ok=True)
        division = Division(rule, train.class_counts())
        # The store defers signals while it is open; between two blocks it is safe to act on one.
        with (
            write_store(target, sizes, train.images.header.row_bytes) as writer,
            _task(progress, len(train) + len(test)),
            deferred_signals() as stop,
        ):
            counts = _copy(_watched((train, test), progress, stop), division, writer)
            readers = (train.images, train.labels, test.images, test.labels)
            digests = {role: reader.sha256 for role, reader in zip(ROLES, readers, strict=True)}
            facts = StoreFacts(
                dataset=table.name,
                split_rule=str(rule),
                image_shape=train.shape,
                classes=classes,
                sources=digests,
                fit=table.fit,
            )
            digest = writer.describe(facts)
    _warn_of_missing_classes(counts, rule, classes, progress)
    return PreprocessResult(table.name, sizes["train"], sizes["validation"], sizes["test"], digest, digests)


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


def _watched(
    parts: tuple[Examples, Examples], progress: Progress, stop: StopRequest
) -> Iterator[tuple[str, Bytes, Bytes]]:
    """Yield part, images and labels block by block; raise Interrupted between two blocks after a signal."""
    done = 0
    for name, part in zip(("train", "test"), parts, strict=True):
        for images, labels in part.blocks():
            if stop.signal_number is not None:
                raise Interrupted(stop.signal_number)
            yield name, images, labels
            done += len(labels)
            progress.update(done)


def _copy(blocks: Iterator[tuple[str, Bytes, Bytes]], division: Division, writer: StoreWriter) -> Counts:
    """Copy all examples into their splits; return split → int64 [K], its number of examples of each class."""
    import numpy as np

    classes = division.classes
    counts = {split: np.zeros(classes, np.int64) for split in ("train", "validation", "test")}
    for part, images, labels in blocks:
        pieces = {"test": np.ones(len(labels), np.bool_)}
        if part == "train":
            mask = division.next(labels)
            pieces = {"validation": mask, "train": ~mask}
        for split, rows in pieces.items():
            if rows.any():
                # Whole blocks, as nearly all are, need no copy.
                chosen = (images, labels) if rows.all() else (images[rows], labels[rows])
                counts[split] += np.bincount(chosen[1], minlength=classes)
                writer.append(split, *chosen)
    return counts


def _warn_of_missing_classes(counts: Counts, rule: Rule, classes: Sequence[str], progress: Progress) -> None:
    """Warn if the training or validation split lacks a class, as happens with files sorted by label."""
    if not counts["validation"].any():
        return
    for split, purpose in (("validation", "validate on"), ("train", "train on")):
        others = sum(of_split for name, of_split in counts.items() if name != split)
        lacking = ((counts[split] == 0) & (others > 0)).nonzero()[0]
        # A handful of images may lack a class by chance.
        is_large = counts[split].sum() >= _ENOUGH_OF_A_CLASS * len(classes)
        if lacking.size and (is_large or 2 * lacking.size > len(classes)):
            names = ", ".join(printable(classes[label], 30) for label in lacking[:5])
            more = f" and {lacking.size - 5} more" if lacking.size > 5 else ""
            advice = "; set preprocess.split to stratified" if rule.split != "stratified" else ""
            progress.warn(f"no example of {names}{more} to {purpose} ({rule}){advice}")


@contextlib.contextmanager
def _task(progress: Progress, images: int) -> Iterator[None]:
    progress.start("preprocess", images, "images")
    try:
        yield
    finally:
        progress.finish()


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

    The store holds a training, a validation and a test split. Images stay bytes, and every array has its SHA-256.

    Example: mnist preprocess --validation-size 10000
    """,
    summary=_summary,
    general=("dataset",),
)
