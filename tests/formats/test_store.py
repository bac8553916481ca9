"""The store reads back exactly what was written, or refuses the file."""

from __future__ import annotations

import gc
import hashlib
import json
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats import store as store_module
from mnist_cli.formats.hdf5 import content_digest
from mnist_cli.formats.hdf5_writing import write_text
from mnist_cli.formats.store import SPLITS, Store, open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from tests.support.data import tiny_examples

KINDS = ("inputs", "labels")
COUNTS = {"train": 300, "validation": 7, "test": 20}
EXAMPLES = {split: tiny_examples(count, seed) for seed, (split, count) in enumerate(COUNTS.items())}


def write(path: Path, block: int = 128) -> str:
    with write_store(path, COUNTS, 784) as writer:
        for split, (images, labels) in EXAMPLES.items():
            for start in range(0, len(labels), block):
                rows = slice(start, start + block)
                writer.append(split, images[rows].reshape(-1, 784), labels[rows])
        return writer.describe(
            StoreFacts(
                dataset="tiny",
                split_rule="by hand",
                image_shape=(28, 28),
                classes=[f"class {number}" for number in range(10)],
                sources={"train-images": "0" * 64},
            )
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "store.h5")
    return tmp_path / "store.h5"


def read_all(store: Store) -> None:
    for split in (store.train, store.validation, store.test):
        _ = split.inputs, split.labels


def descriptors_of(path: Path) -> list[Path]:
    gc.collect()
    return [link for link in Path("/proc/self/fd").iterdir() if link.exists() and link.samefile(path)]


class TestReading:
    def test_pixels_and_labels_come_back(self, path: Path) -> None:
        store = open_store(path)
        for split in (store.train, store.validation, store.test):
            images, labels = EXAMPLES[split.name]
            assert np.array_equal(split.inputs, images.reshape(-1, 784))
            assert np.array_equal(split.labels, labels)
            assert split.inputs.dtype == split.labels.dtype == np.uint8

    def test_images_are_the_bytes_over_255_in_float32(self, path: Path) -> None:
        images = open_store(path).train.images
        expected = (EXAMPLES["train"][0].reshape(-1, 784).astype(np.float64) / 255).astype(np.float32)
        assert images.dtype == np.float32
        assert np.array_equal(images, expected)
        assert 0 <= images.min() <= images.max() <= 1

    def test_one_hot_labels_are_1_at_the_label(self, path: Path) -> None:
        one_hot = open_store(path).test.one_hot
        assert one_hot.dtype == np.float32
        assert one_hot.shape == (20, 10)
        assert np.array_equal(one_hot.argmax(axis=1), EXAMPLES["test"][1])
        assert np.array_equal(one_hot.sum(axis=1), np.ones(20))

    def test_each_split_knows_its_length(self, path: Path) -> None:
        store = open_store(str(path))
        assert {name: len(getattr(store, name)) for name in SPLITS} == COUNTS
        assert store.train.num_examples == 300

    @pytest.mark.parametrize("size", [1, 784 * 7, 784 * 300, 784 * 1000])
    def test_blocks_give_every_example_once_and_in_order(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr(store_module, "_BLOCK_BYTES", size)
        train = open_store(path).train
        blocks = list(train.blocks())
        assert [start for start, _, _ in blocks] == list(range(0, 300, max(1, size // 784)))
        assert np.array_equal(np.concatenate([inputs for _, inputs, _ in blocks]), train.inputs)
        assert np.array_equal(np.concatenate([labels for _, _, labels in blocks]), train.labels)

    def test_the_description_comes_back(self, path: Path) -> None:
        store = open_store(path)
        assert (store.path, store.dataset, store.split_rule) == (path, "tiny", "by hand")
        assert store.image_shape == (28, 28)
        assert store.classes[3] == "class 3"
        assert store.sources == {"train-images": "0" * 64}

    def test_arrays_are_read_once_and_cannot_be_changed(self, path: Path) -> None:
        train = open_store(path).train
        assert train.inputs is train.inputs
        assert not train.inputs.flags.writeable

    def test_a_store_keeps_its_file_open_only_for_the_arrays_in_use(self, path: Path) -> None:
        store = open_store(path)
        assert not descriptors_of(path)
        read_all(store)
        assert descriptors_of(path)
        del store
        assert not descriptors_of(path)

    def test_a_missing_store_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            open_store(tmp_path / "store.h5")
        assert "mnist preprocess" in str(caught.value.hint)


class TestWriting:
    def test_the_digest_is_known_when_the_store_is_written(self, tmp_path: Path) -> None:
        digest = write(tmp_path / "store.h5")
        assert digest == content_digest(tmp_path / "store.h5") == open_store(tmp_path / "store.h5").digest

    def test_blocks_of_any_size_give_the_same_content(self, tmp_path: Path) -> None:
        assert write(tmp_path / "a.h5", block=128) == write(tmp_path / "b.h5", block=37)

    def test_equal_examples_give_equal_bytes(self, tmp_path: Path) -> None:
        write(tmp_path / "a.h5")
        write(tmp_path / "b.h5")
        assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()

    def test_any_hdf5_reader_finds_the_arrays_and_their_digests(self, path: Path) -> None:
        with h5py.File(path) as file:
            stated = json.loads(file.attrs["sha256"])
            for split, (images, labels) in EXAMPLES.items():
                for kind, rows in (("inputs", images.reshape(-1, 784)), ("labels", labels)):
                    array = file[split][kind]
                    assert array.dtype == np.uint8
                    assert np.array_equal(array, rows)
                    assert stated[f"/{split}/{kind}"] == hashlib.sha256(rows.tobytes()).hexdigest()

    def test_the_arrays_lie_in_one_piece_on_page_boundaries(self, path: Path) -> None:
        with h5py.File(path) as file:
            places = [(file[split][kind].id.get_offset(), file[split][kind]) for split in SPLITS for kind in KINDS]
            assert all(offset % 4096 == 0 and array.chunks is None for offset, array in places)
            expected = {offset: array[()].tobytes() for offset, array in places}
        with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            for offset, content in expected.items():
                assert whole[offset : offset + len(content)] == content

    @pytest.mark.parametrize(("pixels", "classes"), [(1, 2), (1, 256), (65_536, 2)])
    def test_the_smallest_and_the_largest_examples_come_back(self, tmp_path: Path, pixels: int, classes: int) -> None:
        random = np.random.default_rng(0)
        inputs = random.integers(0, 256, (5, pixels), dtype=np.uint8)
        labels = random.integers(0, classes, 5, dtype=np.uint8)
        names = [str(number) for number in range(classes)]
        with write_store(tmp_path / "store.h5", {"train": 5, "validation": 0, "test": 0}, pixels) as writer:
            writer.append("train", inputs, labels)
            writer.describe(StoreFacts(dataset="x", split_rule="", image_shape=(1, pixels), classes=names, sources={}))
        train = open_store(tmp_path / "store.h5").train
        assert np.array_equal(train.inputs, inputs)
        assert np.array_equal(train.labels, labels)

    def test_an_empty_split_is_written_and_read(self, tmp_path: Path) -> None:
        with write_store(tmp_path / "store.h5", {"train": 0, "validation": 0, "test": 0}, 784) as writer:
            writer.describe(StoreFacts(dataset="none", split_rule="", image_shape=(28, 28), classes=["0"], sources={}))
        validation = open_store(tmp_path / "store.h5").validation
        assert (validation.inputs.shape, validation.labels.shape) == ((0, 784), (0,))
        assert (validation.images.shape, validation.one_hot.shape) == ((0, 784), (0, 1))


class TestDamage:
    def altered(self, path: Path, change: Callable[[h5py.File], object]) -> FormatError:
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(FormatError) as caught:
            read_all(open_store(path))
        assert str(path) in caught.value.message
        return caught.value

    def test_a_pixel_changed_through_hdf5_does_not_match_its_sha256(self, path: Path) -> None:
        def change(file: h5py.File) -> None:
            file["train/inputs"][17, 300] ^= 1

        error = self.altered(path, change)
        assert "/train/inputs does not match its digest" in error.message
        assert "mnist preprocess" in str(error.hint)

    def test_a_byte_changed_in_the_file_does_not_match_its_sha256(self, path: Path) -> None:
        with h5py.File(path) as file:
            place = file["train/inputs"].id.get_offset()
        flip(path, place + 300 * 784 - 1)
        store = open_store(path)
        with pytest.raises(FormatError, match="/train/inputs does not match its digest") as caught:
            _ = store.train.inputs
        assert "mnist preprocess" in str(caught.value.hint)

    def test_a_file_cut_after_opening_is_refused_without_touching_its_pages(self, path: Path) -> None:
        store = open_store(path)
        with h5py.File(path) as file:
            place = file["train/inputs"].id.get_offset()
        os.truncate(path, place + 4096)
        with pytest.raises(FormatError, match="received a file that ends within it"):
            _ = store.train.inputs

    def test_a_file_that_grew_is_read_as_before(self, path: Path) -> None:
        store = open_store(path)
        with path.open("ab") as file:
            file.write(bytes(10_000))
        read_all(store)
        read_all(open_store(path))

    def test_a_file_that_is_gone_after_opening_says_how_to_make_one(self, path: Path) -> None:
        store = open_store(path)
        path.unlink()
        with pytest.raises(InputError, match="no such file") as caught:
            _ = store.train.inputs
        assert "mnist preprocess" in str(caught.value.hint)

    def test_a_store_of_the_older_schema_says_what_to_run(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            write_text(file, "schema", "mnist-store/1")
        with pytest.raises(FormatError) as caught:
            open_store(path)
        assert "expected schema 'mnist-store/2'; received 'mnist-store/1'" in caught.value.message
        assert caught.value.hint == "run 'mnist preprocess'"

    def test_a_label_that_is_out_of_range_is_named_with_its_position(self, tmp_path: Path) -> None:
        labels = np.array([1, 2, 10, 3], np.uint8)
        with write_store(tmp_path / "store.h5", {"train": 4, "validation": 0, "test": 0}, 4) as writer:
            writer.append("train", np.zeros((4, 4), np.uint8), labels)
            writer.describe(StoreFacts(dataset="x", split_rule="", image_shape=(2, 2), classes=["a"] * 10, sources={}))
        with pytest.raises(FormatError, match=r"/train/labels\[2\] is out of range") as caught:
            _ = open_store(tmp_path / "store.h5").train.labels
        assert caught.value.received == 10

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("no attribute 'schema'", lambda file: file.attrs.__delitem__("schema")),
            ("not a store of this version", lambda file: write_text(file, "schema", "mnist-store/3")),
            ("not JSON", lambda file: write_text(file, "classes", "[1,")),
            ("not JSON", lambda file: write_text(file, "classes", "[" * 100_000)),
            ("attribute of the store is wrong", lambda file: write_text(file, "classes", "[1]")),
            ("attribute of the store is wrong", lambda file: write_text(file, "sha256", "{}")),
            ("attribute of the store is wrong", lambda file: write_text(file, "shape", "[784]")),
            ("attribute of the store is wrong", lambda file: write_text(file, "shape", "[true, 784]")),
            ("attribute of the store is wrong", lambda file: write_text(file, "zero", "256")),
            ("zero and step do not fit the rows", lambda file: write_text(file, "zero", "80")),
            ("attribute of the store is wrong", lambda file: write_text(file, "step", "null")),
            ("has the wrong type", lambda file: write_text(file, "shape", "[28, 29]")),
            ("cannot be mapped", lambda file: replace_by_chunks(file, "train/inputs")),
            ("not the arrays of a store", lambda file: file.__delitem__("test/inputs")),
            ("not the arrays of a store", lambda file: file.create_dataset("more", data=1)),
            ("has the wrong type", lambda file: replace(file, "train/labels", np.zeros(299, np.uint8))),
            ("has the wrong type", lambda file: replace(file, "train/labels", np.zeros(300, np.int8))),
            ("has the wrong type", lambda file: replace(file, "train/labels", np.zeros((300, 1), np.uint8))),
            ("has the wrong type", lambda file: replace(file, "test/inputs", np.zeros((20, 28, 28), np.uint8))),
            ("symbolic or external link", lambda file: replace(file, "test/inputs", h5py.SoftLink("/train/inputs"))),
            ("symbolic or external link", lambda file: replace(file, "test", h5py.ExternalLink("other.h5", "/test"))),
        ],
    )
    def test_a_file_that_violates_the_schema_is_refused(
        self, path: Path, what: str, change: Callable[[h5py.File], object]
    ) -> None:
        assert what in self.altered(path, change).message

    def test_a_file_exchanged_after_opening_is_refused(self, path: Path) -> None:
        store = open_store(path)
        with h5py.File(path, "w") as file:
            file["other"] = 1
        with pytest.raises(FormatError):
            _ = store.train.inputs

    def test_random_damage_is_found_before_a_wrong_array_is_returned(self, path: Path) -> None:
        content = path.read_bytes()
        random = np.random.default_rng(0)
        found = 0
        for _ in range(150):
            damaged = np.frombuffer(content, np.uint8).copy()
            damaged[random.integers(0, len(content), 3)] ^= np.uint8(1 << random.integers(8))
            path.write_bytes(damaged.tobytes())
            try:
                store = open_store(path)
                for split in (store.train, store.validation, store.test):
                    assert np.array_equal(split.inputs.reshape(-1, 28, 28), EXAMPLES[split.name][0])
                    assert np.array_equal(split.labels, EXAMPLES[split.name][1])
            except FormatError:
                found += 1
        assert found > 100


def replace(file: h5py.File, name: str, value: object) -> None:
    del file[name]
    file[name] = value


def replace_by_chunks(file: h5py.File, name: str) -> None:
    rows = file[name][()]
    del file[name]
    file.create_dataset(name, data=rows, chunks=(10, 784))


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
