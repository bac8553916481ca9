"""The stage `features`: turns a store of images into a store of their features, which are uint8 rows too.

Rows are computed block by block on all processors and written in order. So memory does not grow with the number of
rows, and a run that was killed resumes from the block that it had reached.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli import files
from mnist_cli.config.declarations import Config, Conflict, Section, parameter
from mnist_cli.config.kinds import boolean, name_or_file, number, whole
from mnist_cli.datasets import find_dataset
from mnist_cli.errors import ConfigError, InputError, Interrupted
from mnist_cli.formats import STORE_NAME
from mnist_cli.formats.growing_journal import PART_NAME, read_journal
from mnist_cli.maps import MAPS, MOST_COPIES, PIXELS
from mnist_cli.progress import SILENT, Progress
from mnist_cli.signals import deferred_signals
from mnist_cli.stages.stage import STORE, Job, Outcome, Stage
from mnist_cli.text import file_size, plural, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.growing_store import GrowingStore
    from mnist_cli.formats.store import Split, Store
    from mnist_cli.maps.description import Description
    from mnist_cli.maps.feature_map import FeatureMap

    Bytes = npt.NDArray[np.uint8]

_SAVE_SECONDS = 5.0
_NOTEWORTHY = 200_000_000  # bytes of disk


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings(Section):
    """Compute the features that the softmax regression uses instead of pixels."""

    section = "features"

    map: str = parameter(
        PIXELS,
        name_or_file(MAPS, "map.yaml"),
        "What x is: pixels, or features: grad8, scat1, scat2, scat2-exemplars, or your own map.yaml",
        option="--map",
    )
    deskew: bool = parameter(False, boolean(), "Shear and centre each image first")
    copies: int = parameter(0, whole(0, MOST_COPIES), "Warped copies to add of each training image", option="--copies")
    warp: float = parameter(
        1.0,
        number(above=0, high=2),
        "Strength of the warps; 1: rotate by up to 10°, scale and shear by a tenth, shift by a pixel",
    )
    seed: int = parameter(0, whole(0, 2**63 - 1), "Seed of the warps and of the choice of exemplars")

    @property
    def is_active(self) -> bool:
        """Whether x is anything but pixels."""
        return self.map != PIXELS

    def description(self) -> Description:
        """Return the map's description; raises as `find_map`."""
        from mnist_cli.maps.description import find_map

        return find_map(self.map)

    def conflicts(self, config: Config | None) -> Iterator[Conflict]:
        """Yield settings that have no effect with pixels, and mistakes in a user's map."""
        if not self.is_active:
            for name in ("deskew", "copies"):
                if getattr(self, name):
                    yield Conflict(f"features.{name}", "needs features.map: expected a map other than pixels")
        elif self.map not in MAPS:
            try:
                yield from (Conflict("features.map", problem) for problem in self._problems_with(config))
            except ConfigError as error:
                yield from (Conflict("features.map", text.removeprefix("features.map: ")) for text in error.problems)

    def _problems_with(self, config: Config | None) -> Iterator[str]:
        from mnist_cli.maps.ops import OutOfBounds
        from mnist_cli.maps.programs import make_program

        described = self.description()
        shape = find_dataset(config.value("dataset")).shape if config else None
        try:
            make_program(described, shape or (28, 28), deskew=self.deskew)
        except OutOfBounds as problem:
            if shape:  # else the shape is known only once there is a store
                yield f"{printable(self.map)}: {problem}"

    def counted(self, config: Config) -> dict[str, Any]:  # noqa: ARG002  # no other section matters
        """Return the parameters that decide the store, without those that have no effect."""
        if not self.is_active:
            return {}
        described = self.description()
        counted: dict[str, Any] = {"features.map": described.identity, "features.deskew": self.deskew}
        if self.copies:
            counted |= {"features.copies": self.copies, "features.warp": self.warp}
        if self.copies or described.exemplars:
            counted["features.seed"] = self.seed
        return counted


@dataclass(frozen=True)
class FeaturesResult:
    """The result of computing features.

    Attributes:
        map: name of the map, or `own`.
        features: features in a row, D.
        train, validation, test: number of rows, copies included.
        resumed_from: rows that an earlier, interrupted call had written.
        map_digest: SHA-256 of the fitted map.
        store_digest: content digest of the store.
        source_digest: content digest of the store of pixels that was read.
    """

    map: str
    features: int
    train: int
    validation: int
    test: int
    resumed_from: int
    map_digest: str
    store_digest: str
    source_digest: str


def compute_features(
    store: Path | str,
    folder: Path | str,
    settings: FeaturesSettings,
    *,
    scratch: Path | None = None,
    progress: Progress = SILENT,
) -> FeaturesResult:
    """Compute the features of all images of a store and write them as `store.h5` into `folder`.

    Args:
        store: a store of pixels.
        folder: folder for the new store; created if missing.
        settings: the map, and the number of warped copies of each training image.
        scratch: folder of the growing file, on the same file system; by default `folder`/partial.
        progress: progress callback.

    Raises:
        ConfigError: the map is pixels, or its description is wrong.
        InputError: the store is missing, damaged, empty or not a store of pixels, the map does not fit the images,
            or the disk has too little free space.
        Interrupted: on SIGINT or SIGTERM; the next call resumes from there.
        OSError: the folder cannot be written.
    """
    from mnist_cli.formats.growing_store import GrowingStore
    from mnist_cli.formats.store import open_store
    from mnist_cli.formats.store_writer import StoreFacts
    from mnist_cli.stages.fitting import fitted_map

    if not settings.is_active:
        raise ConfigError(["features.map: expected a map other than pixels; received 'pixels'"])
    opened = open_store(store)
    if opened.feature_map or not len(opened.train):
        raise InputError(f"{printable(store)}: expected a store of pixels with training images", hint=_HINT)
    feature_map = fitted_map(settings, opened, progress)
    target = Path(folder)
    work = scratch or target / "partial"
    counts = {
        "train": len(opened.train) * (1 + settings.copies),
        "validation": len(opened.validation),
        "test": len(opened.test),
    }
    key = files.document_digest({"map": feature_map.digest, "store": opened.digest, **_of_rows(settings)})
    _check_room(work, sum(counts.values()) * (len(feature_map) + 1), progress)
    with GrowingStore(work, key, counts, len(feature_map)) as growing:
        resumed_from = sum(growing.rows(split) for split in counts)
        if resumed_from:
            progress.note(f"resumed from row {resumed_from:,}")
        _grow(growing, opened, feature_map, settings, progress)
        target.mkdir(parents=True, exist_ok=True)
        facts = StoreFacts(
            dataset=opened.dataset,
            split_rule=opened.split_rule,
            image_shape=opened.image_shape,
            classes=opened.classes,
            sources=opened.sources,
            fit=opened.fit,
            feature_map=feature_map,
        )
        digest = growing.finish(target / STORE_NAME, facts)
    return FeaturesResult(
        map=feature_map.name,
        features=len(feature_map),
        **counts,
        resumed_from=resumed_from,
        map_digest=feature_map.digest,
        store_digest=digest,
        source_digest=opened.digest,
    )


def _of_rows(settings: FeaturesSettings) -> dict[str, Any]:
    return {"copies": settings.copies, "warp": settings.warp, "seed": settings.seed, "version": FEATURES.version}


def _check_room(folder: Path, needed: int, progress: Progress) -> None:
    """Refuse to begin if the rows do not fit on the disk; note how much space they take if it is much.

    Raises:
        InputError: the disk has too little free space.
    """
    place = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    growing = folder / PART_NAME
    there = growing.stat().st_blocks * 512 if growing.is_file() else 0
    free = shutil.disk_usage(place).free + there
    if needed > free:
        raise InputError(
            f"{printable(place)}: the features need {file_size(needed)} of disk space; {file_size(free)} are free",
            hint="make room, for example with 'mnist clean', or lower features.copies",
        )
    if needed >= _NOTEWORTHY:
        progress.note(f"the features take {file_size(needed)} of disk space")


def _grow(
    growing: GrowingStore, opened: Store, feature_map: FeatureMap, settings: FeaturesSettings, progress: Progress
) -> None:
    """Add the missing rows, and save them every few seconds.

    Raises:
        Interrupted: on a signal, between two blocks.
    """
    from mnist_cli.threads import in_order

    splits = {"train": opened.train, "validation": opened.validation, "test": opened.test}
    pieces = [piece for name, split in splits.items() for piece in _pieces(name, split, settings, growing.rows(name))]
    done = start = sum(map(growing.rows, splits))
    total = start + sum(stop - first for _, _, first, stop in pieces)

    def work(piece: Piece) -> tuple[Piece, Bytes]:
        name, copy, first, stop = piece
        return piece, rows_of(feature_map, splits[name], copy, first, stop, settings)

    progress.start("features", total, "images")
    saved = time.monotonic()
    try:
        with deferred_signals() as request:
            for (name, _, first, stop), rows in in_order(work, pieces):
                growing.append(name, rows, splits[name].labels[first:stop])
                done += stop - first
                progress.update(done)
                if request.signal_number is not None:
                    growing.save()
                    raise Interrupted(request.signal_number, reached=f"row {done:,}")
                if time.monotonic() - saved >= _SAVE_SECONDS:
                    growing.save()
                    saved = time.monotonic()
    finally:
        progress.finish()


# Split, copy (0: the images themselves), first row, and the row after the last.
Piece = tuple[str, int, int, int]


def _pieces(name: str, split: Split, settings: FeaturesSettings, written: int) -> Iterator[Piece]:
    """Yield the missing blocks of a split in the order of its rows: all images, then each copy of all images."""
    from mnist_cli.maps.feature_map import BLOCK

    count = len(split)
    for copy in range(1 + (settings.copies if name == "train" else 0)):
        begin = min(max(written - copy * count, 0), count)
        for first in range(begin, count, BLOCK):
            yield name, copy, first, min(first + BLOCK, count)


def rows_of(
    feature_map: FeatureMap, split: Split, copy: int, first: int, stop: int, settings: FeaturesSettings
) -> Bytes:
    """Return the feature rows of images `first` to `stop` - 1 of a split, or of a warped copy of these images."""
    import numpy as np

    from mnist_cli.maps.warp import warped

    images = split.inputs[first:stop].reshape(-1, *feature_map.shape)
    change = None
    if copy:
        positions = np.arange(first, stop)
        change = partial(warped, positions=positions, copy=copy, seed=settings.seed, strength=settings.warp)
    return feature_map.block(images, change)


_HINT = "run 'mnist preprocess'"


def _run(job: Job) -> Outcome:
    result = compute_features(
        job.input(STORE),
        job.new,
        job.config.of(FeaturesSettings),
        scratch=job.scratch,
        progress=job.progress,
    )
    metrics = {
        "map": result.map,
        "features": result.features,
        "train": result.train,
        "validation": result.validation,
        "test": result.test,
        "resumed_from": result.resumed_from,
        "map_digest": result.map_digest,
    }
    return Outcome(metrics, digests={STORE_NAME: result.store_digest}, inputs={STORE: [result.source_digest]})


def _summary(metrics: Mapping[str, Any]) -> str:
    rows = metrics["train"] + metrics["validation"] + metrics["test"]
    return f"{metrics['map']}: {plural(metrics['features'], 'feature')} of {plural(rows, 'image')}"


def _left_over(scratch: Path) -> str | None:
    """Describe how far an interrupted run got, or return None."""
    journal = read_journal(scratch)
    return None if journal is None else f"{scratch.name}/{PART_NAME}, {journal.rows:,} rows"


FEATURES = Stage(
    settings=FeaturesSettings,
    version=1,
    inputs=(STORE,),
    outputs={STORE_NAME: STORE},
    spare=frozenset({STORE_NAME}),
    run=_run,
    help="""Compute the features that the softmax regression uses: a fixed map of each image.

    With the default map, pixels, there is nothing to do. Ctrl-C keeps what was computed; the same command resumes from
    there. docs/features.md explains the maps, and how to write one.

    Example: mnist features --map scat1 --set features.deskew=true
    """,
    summary=_summary,
    is_active=lambda config: config.of(FeaturesSettings).is_active,
    left_over=_left_over,
)
