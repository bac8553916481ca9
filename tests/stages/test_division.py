"""Which training images become the validation split, and how a data set's files are corrected on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cli.datasets import find_dataset
from mnist_cli.errors import ConfigError, FormatError
from mnist_cli.formats.store import Store, open_store
from mnist_cli.maps.permutation import permuted
from mnist_cli.stages.division import Division, Rule
from mnist_cli.stages.preprocess import PreprocessSettings
from mnist_cli.tutorial import read_data_sets
from tests.support.data import write_idx
from tests.support.own_data import write_photos
from tests.support.progress import Listener
from tests.support.stages import preprocess

Bytes = npt.NDArray[np.uint8]


def reference_row(seed: int, stream: int, position: int, count: int) -> int:
    """The permutation by its rule, in Python's whole numbers."""
    word = 2**32 - 1

    def mix(x: int) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D & word
        x ^= x >> 15
        x = x * 0x846CA68B & word
        return x ^ (x >> 16)

    state = 0
    for part in (seed & word, seed >> 32, stream & word, stream >> 32):
        state = mix(((state * 31) + part + 0x9E3779B9) & word)
    keys = []
    for turn in range(8):
        state = mix((state + (turn + 1) * 0x9E3779B9) & word)
        keys.append(state)
    bits = 1
    while 4**bits < count:
        bits += 1
    while True:
        left, right = position >> bits, position & (2**bits - 1)
        for key in keys:
            left, right = right, left ^ (mix((right + key) & word) & (2**bits - 1))
        position = left << bits | right
        if position < count:
            return position


class TestPermutation:
    @given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(1, 300))
    def test_it_is_the_rule_and_a_bijection(self, seed: int, stream: int, count: int) -> None:
        rows = permuted(seed, stream, np.arange(count), count).tolist()
        assert rows == [reference_row(seed, stream, position, count) for position in range(count)]
        assert sorted(rows) == list(range(count))

    def test_far_positions_of_a_large_count_are_right(self) -> None:
        rows = permuted(7, 3, np.array([0, 2**31 - 2]), 2**31 - 1).tolist()
        assert rows == [reference_row(7, 3, 0, 2**31 - 1), reference_row(7, 3, 2**31 - 2, 2**31 - 1)]


def masks(rule: Rule, labels: Sequence[int], block: int = 7) -> npt.NDArray[np.bool_]:
    array = np.array(labels, np.uint8)
    division = Division(rule, np.bincount(array, minlength=4))
    return np.concatenate([division.next(array[at : at + block]) for at in range(0, len(array), block)])


class TestDivision:
    @pytest.mark.parametrize("split", ["first", "shuffled", "stratified"])
    @pytest.mark.parametrize(("size", "count"), [(0, 0), (13, 13), (0.25, 25), (99, 99)])
    def test_as_many_are_chosen_as_were_asked_for(self, split: str, size: float, count: int) -> None:
        assert masks(Rule(size, split), [index % 4 for index in range(100)]).sum() == count

    @pytest.mark.parametrize("split", ["shuffled", "stratified"])
    def test_the_choice_does_not_depend_on_the_blocks(self, split: str) -> None:
        labels = [index // 30 for index in range(100)]
        rule = Rule(20, split, seed=3)
        assert np.array_equal(masks(rule, labels, 1), masks(rule, labels, 100))

    @pytest.mark.parametrize("split", ["shuffled", "stratified"])
    def test_another_seed_chooses_others(self, split: str) -> None:
        labels = [index % 4 for index in range(100)]
        assert not np.array_equal(masks(Rule(20, split), labels), masks(Rule(20, split, seed=1), labels))

    def test_shuffled_is_the_permutation_of_stream_2000(self) -> None:
        expected = [reference_row(5, 2000, row, 100) < 20 for row in range(100)]
        assert masks(Rule(20, "shuffled", seed=5), [0] * 100).tolist() == expected

    @given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.data())
    def test_stratified_takes_of_each_class_its_share_rounded(self, labels: list[int], data: st.DataObject) -> None:
        size = data.draw(st.integers(0, len(labels) - 1))
        mask = masks(Rule(size, "stratified"), labels)
        assert mask.sum() == size
        for label in range(4):
            own = np.array(labels) == label
            assert abs(mask[own].sum() - own.sum() * size / len(labels)) < 1

    @pytest.mark.parametrize("size", [-1, 1.0, 1.5, True, "10", None, float("nan")])
    def test_a_size_that_is_neither_a_count_nor_a_share_is_refused(self, size: Any) -> None:
        with pytest.raises(ConfigError, match=r"^preprocess\.validation_size: expected a whole number from 0 up, or"):
            PreprocessSettings(validation_size=size)

    def test_another_split_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"^preprocess\.split: expected first, shuffled or stratified; received"):
            PreprocessSettings(split="random")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 × 24 pixels, five classes, sorted by label."""
    random = np.random.default_rng(0)
    for prefix, count in (("train", 50), ("t10k", 10)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", random.integers(0, 256, (count, 40, 24), dtype=np.uint8))
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.repeat(np.arange(5), count // 5).astype(np.uint8))
    return tmp_path


FIVE = {"files": ".", "classes": list("abcde")}


def made(data: Path, listener: Listener | None = None, rules: Any = None, **options: Any) -> Store:
    dataset = find_dataset(FIVE | (rules or {}), data)
    preprocess(data, data / "out", dataset=dataset, progress=listener or Listener(), **options)
    return open_store(data / "out" / "store.h5")


def idx(path: Path) -> npt.NDArray[Any]:
    from mnist_cli.formats.idx import IdxReader

    with IdxReader(path) as reader:
        return reader.read_rows(reader.rows_left)


class TestStore:
    def test_shape_and_classes_are_those_of_the_data(self, data: Path) -> None:
        store = made(data, validation_size=0.2, split="stratified")
        assert (store.dataset, store.image_shape, store.classes) == ("own", (40, 24), tuple("abcde"))
        assert store.split_rule.startswith("validation = 0.2 of the training images, evenly of each class, chosen with")

    @pytest.mark.parametrize("split", ["first", "shuffled", "stratified"])
    def test_each_image_is_in_one_split_with_its_label_in_the_order_of_the_file(self, data: Path, split: str) -> None:
        store = made(data, validation_size=0.3, split=split, seed=2)
        images = idx(data / "train-images-idx3-ubyte.gz").reshape(50, -1)
        labels = idx(data / "train-labels-idx1-ubyte.gz")
        mask = masks_of(Rule(0.3, split, 2), labels)
        for part, rows in ((store.validation, mask), (store.train, ~mask)):
            assert np.array_equal(part.inputs, images[rows])
            assert np.array_equal(part.labels, labels[rows])

    def test_stratified_has_each_class_evenly(self, data: Path) -> None:
        store = made(data, validation_size=10, split="stratified")
        assert np.bincount(store.validation.labels).tolist() == [2] * 5

    def test_small_blocks_give_the_same_bytes(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        digests = set()
        for size in (1 << 20, 3000):
            monkeypatch.setattr("mnist_cli.sources.examples.BLOCK_BYTES", size)
            digests.add(made(data, validation_size=0.3, split="stratified").digest)
        assert len(digests) == 1

    def test_the_first_of_sorted_files_lack_classes_and_a_warning_says_so(self, data: Path) -> None:
        listener = Listener()
        made(data, listener, validation_size=10)
        warning = listener.warnings[0]
        assert warning.startswith("no example of b, c, d, e to validate on (validation = the first 10 training")
        assert warning.endswith("set preprocess.split to stratified")

    def test_a_class_that_is_left_without_training_images_is_warned_of(self, data: Path) -> None:
        listener = Listener()
        made(data, listener, validation_size=20)
        assert any("no example of a, b to train on" in warning for warning in listener.warnings)

    def test_a_few_images_that_lack_a_class_by_chance_have_no_warning(self, data: Path) -> None:
        write_idx(data / "train-labels-idx1-ubyte.gz", np.tile(np.arange(5), 10).astype(np.uint8))
        listener = Listener()
        made(data, listener, validation_size=4)
        assert listener.warnings == []

    @pytest.mark.parametrize("split", ["shuffled", "stratified"])
    def test_a_split_with_all_classes_has_no_warning(self, data: Path, split: str) -> None:
        listener = Listener()
        made(data, listener, validation_size=0.5, split=split)
        assert listener.warnings == []

    def test_a_share_that_leaves_nothing_to_train_on_is_refused(self, data: Path) -> None:
        with pytest.raises(ConfigError, match=r"one must be left to train on; received 0\.9999"):
            made(data, validation_size=0.9999)


def masks_of(rule: Rule, labels: Bytes) -> npt.NDArray[np.bool_]:
    return Division(rule, np.bincount(labels, minlength=5)).next(labels)


class TestFilesSetRight:
    def test_transposed_images_are_turned(self, data: Path) -> None:
        upright = made(data, validation_size=5)
        expected = (upright.train.inputs.copy(), upright.test.inputs.copy())
        for prefix in ("train", "t10k"):
            path = data / f"{prefix}-images-idx3-ubyte.gz"
            write_idx(path, np.ascontiguousarray(idx(path).swapaxes(1, 2)))
        store = made(data, rules={"transpose": True}, validation_size=5)
        assert store.image_shape == (40, 24)
        assert np.array_equal(store.train.inputs, expected[0]) and np.array_equal(store.test.inputs, expected[1])

    def test_labels_that_begin_at_one_become_indexes(self, data: Path) -> None:
        expected = made(data, validation_size=5).train.labels.copy()
        for prefix in ("train", "t10k"):
            path = data / f"{prefix}-labels-idx1-ubyte.gz"
            write_idx(path, idx(path) + np.uint8(1))
        store = made(data, rules={"first_label": 1}, validation_size=5)
        assert np.array_equal(store.train.labels, expected)
        with pytest.raises(FormatError, match=r"byte 48: label 40 is out of range\nexpected 0 to 4; received 5"):
            made(data, validation_size=5)

    def test_labels_in_a_column_of_numbers_are_taken_from_it(self, data: Path) -> None:
        expected = made(data, validation_size=5).train.labels.copy()
        for prefix in ("train", "t10k"):
            path = data / f"{prefix}-labels-idx1-ubyte.gz"
            labels = idx(path)
            columns = np.full((len(labels), 8), 70_000, np.int32)
            columns[:, 2] = labels
            write_idx(path, columns)
        assert np.array_equal(made(data, rules={"column": 2}, validation_size=5).train.labels, expected)
        with pytest.raises(FormatError, match=r"byte 16: label 0 is out of range\nexpected 0 to 4; received 70000"):
            made(data, rules={"column": 1}, validation_size=5)
        with pytest.raises(FormatError, match="not labels in columns"):
            made(data, rules={"column": 8}, validation_size=5)
        with pytest.raises(FormatError, match="expected uint8, 1 dimension"):
            made(data, validation_size=5)

    def test_images_of_another_size_than_the_description_says_are_refused(self, data: Path) -> None:
        dataset = find_dataset(FIVE | {"shape": [24, 40]}, data)
        with pytest.raises(FormatError, match="the images do not have the size in the data set's description"):
            read_data_sets(data / "data", dataset=dataset)


class TestTutorial:
    def test_own_files_are_read_with_their_classes(self, data: Path) -> None:
        dataset = find_dataset(FIVE, data)
        sets = read_data_sets(data / "data", one_hot=True, dataset=dataset, validation_size=0.2, split="stratified")
        assert [part.num_examples for part in sets] == [40, 10, 10]
        assert (sets.train.images.shape, sets.train.labels.shape) == ((40, 960), (40, 5))
        assert sets.validation.labels.sum(axis=0).tolist() == [2] * 5

    def test_own_files_that_changed_are_read_anew(self, data: Path) -> None:
        options: dict[str, Any] = {"dataset": find_dataset(FIVE, data), "validation_size": 10}
        before = read_data_sets(data / "data", **options).test.labels.copy()
        path = data / "t10k-labels-idx1-ubyte.gz"
        write_idx(path, idx(path)[::-1].copy())
        assert np.array_equal(read_data_sets(data / "data", **options).test.labels, before[::-1])

    def test_pictures_are_read_with_the_names_of_their_folders(self, tmp_path: Path) -> None:
        write_photos(tmp_path / "photos")
        value = {"images": str(tmp_path / "photos")}
        sets = read_data_sets(tmp_path / "data", dataset=value, validation_size=0.25)
        assert [part.num_examples for part in sets] == [6, 2, 2]
        assert open_store(tmp_path / "data" / "store.h5").classes == ("a", "b")
