"""The old tutorial's interface, against an independent statement of the order of examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_cli import datasets
from mnist_cli.datasets import FILE_NAMES, DataFile, Dataset
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.formats.byte_stream import content_sha256
from mnist_cli.stages import preprocess as stage
from mnist_cli.tutorial import DataSet, read_data_sets
from tests.support import exact
from tests.support.data import tiny_examples, write_tiny_dataset
from tests.support.stages import preprocess

IMAGES, LABELS = tiny_examples(60, 0)
PIXELS = (IMAGES.reshape(60, 784) / 255).astype(np.float32)


def expected_rows(seed: int, first: int, count: int, examples: int) -> list[int]:
    """The rule of the order, for one position at a time."""
    return [exact.row(seed, place // examples, place % examples, examples) for place in range(first, first + count)]


def same(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small data set that replaces MNIST."""
    folder = tmp_path / "mirror"
    write_tiny_dataset(folder)
    pinned = {}
    for role, name in FILE_NAMES.items():
        content = (folder / name).read_bytes()
        pinned[role] = DataFile(name, len(content), hashlib.sha256(content).hexdigest(), content_sha256(folder / name))
    tiny = Dataset("mnist", pinned, (), datasets.DATASETS["mnist"].classes)
    monkeypatch.setitem(datasets.DATASETS, "mnist", tiny)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_tiny_dataset(tmp_path / "sources")
    preprocess(tmp_path / "sources", tmp_path / "artifacts" / "preprocess", validation_size=10)
    return tmp_path / "artifacts" / "preprocess" / "store.h5"


@pytest.fixture
def train(store: Path) -> DataSet:
    return read_data_sets(store, seed=3).train


class TestDataSet:
    def test_images_are_float32_in_0_to_1_and_labels_uint8(self, train: DataSet) -> None:
        assert same(train.images, PIXELS[10:])
        assert same(train.labels, LABELS[10:])
        assert train.num_examples == 50

    def test_labels_are_one_hot_when_asked_for(self, store: Path) -> None:
        assert same(read_data_sets(store, one_hot=True).validation.labels, np.eye(10, dtype=np.float32)[LABELS[:10]])

    @pytest.mark.parametrize("one_hot", [False, True])
    def test_batches_follow_the_order_over_the_end_of_epochs(self, store: Path, one_hot: bool) -> None:
        train = read_data_sets(store, one_hot, seed=3).train
        labels = np.eye(10, dtype=np.float32)[LABELS] if one_hot else LABELS
        place = 0
        for size in (20, 20, 20, 1, 130, 7):
            images, received = train.next_batch(size)
            rows = [10 + row for row in expected_rows(3, place, size, 50)]
            assert same(images, PIXELS[rows])
            assert same(received, labels[rows])
            place += size

    def test_epochs_completed_counts_whole_epochs(self, train: DataSet) -> None:
        counted = []
        for size in (49, 1, 49, 2, 100):
            train.next_batch(size)
            counted.append(train.epochs_completed)
        assert counted == [0, 1, 1, 2, 4]

    def test_without_shuffling_the_order_is_that_of_the_file(self, train: DataSet) -> None:
        train.next_batch(45, shuffle=False)
        images, labels = train.next_batch(10, shuffle=False)
        rows = [*range(55, 60), *range(10, 15)]
        assert same(images, PIXELS[rows])
        assert same(labels, LABELS[rows])

    def test_another_seed_gives_another_order(self, store: Path) -> None:
        first, second = (read_data_sets(store, seed=seed).train.next_batch(50)[1] for seed in (0, 1))
        assert not np.array_equal(first, second)

    def test_a_batch_does_not_share_memory_with_the_data(self, train: DataSet) -> None:
        images, labels = train.next_batch(50)
        images[:] = 7
        labels[:] = 7
        assert same(train.images, PIXELS[10:])
        assert same(train.labels, LABELS[10:])

    @pytest.mark.parametrize("size", [0, -1])
    def test_a_batch_of_nothing_is_refused(self, train: DataSet, size: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            train.next_batch(size)

    def test_a_batch_of_an_empty_split_is_refused(self, tmp_path: Path) -> None:
        write_tiny_dataset(tmp_path)
        preprocess(tmp_path, tmp_path, validation_size=0)
        validation = read_data_sets(tmp_path / "store.h5").validation
        assert (validation.num_examples, validation.epochs_completed) == (0, 0)
        with pytest.raises(ValueError, match="0 examples"):
            validation.next_batch(1)


class TestFolder:
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        calls: list[object] = []
        real: Callable[..., object] = preprocess

        def counting(*arguments: object, **options: object) -> object:
            calls.append(options)
            return real(*arguments, **options)

        monkeypatch.setattr(stage, "preprocess", counting)
        return calls

    def test_an_artifacts_folder_is_opened_as_it_is(self, store: Path) -> None:
        assert read_data_sets(str(store.parent.parent)).train.num_examples == 50

    def test_a_store_that_is_not_there_is_an_input_error(self, tmp_path: Path) -> None:
        with pytest.raises(InputError):
            read_data_sets(tmp_path / "store.h5")

    def test_an_empty_folder_gets_the_files_and_the_store(self, mirror: Path, tmp_path: Path) -> None:
        data = read_data_sets(tmp_path / "new" / "data", validation_size=10, mirrors=[str(mirror)])
        assert [part.num_examples for part in data] == [50, 10, 20]
        assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir() if path.suffix) == sorted(
            [*FILE_NAMES.values(), "store.h5"]
        )

    def test_a_second_call_reuses_the_store(
        self, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read_data_sets(tmp_path / "data", validation_size=10, mirrors=[str(mirror)])
        calls = self.counted(monkeypatch)
        read_data_sets(tmp_path / "data", validation_size=10)
        assert calls == []

    def test_another_validation_size_makes_the_store_anew(self, mirror: Path, tmp_path: Path) -> None:
        read_data_sets(tmp_path / "data", validation_size=10, mirrors=[str(mirror)])
        assert read_data_sets(tmp_path / "data", validation_size=20).validation.num_examples == 20

    def test_a_damaged_store_is_made_anew(self, mirror: Path, tmp_path: Path) -> None:
        read_data_sets(tmp_path / "data", validation_size=10, mirrors=[str(mirror)])
        (tmp_path / "data" / "store.h5").write_bytes(b"damage")
        assert same(read_data_sets(tmp_path / "data", validation_size=10).train.images, PIXELS[10:])

    def test_the_store_of_other_files_is_made_anew(
        self, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_tiny_dataset(tmp_path / "other", seed=1)
        preprocess(tmp_path / "other", tmp_path / "data", validation_size=10)
        data = read_data_sets(tmp_path / "data", validation_size=10, mirrors=[str(mirror)])
        assert same(data.train.images, PIXELS[10:])


@pytest.mark.parametrize("size", [2.5, True, "10", None, 60, -1])
def test_an_invalid_validation_size_is_a_configuration_error(mirror: Path, tmp_path: Path, size: Any) -> None:
    with pytest.raises(ConfigError, match=r"preprocess.validation_size: expected"):
        read_data_sets(tmp_path / "data", mirrors=[str(mirror)], validation_size=size)


def test_a_validation_size_that_is_not_a_number_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_data_sets(tmp_path / "data", validation_size=2.5)
    assert not (tmp_path / "data").exists()


def test_threads_that_fill_one_folder_take_turns(mirror: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        calls = [
            pool.submit(read_data_sets, tmp_path / "data", validation_size=10, mirrors=[str(mirror)]) for _ in "123456"
        ]
        assert {call.result(60).train.num_examples for call in calls} == {50}


def test_mirrors_in_the_environment_are_tried(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_MIRRORS", str(mirror))
    assert read_data_sets(tmp_path / "data", validation_size=10).test.num_examples == 20


def test_a_folder_that_is_complete_is_only_read(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_data_sets(tmp_path / "data", validation_size=10, mirrors=[str(mirror)])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    monkeypatch.setattr("mnist_cli.stages.fetch.fetch", lambda *_, **__: pytest.fail("nothing has to be fetched"))
    assert read_data_sets(tmp_path / "data", validation_size=10).train.num_examples == 50
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before
