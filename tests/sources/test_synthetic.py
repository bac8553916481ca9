"""The synthetic digits: their bytes, their looks, and how well a model trained on them reads MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.pictures.normalize import centre_of_mass, normalize
from mnist_cli.progress import Progress
from mnist_cli.sources import synthetic
from mnist_cli.sources.strokes import SKELETONS
from mnist_cli.sources.synthetic import SPLITS, Split, draw, labels_of, write_splits, write_synthetic
from tests.support.data import read_idx
from tests.support.plain_digits import plain_digit, plain_labels

SMALL = (Split("train", 0, 2500), Split("test", 60_000, 600))
# SHA-256 of the images number 0, 59,990 and 69,990 and the nine after each, of the labels 0 to 9.
# When they change on purpose, bump GENERATOR in mnist_cli/datasets, or old artifacts would pass as fresh.
PINNED = {
    0: "dbc418be7c703d6ba4679d9f1dfee457a656f3a9ee817420e4ce2df3cc211521",
    1: "c95cb92bbf5f049a7b82303557f6169508be6cd46d9328d54455add1b0a45b76",
    2**63 - 1: "a9b00550e2ff8cfed758ac366e338c3f149955961aea75ace8c0735e48097e89",
}
# SHA-256 of the four files of seed 0, one after the other.
FILES = "da2ccabe68fc10b3f4cff31e57978f14eb3fbb71557f64cbe4ac4772764c9fa7"
DISPATCHED = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
PRINT_DIGEST = """
import hashlib, numpy
from mnist_cli.sources.synthetic import draw
print(hashlib.sha256(draw(numpy.arange(300, dtype=numpy.uint8) % 10, 5, 0).tobytes()).hexdigest())
"""


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


def test_the_images_of_a_seed_are_pinned() -> None:
    labels = np.arange(10, dtype=np.uint8)
    for seed, pinned in PINNED.items():
        images = [draw(labels, seed, first) for first in (0, 59_990, 69_990)]
        assert hashlib.sha256(np.concatenate(images).tobytes()).hexdigest() == pinned, f"seed {seed}"


def test_the_files_of_the_first_seed_are_pinned(full: Path) -> None:
    digest = hashlib.sha256(b"".join(files_in(full)[role] for role in FILE_NAMES))
    assert digest.hexdigest() == FILES


def test_a_plain_program_gives_the_same_images() -> None:
    labels = np.arange(10, dtype=np.uint8).repeat(3)
    for seed in (0, 2**40 + 3):
        images = draw(labels, seed, 500)
        for place, label in enumerate(labels.tolist()):
            assert images[place].tobytes() == plain_digit(label, seed, 500 + place), f"seed {seed}, image {place}"


def test_every_skeleton_is_drawn_as_a_plain_program_draws_it() -> None:
    for label, ways in enumerate(SKELETONS):
        labels = np.full(400, label, np.uint8)
        chosen, _ = synthetic._chosen(labels, synthetic._hashes(synthetic._keys(0, 0, 400), 1, 2))
        assert len(np.unique(chosen)) == len(ways)
        for place in np.unique(chosen, return_index=True)[1].tolist():
            assert draw(labels[:1], 0, place).tobytes() == plain_digit(label, 0, place), ways


def test_a_plain_program_gives_the_same_labels() -> None:
    split = Split("test", 60_000, 300)
    assert labels_of(split, 7).tolist() == plain_labels(7, split.first, split.images)


def test_an_image_does_not_depend_on_its_block() -> None:
    labels = labels_of(SMALL[0], 3)[:500]
    images = draw(labels, 3, 0)
    for size in (1, 7, 250):
        for start in range(0, 500, 125):
            block = slice(start, start + size)
            assert np.array_equal(draw(labels[block], 3, start), images[block])


def test_the_order_in_which_images_are_drawn_does_not_matter() -> None:
    labels = np.arange(20, dtype=np.uint8) % 10
    later = draw(labels[10:], 0, 10)
    assert np.array_equal(np.concatenate([draw(labels[:10], 0, 0), later]), draw(labels, 0, 0))


@pytest.mark.parametrize(
    "variables",
    [
        {"NPY_DISABLE_CPU_FEATURES": " ".join(DISPATCHED)},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "3"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_no_processor_and_no_library_changes_a_byte(variables: dict[str, str]) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PRINT_DIGEST],
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({}, variables)
    }
    assert len(digests) == 1


def test_the_test_images_are_other_images_of_the_same_generator(small: Path) -> None:
    (train_images, train_labels), (images, labels) = arrays_in(small, "train"), arrays_in(small, "test")
    assert not np.array_equal(train_labels[:600], labels)
    assert not (images.reshape(600, 1, 784)[:50] == train_images.reshape(1, -1, 784)).all(axis=2).any()
    assert np.array_equal(images, draw(labels, 3, 60_000))


def test_the_numbers_of_the_two_splits_do_not_overlap() -> None:
    train, test = SPLITS
    assert train.first + train.images <= test.first


def test_all_ten_classes_are_equally_frequent(full: Path) -> None:
    for split, each in (("train", 6000), ("test", 1000)):
        assert np.bincount(arrays_in(full, split)[1]).tolist() == [each] * 10


def test_the_labels_are_shuffled(full: Path) -> None:
    _, labels = arrays_in(full, "train")
    assert np.bincount(labels[:5000], minlength=10).tolist() == pytest.approx([500] * 10, abs=75)
    assert (labels[1:] == labels[:-1]).mean() == pytest.approx(0.1, abs=0.01)


def test_digits_are_light_on_a_background_of_zeros(small: Path) -> None:
    images, _ = arrays_in(small, "train")
    assert np.median(images) == 0
    assert (images.max(axis=(1, 2)) == 255).all()
    assert 0.05 < images.mean() / 255 < 0.25


def test_the_longer_side_of_a_digit_is_20_pixels(small: Path) -> None:
    ink = arrays_in(small, "train")[0] > 0
    longer = np.maximum(ink.any(axis=2).sum(axis=1), ink.any(axis=1).sum(axis=1))
    assert longer.max() == 20
    assert (longer == 20).mean() > 0.95


def test_the_centre_of_mass_is_at_pixel_14_as_far_as_whole_pixels_allow(small: Path) -> None:
    images, _ = arrays_in(small, "train")
    centres = np.array([[centre_of_mass(image, axis) for axis in (0, 1)] for image in images])
    assert np.abs(centres - 14).max() < 0.6
    assert (np.abs(centres - 14) <= 0.5).all(axis=1).mean() > 0.995


def test_predict_uses_the_images_unchanged(small: Path) -> None:
    images = arrays_in(small, "test")[0]
    assert np.mean([(normalize(image, (28, 28)) == image).all() for image in images]) > 0.98


def test_no_two_images_are_equal(small: Path) -> None:
    images, _ = arrays_in(small, "train")
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_the_public_function_writes_as_many_images_as_mnist_has(full: Path) -> None:
    for split, count in (("train", 60_000), ("test", 10_000)):
        images, labels = arrays_in(full, split)
        assert (len(images), len(labels)) == (count, count)


def predictions_after_training(folder: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Train as `mnist train` does by default (1000 steps of 100 images, rate 0.5) and return the labels of images."""
    inputs, labels = arrays_in(folder, "train")
    order = np.random.default_rng(0).permutation(np.arange(5000, 60_000))
    weights, bias, one_hot = np.zeros((784, 10), np.float32), np.zeros(10, np.float32), np.eye(10, dtype=np.float32)
    for step in range(1000):
        rows = order[np.arange(100 * step, 100 * step + 100) % len(order)]
        x = inputs[rows].reshape(100, 784) / np.float32(255)
        logits = x @ weights + bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = exponentials / exponentials.sum(axis=1, keepdims=True) - one_hot[labels[rows]]
        weights -= 0.005 * (x.T @ error)
        bias -= 0.005 * error.sum(axis=0)
    return np.asarray((images.reshape(-1, 784) @ weights + 255 * bias).argmax(axis=1))


def test_a_softmax_regression_learns_it_well_but_not_perfectly(full: Path) -> None:
    images, labels = arrays_in(full, "test")
    assert 0.85 < (predictions_after_training(full, images) == labels).mean() < 0.97


def test_a_model_that_learned_from_it_reads_real_digits(full: Path, real_mnist: Path) -> None:
    images = read_idx(real_mnist / FILE_NAMES["test-images"])
    labels = read_idx(real_mnist / FILE_NAMES["test-labels"])
    right = predictions_after_training(full, images) == labels
    assert right.mean() >= 0.8
    assert min(right[labels == label].mean() for label in range(10)) >= 0.7


def test_progress_counts_every_image(tmp_path: Path) -> None:
    heard: list[object] = []

    class Listener(Progress):
        def start(self, label: str, total: int | None, unit: str) -> None:
            heard.append((total, unit))

        def update(self, done: int, detail: str = "") -> None:
            heard.append(done)

        def finish(self) -> None:
            heard.append("finished")

    write_splits(tmp_path, SMALL, seed=0, progress=Listener())
    assert heard == [(3100, "images"), 1000, 2000, 2500, 3100, "finished"]


def test_a_failure_does_not_change_the_files_of_an_earlier_run(small: Path, tmp_path: Path) -> None:
    write_splits(tmp_path, SMALL, seed=3)

    class Stop(Progress):
        def update(self, done: int, detail: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_splits(tmp_path, SMALL, seed=4, progress=Stop())
    assert files_in(tmp_path) == files_in(small)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILE_NAMES.values())
