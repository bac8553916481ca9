"""Tests of the generated data set, against the bytes that the IDX format demands."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ImageFont, features

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.errors import MnistError
from mnist_cli.progress import Progress
from mnist_cli.sources.synthetic import SPLITS, Split, write_splits, write_synthetic

SMALL = (Split("train", 0, 2500, 5), Split("test", 1, 600, 5))


def files_in(folder: Path) -> dict[str, bytes]:
    return {role: (folder / name).read_bytes() for role, name in FILE_NAMES.items()}


def arrays_in(folder: Path, split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    content = {role: gzip.decompress(packed) for role, packed in files_in(folder).items()}
    images = np.frombuffer(content[f"{split}-images"], np.uint8, offset=16).reshape(-1, 28, 28)
    return images, np.frombuffer(content[f"{split}-labels"], np.uint8, offset=8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    write_splits(folder, SMALL, seed=3)
    return folder


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    write_synthetic(folder, seed=0)
    return folder


def test_only_the_four_files_are_left_in_the_folder(small: Path) -> None:
    assert sorted(path.name for path in small.iterdir()) == sorted(FILE_NAMES.values())


@pytest.mark.parametrize("split", SMALL, ids=lambda split: split.name)
def test_the_files_have_idx_headers_and_exactly_the_bytes_they_declare(small: Path, split: Split) -> None:
    images = gzip.decompress((small / FILE_NAMES[f"{split.name}-images"]).read_bytes())
    labels = gzip.decompress((small / FILE_NAMES[f"{split.name}-labels"]).read_bytes())
    assert struct.unpack(">IIII", images[:16]) == (2051, split.images, 28, 28)
    assert struct.unpack(">II", labels[:8]) == (2049, split.images)
    assert (len(images), len(labels)) == (16 + split.images * 784, 8 + split.images)


def test_the_gzip_headers_hold_neither_a_name_nor_a_time(small: Path) -> None:
    for packed in files_in(small).values():
        assert packed[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_the_same_seed_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    write_splits(tmp_path, SMALL, seed=3)
    assert files_in(tmp_path) == files_in(small)


def test_another_seed_gives_other_images_and_labels(small: Path, tmp_path: Path) -> None:
    write_splits(tmp_path, SMALL, seed=4)
    assert all(files_in(tmp_path)[role] != packed for role, packed in files_in(small).items())


def test_the_splits_are_drawn_from_different_random_streams(tmp_path: Path) -> None:
    write_splits(tmp_path, (Split("train", 0, 300, 5), Split("test", 1, 300, 5)), seed=0)
    (train_images, train_labels), (test_images, test_labels) = arrays_in(tmp_path, "train"), arrays_in(tmp_path, "test")
    assert not np.array_equal(train_labels, test_labels)
    assert not np.array_equal(train_images, test_images)


def test_all_ten_classes_are_about_equally_frequent(small: Path) -> None:
    _, labels = arrays_in(small, "train")
    assert np.bincount(labels, minlength=10).tolist() == pytest.approx([250] * 10, abs=75)


def test_digits_are_light_on_a_background_of_zeros(small: Path) -> None:
    images, _ = arrays_in(small, "train")
    assert np.median(images) == 0
    assert images.max(axis=(1, 2)).min() > 100
    assert 0.05 < images.mean() / 255 < 0.25


def test_digits_stand_roughly_in_the_centre_and_within_their_box(small: Path) -> None:
    mean = arrays_in(small, "train")[0].mean(axis=0)
    places = np.arange(28)
    centre = np.array([mean.sum(axis=1) @ places, mean.sum(axis=0) @ places]) / mean.sum()
    assert centre.tolist() == pytest.approx([13.5, 13.5], abs=0.5)
    assert mean[:2].max() < 10 < mean[10:18, 10:18].min()


def test_no_two_images_are_equal(small: Path) -> None:
    images, _ = arrays_in(small, "train")
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_the_public_function_writes_as_many_images_as_mnist_has(full: Path) -> None:
    for split, count in (("train", 60_000), ("test", 10_000)):
        images, labels = arrays_in(full, split)
        assert (len(images), len(labels)) == (count, count)


def test_a_softmax_regression_learns_it_well_but_not_perfectly(full: Path) -> None:
    images, labels = arrays_in(full, "train")
    weights, bias, one_hot = np.zeros((784, 10), np.float32), np.zeros(10, np.float32), np.eye(10, dtype=np.float32)
    for start in range(0, 50_000, 100):
        x = images[start : start + 100].reshape(100, 784) / np.float32(255)
        logits = x @ weights + bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = exponentials / exponentials.sum(axis=1, keepdims=True) - one_hot[labels[start : start + 100]]
        weights -= 0.005 * (x.T @ error)
        bias -= 0.005 * error.sum(axis=0)
    test_images, test_labels = arrays_in(full, "test")
    predicted = (test_images.reshape(-1, 784) @ weights + 255 * bias).argmax(axis=1)
    assert 0.85 < (predicted == test_labels).mean() < 0.97


def test_progress_hears_every_image(tmp_path: Path) -> None:
    heard: list[object] = []

    class Listener(Progress):
        def start(self, label: str, total: int | None, unit: str) -> None:
            heard.append((total, unit))

        def update(self, done: int, detail: str = "") -> None:
            heard.append(done)

        def finish(self) -> None:
            heard.append("finished")

    write_splits(tmp_path, SMALL, seed=0, progress=Listener())
    assert heard == [(3100, "images"), 2000, 2500, 3100, "finished"]


def test_a_pillow_without_freetype_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    monkeypatch.setattr(ImageFont, "load_default", lambda size: pytest.fail("the font must not be asked for"))
    with pytest.raises(MnistError, match="without FreeType") as caught:
        write_splits(tmp_path, SMALL, seed=0)
    assert caught.value.hint is not None
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_files_of_an_earlier_run_as_they_were(small: Path, tmp_path: Path) -> None:
    write_splits(tmp_path, SMALL, seed=3)

    class Stop(Progress):
        def update(self, done: int, detail: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_splits(tmp_path, SMALL, seed=4, progress=Stop())
    assert files_in(tmp_path) == files_in(small)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILE_NAMES.values())


def test_the_default_splits_differ_in_their_random_streams() -> None:
    assert len({split.number for split in SPLITS}) == len(SPLITS)
