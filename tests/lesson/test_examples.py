"""The lesson's examples: which they are, how they are packed, and the data set that they become."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.datasets import FILE_NAMES, find_dataset
from mnist_cli.lesson.examples import choose_examples, write_dataset
from tests.support.data import read_idx
from tests.support.lesson_data import ORIGIN, make_store


def test_the_examples_are_the_stores_in_four_greys(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    examples = choose_examples(store)
    assert examples.shape == (28, 28)
    assert sorted(set(examples.train.inputs.ravel().tolist())) == [0, 85, 170, 255]
    np.testing.assert_allclose(examples.train.inputs.astype(float), store.train.inputs, atol=43)
    np.testing.assert_array_equal(examples.train.labels, store.train.labels)
    np.testing.assert_array_equal(examples.test.labels, store.test.labels)


def test_of_many_examples_6000_and_1000_are_drawn_by_lot(tmp_path: Path) -> None:
    store = make_store(tmp_path, shape=(6, 6), counts=(9000, 3000), classes=("a", "b"))
    examples = choose_examples(store)
    assert (len(examples.train.labels), len(examples.test.labels)) == (6000, 1000)
    greys = (np.array(store.train.inputs, float) * 3 / 255 + 0.5).astype(int) * 85
    known = {row.tobytes() for row in greys.astype(np.uint8)}
    assert {row.tobytes() for row in examples.train.inputs} <= known
    assert np.any(examples.train.labels != store.train.labels[:6000])
    assert choose_examples(store).packed() == examples.packed()


def test_packed_are_the_labels_and_then_two_bits_a_pixel(tmp_path: Path) -> None:
    examples = choose_examples(make_store(tmp_path, shape=(7, 3), counts=(11, 6), classes=("a", "b", "c")))
    content = zlib.decompress(examples.packed())
    assert list(content[:17]) == [*examples.train.labels.tolist(), *examples.test.labels.tolist()]
    levels = [content[17 + index // 4] >> 2 * (index % 4) & 3 for index in range(17 * 21)]
    assert [85 * level for level in levels] == [
        *examples.train.inputs.ravel().tolist(),
        *examples.test.inputs.ravel().tolist(),
    ]


@pytest.mark.parametrize(
    ("shape", "classes", "counts"),
    [((256, 256), 2, (40, 20)), ((100, 40), 16, (60, 30)), ((28, 28), 256, (300, 256)), ((1, 3000), 3, (30, 9))],
    ids=str,
)
def test_large_images_and_many_classes_are_shrunk_until_they_fit(
    tmp_path: Path, shape: tuple[int, int], classes: int, counts: tuple[int, int]
) -> None:
    store = make_store(tmp_path, shape=shape, classes=tuple(f"c{k}" for k in range(classes)), counts=counts)
    examples = choose_examples(store)
    pixels = examples.shape[0] * examples.shape[1]
    assert pixels <= 1024
    assert pixels * classes <= 60_000
    assert examples.train.inputs.shape == (counts[0], pixels)
    assert abs(examples.shape[0] / examples.shape[1] / (shape[0] / shape[1]) - 1) < 0.3 or 1 in examples.shape


def test_what_does_not_fit_into_the_page_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cli.lesson.examples._PACKED", 20_000)
    examples = choose_examples(make_store(tmp_path))
    assert len(examples.packed()) <= 20_000
    assert 20 < len(examples.train.labels) < 300


def test_the_data_set_is_of_idx_files_that_the_pipeline_reads(tmp_path: Path) -> None:
    examples = choose_examples(make_store(tmp_path, shape=(7, 5), classes=("a", "yes")))
    path = write_dataset(examples, tmp_path / "made", ORIGIN)
    described = find_dataset(str(path))
    assert (described.name, described.classes, described.licence) == ("bars-lesson", ("a", "yes"), "CC0")
    assert described.folder == path.parent
    images = read_idx(path.parent / FILE_NAMES["test-images"])
    np.testing.assert_array_equal(images.reshape(len(images), -1), examples.test.inputs)
    np.testing.assert_array_equal(read_idx(path.parent / FILE_NAMES["train-labels"]), examples.train.labels)
