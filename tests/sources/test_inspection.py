"""What `dataset check` finds in a folder, and the description that `dataset init` writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cli.datasets import find_dataset
from mnist_cli.errors import InputError
from mnist_cli.sources.inspection import inspect_folder
from mnist_cli.tutorial import read_data_sets
from tests.support.data import write_idx, write_tiny_dataset
from tests.support.own_data import unpack, write_photos


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_tiny_dataset(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_photos(tmp_path / "photos")
    return tmp_path / "photos"


def test_idx_files_are_counted_by_class(data: Path) -> None:
    found = inspect_folder(data)
    assert (found.kind, found.shape, found.problems, found.remarks) == ("files", (28, 28), [], [])
    assert found.classes == {str(label): 8 for label in range(10)}


def test_pictures_are_counted_by_class(photos: Path) -> None:
    found = inspect_folder(photos)
    assert (found.kind, found.shape, found.classes, found.problems) == ("images", (6, 4), {"a": 5, "b": 5}, [])


@pytest.mark.parametrize("kind", ["data", "photos"])
def test_the_description_can_be_used(tmp_path: Path, data: Path, photos: Path, kind: str) -> None:
    folder = tmp_path / kind
    unpack(data)
    (folder / "dataset.yaml").write_text(inspect_folder(folder).description(), encoding="utf-8")
    sets = read_data_sets(tmp_path / "out", dataset=str(folder / "dataset.yaml"), validation_size=0.25)
    assert sum(part.num_examples for part in sets) == {"data": 80, "photos": 10}[kind]
    assert find_dataset(str(folder / "dataset.yaml")).name == kind


@pytest.mark.parametrize("name", ["true", "null", "1", "1e3", "日本 x", "a: b", "# c", '"', "\u202e", "café"])
def test_any_name_of_a_class_reads_back_from_the_description(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path / "photos")
    (tmp_path / "photos" / "a").rename(tmp_path / "photos" / name)
    (tmp_path / "own.yaml").write_text(inspect_folder(tmp_path / "photos").description(), encoding="utf-8")
    assert set(find_dataset("own.yaml", tmp_path).classes) == {name, "b"}


def test_labels_from_one_and_in_columns_are_described(data: Path) -> None:
    for prefix, count in (("train", 60), ("t10k", 20)):
        labels = np.arange(count, dtype=np.int32).reshape(-1, 1) % 3 + 1
        write_idx(data / f"{prefix}-labels-idx1-ubyte.gz", np.repeat(labels, 8, axis=1))
    text = inspect_folder(data).description()
    assert "first_label: 1\n" in text and "column: 0\n" in text and 'classes: ["1", "2", "3"]\n' in text


def test_sorted_labels_give_a_remark(data: Path) -> None:
    write_idx(data / "train-labels-idx1-ubyte.gz", (np.arange(60) // 6).astype(np.uint8))
    assert "the training images are sorted by label" in inspect_folder(data).remarks[0]


def test_pictures_of_several_sizes_give_a_remark(photos: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(photos / "a" / "x.png")
    assert inspect_folder(photos).remarks == ["2 sizes, most often 6 × 4 (10 of 11); 'size:' scales all to one"]


def truncate(data: Path) -> None:
    path = data / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])


def remove(data: Path) -> None:
    (data / "t10k-labels-idx1-ubyte.gz").unlink()


def shorten(data: Path) -> None:
    write_idx(data / "train-labels-idx1-ubyte.gz", np.zeros(59, np.uint8))


def resize(data: Path) -> None:
    write_idx(data / "t10k-images-idx3-ubyte.gz", np.zeros((20, 28, 27), np.uint8))


def swap(data: Path) -> None:
    write_idx(data / "train-images-idx3-ubyte.gz", np.zeros(60, np.uint8))


def scatter(data: Path) -> None:
    write_idx(data / "train-labels-idx1-ubyte.gz", np.full((60, 1), 300, np.int32))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "the gzip data end too early"),
        (remove, "missing t10k-labels-idx1-ubyte.gz"),
        (shorten, "expected 60 labels; received 59 labels"),
        (resize, "test and training images differ in size"),
        (swap, "expected uint8, 3 dimensions; received uint8, 1 dimension"),
        (scatter, "labels from 0 to 300: expected 2 to 256 classes"),
    ],
)
def test_files_that_cannot_be_used_are_a_problem(data: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(data)
    assert any(words in problem for problem in inspect_folder(data).problems)


def test_a_picture_that_cannot_be_read_is_a_problem(photos: Path) -> None:
    (photos / "b" / "3.png").write_text("text")
    [problem] = inspect_folder(photos).problems
    assert problem.startswith("b/3.png: expected a PNG")


def test_twenty_of_many_problems_are_reported(photos: Path) -> None:
    for index in range(30):
        (photos / "b" / f"x{index}.png").write_text("text")
    problems = inspect_folder(photos).problems
    assert (len(problems), problems[-1]) == (21, "and 10 more")


def test_a_folder_of_something_else_has_no_kind(tmp_path: Path) -> None:
    found = inspect_folder(tmp_path)
    assert found.kind is None and found.problems[0].startswith("no IDX files with the usual names; ")


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        inspect_folder(tmp_path / "none")
