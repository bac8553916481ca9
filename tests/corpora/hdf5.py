"""The store and the model: flipped bits, cut files, and files that HDF5 can open and that are not ours."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_cli.formats.hdf5 import content_digest
from mnist_cli.formats.hdf5_writing import write_text
from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.maps.feature_map import FeatureMap
from tests.corpora.tally import Tally, flipped
from tests.support.data import CLASSES, write_small_store
from tests.support.stages import features

Edit = Callable[[h5py.File, str], object]


def read_store(path: Path) -> list[object]:
    """Return everything that a store says."""
    store = open_store(path)
    splits = (store.train, store.validation, store.test)
    arrays = [array.tobytes() for split in splits for array in (split.inputs, split.labels)]
    facts = [store.digest, store.dataset, store.split_rule, store.image_shape, store.classes, dict(store.sources)]
    return [*arrays, *facts, _map_digest(store.feature_map), content_digest(path)]


def read_model(path: Path) -> list[object]:
    """Return everything that a model says and is used for."""
    model = load_model(path)
    return [
        *(model.digest, model.classes, model.step, model.seed, model.store_digest, model.shape),
        _map_digest(model.feature_map),
    ]


def _map_digest(feature_map: FeatureMap | None) -> str | None:
    return feature_map.digest if feature_map else None


def attack(folder: Path, count: int) -> Iterator[Tally]:
    """Give the tally of each attack, with `count` random flips."""
    weights = np.random.default_rng(0).normal(0, 0.3, (784, 10))
    store, model = write_small_store(folder / "store.h5"), folder / "model.h5"
    save_model(
        model, Model(weights, weights[0].copy(), CLASSES, step=10, seed=3, store_digest="ab" * 32, shape=(28, 28))
    )
    features(store, folder / "made", map="grad8", deskew=True)
    of_features, mapped = (folder / "made" / "store.h5").rename(folder / "features.h5"), folder / "mapped.h5"
    feature_map = open_store(of_features).feature_map
    assert feature_map is not None
    wide = np.random.default_rng(0).normal(0, 0.3, (len(feature_map), 10))
    save_model(mapped, Model(wide, wide[0].copy(), CLASSES, 10, 3, "ab" * 32, (28, 28), feature_map=feature_map))
    stores, models = (store, of_features), (model, mapped)
    targets = [(path, read_store, "train/inputs") for path in stores] + [(path, read_model, "W") for path in models]
    for path, read, array in targets:
        good, same = path.read_bytes(), functools.partial(_reads_as, read, read(path))
        yield _flips(path, good, count, same)
        yield _cuts(path, good, count, same)
        yield _edits(path, good, array, same)


def _reads_as(read: Callable[[Path], list[object]], meaning: list[object], path: Path) -> bool:
    return read(path) == meaning


def _flips(path: Path, good: bytes, count: int, same: Callable[[Path], bool]) -> Tally:
    tally = Tally(f"{path.name}: random flipped bits, half of them in the metadata")
    dice = random.Random(0)
    # The first and the last kB hold names, types and attributes; the middle holds the arrays.
    edges = [*range(1024), *range(len(good) - 1024, len(good))]
    for number in range(count):
        byte = dice.choice(edges) if number % 2 else dice.randrange(len(good))
        bit = 8 * byte + dice.randrange(8)
        path.write_bytes(flipped(good, bit))
        tally.attempt(f"bit {bit}", path.name, lambda: same(path))
    return tally


def _cuts(path: Path, good: bytes, count: int, same: Callable[[Path], bool]) -> Tally:
    tally = Tally(f"{path.name}: truncated, extended by nothing of use, or empty")
    for length in (*range(64), *range(64, len(good), max(1, len(good) // min(count, 500)))):
        path.write_bytes(good[:length])
        tally.attempt(f"first {length} bytes", path.name, lambda: same(path))
    for more in (b"\0", bytes(4096), b"more"):
        path.write_bytes(good + more)
        tally.attempt("more behind", path.name, lambda: same(path))
    return tally


def _edits(path: Path, good: bytes, array: str, same: Callable[[Path], bool]) -> Tally:
    tally = Tally(f"{path.name}: shape bombs, links, other types, NaN, attributes of other kinds")
    path.with_name("other.h5").write_bytes(good)
    for what, edit in _EDITS.items():
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            edit(file, array)
        tally.attempt(what, path.name, lambda: same(path))
    path.write_bytes(good)
    return tally


def _replace(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value


def _create(file: h5py.File, name: str, **properties: Any) -> None:
    del file[name]
    file.create_dataset(name, **properties)


def _virtual(file: h5py.File, name: str) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource("other.h5", name, shape, dtype)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _resize(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    dtype = file[name].dtype
    # Chunks that were never written take no room; without rows there can be none.
    _create(file, name, shape=shape, dtype=dtype, chunks=tuple(min(64, size) for size in shape) if all(shape) else None)


_HUGE = 2**40
_EDITS: dict[str, Edit] = {
    "rows without end": lambda file, name: _resize(file, name, (_HUGE, *file[name].shape[1:])),
    "columns without end": lambda file, name: _resize(file, name, (file[name].shape[0], _HUGE)),
    "both without end": lambda file, name: _resize(file, name, (_HUGE, _HUGE)),
    "no rows": lambda file, name: _resize(file, name, (0, *file[name].shape[1:])),
    "more dimensions": lambda file, name: _replace(file, name, file[name][()][..., np.newaxis]),
    "packed zeros": lambda file, name: _create(
        file, name, shape=file[name].shape, dtype=file[name].dtype, compression="gzip"
    ),
    "float64": lambda file, name: _replace(file, name, file[name][()].astype("f8")),
    "int8": lambda file, name: _replace(file, name, file[name][()].astype("i1")),
    "other byte order": lambda file, name: _replace(file, name, file[name][()].astype(">u2")),
    "booleans": lambda file, name: _replace(file, name, file[name][()].astype(bool)),
    "compound": lambda file, name: _replace(file, name, np.zeros(3, [("a", "f4"), ("b", "i8")])),
    "text": lambda file, name: _replace(file, name, "text of variable length"),
    "NaN": lambda file, name: _replace(file, name, np.full(file[name].shape, np.nan, "f4")),
    "infinity": lambda file, name: _replace(file, name, np.full(file[name].shape, np.inf, "f4")),
    "zeros": lambda file, name: _replace(file, name, np.zeros_like(file[name][()])),
    "one value": lambda file, name: file[name].__setitem__((3, 3), file[name][3, 3] + 1),
    "a soft link": lambda file, name: _replace(file, name, h5py.SoftLink("/elsewhere")),
    "a soft link to itself": lambda file, name: _replace(file, name, h5py.SoftLink(f"/{name}")),
    "an external link": lambda file, name: _replace(file, name, h5py.ExternalLink("other.h5", f"/{name}")),
    "an external link to a device": lambda file, name: _replace(file, name, h5py.ExternalLink("/dev/zero", "/x")),
    "a second name": lambda file, name: file.__setitem__("second", file[name]),
    "a loop": lambda file, _: file.__setitem__("loop", file["/"]),
    "a virtual array": _virtual,
    "data elsewhere": lambda file, name: _create(
        file, name, shape=file[name].shape, dtype=file[name].dtype, external="other.h5"
    ),
    "gone": lambda file, name: file.__delitem__(name),
    "a group": lambda file, name: _replace(file, name, file.create_group("made").name),
    "one more": lambda file, _: file.__setitem__("more", [1.0]),
    "a name with escapes": lambda file, _: file.__setitem__("\x1b]52;c;aGk=\x07\u202e", [1.0]),
    "another schema": lambda file, _: write_text(file, "schema", "mnist-other/9\x1b[2J"),
    "no schema": lambda file, _: file.attrs.__delitem__("schema"),
    "a number as schema": lambda file, _: file.attrs.__setitem__("schema", 1),
    "schema of variable length": lambda file, _: file.attrs.__setitem__("schema", "mnist-store/1"),
    "classes of another kind": lambda file, _: write_text(file, "classes", '{"0": 1}'),
    "other classes": lambda file, _: write_text(file, "classes", '["a"]'),
    "classes that nest": lambda file, _: write_text(file, "classes", "[" * 60_000),
    "classes with escapes": lambda file, _: write_text(file, "classes", "\x1b[2J\x9b1m"),
    "a huge attribute": lambda file, _: file.attrs.create("schema", np.zeros(7000, "S9")),
}
