"""The stage preprocess: four IDX files in, one store out, everything that does not fit refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.errors import ConfigError, FormatError, InputError, Interrupted
from mnist_cli.formats.hdf5 import content_digest
from mnist_cli.formats.store import open_store
from mnist_cli.progress import Progress
from mnist_cli.stages.preprocess import PreprocessResult
from tests.support.data import tiny_examples, write_idx, write_tiny_dataset
from tests.support.stages import preprocess

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = FILE_NAMES.values()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    write_tiny_dataset(folder)
    return folder


def run(sources: Path, validation_size: int = 10) -> PreprocessResult:
    return preprocess(sources, sources.parent / "out", validation_size=validation_size)


def refused(sources: Path, name: str, array: npt.NDArray[Any]) -> FormatError:
    write_idx(sources / name, array)
    with pytest.raises(FormatError) as caught:
        run(sources)
    assert name in caught.value.message
    assert not list((sources.parent / "out").glob("*"))
    return caught.value


class TestResult:
    def test_the_first_training_images_become_the_validation_split(self, sources: Path) -> None:
        run(sources, validation_size=10)
        images, labels = tiny_examples(60, 0)
        store = open_store(sources.parent / "out" / "store.h5")
        assert np.array_equal(store.validation.inputs, images[:10].reshape(10, 784))
        assert np.array_equal(store.train.inputs, images[10:].reshape(50, 784))
        assert np.array_equal(np.concatenate([store.validation.labels, store.train.labels]), labels)
        assert np.array_equal(store.test.labels, tiny_examples(20, 1)[1])

    def test_the_result_says_what_was_written(self, sources: Path) -> None:
        result = run(sources)
        assert (result.dataset, result.train, result.validation, result.test) == ("mnist", 50, 10, 20)
        assert result.store_digest == content_digest(sources.parent / "out" / "store.h5")
        assert result.sources == {
            role: hashlib.sha256(gzip.decompress((sources / name).read_bytes())).hexdigest()
            for role, name in FILE_NAMES.items()
        }

    def test_the_store_describes_itself(self, sources: Path) -> None:
        result = run(sources)
        store = open_store(sources.parent / "out" / "store.h5")
        assert (store.dataset, store.image_shape, store.classes) == ("mnist", (28, 28), tuple("0123456789"))
        assert store.sources == result.sources
        assert "first 10 training images" in store.split_rule

    def test_the_same_files_give_the_same_bytes_in_any_folder(self, sources: Path, tmp_path: Path) -> None:
        contents = []
        for name in ("one", "another"):
            preprocess(str(sources), str(tmp_path / name), validation_size=10)
            contents.append((tmp_path / name / "store.h5").read_bytes())
        assert contents[0] == contents[1]

    def test_the_digest_of_a_tiny_run_is_known(self, sources: Path) -> None:
        # Pinned: when it moves, what the stage computes has changed, and its version has to be raised.
        write_idx_plain(sources)
        assert run(sources).store_digest == "7a4ef7e547d9fca48d3020bffe4196654334233cb73a3614655134b34d338b5d"

    def test_files_that_are_not_compressed_give_the_same_store(self, sources: Path) -> None:
        compressed = run(sources)
        write_idx_plain(sources)
        assert run(sources) == compressed

    def test_images_of_another_size_work(self, tmp_path: Path) -> None:
        for prefix, count in (("train", 5), ("t10k", 3)):
            write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", np.zeros((count, 2, 3), np.uint8))
            write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.zeros(count, np.uint8))
        preprocess(tmp_path, tmp_path, validation_size=1)
        store = open_store(tmp_path / "store.h5")
        assert (store.image_shape, store.train.inputs.shape) == ((2, 3), (4, 6))

    def test_progress_counts_every_image(self, sources: Path) -> None:
        calls: list[tuple[str, int | None]] = []

        class Listener(Progress):
            def start(self, label: str, total: int | None, unit: str) -> None:
                calls.append((unit, total))

            def update(self, done: int, detail: str = "") -> None:
                calls.append(("update", done))

            def finish(self) -> None:
                calls.append(("finish", None))

        preprocess(sources, sources.parent, validation_size=10, progress=Listener())
        assert calls[0] == ("images", 80)
        assert calls[-2:] == [("update", 80), ("finish", None)]

    def test_the_real_files_give_55000_5000_and_10000(self, real_mnist: Path, tmp_path: Path) -> None:
        result = preprocess(real_mnist, tmp_path)
        assert (result.train, result.validation, result.test) == (55_000, 5_000, 10_000)
        store = open_store(tmp_path / "store.h5")
        content = gzip.decompress((real_mnist / TRAIN_IMAGES).read_bytes())
        assert store.validation.inputs.tobytes() == content[16 : 16 + 5000 * 784]
        assert store.train.inputs.tobytes() == content[16 + 5000 * 784 :]


class TestValidationSize:
    @pytest.mark.parametrize("size", [0, 1, 59])
    def test_every_possible_size_works(self, sources: Path, size: int) -> None:
        result = run(sources, validation_size=size)
        assert (result.train, result.validation) == (60 - size, size)
        store = open_store(sources.parent / "out" / "store.h5")
        assert (len(store.validation.inputs), len(store.train.inputs)) == (size, 60 - size)

    @pytest.mark.parametrize("size", [60, 5000])
    def test_any_other_is_a_configuration_error_with_the_largest_possible(self, sources: Path, size: int) -> None:
        with pytest.raises(ConfigError, match=r"^preprocess\.validation_size: expected 0 to 59"):
            run(sources, validation_size=size)

    def test_an_unknown_data_set_is_a_configuration_error(self, sources: Path) -> None:
        with pytest.raises(ConfigError, match="mnist, synthetic"):
            preprocess(sources, sources, dataset="mnits")


class TestRefused:
    def test_all_missing_files_are_named_at_once(self, sources: Path) -> None:
        (sources / TRAIN_LABELS).unlink()
        (sources / TEST_IMAGES).unlink()
        with pytest.raises(InputError) as caught:
            run(sources)
        assert TRAIN_LABELS in caught.value.message
        assert TEST_IMAGES in caught.value.message
        assert TRAIN_IMAGES not in caught.value.message
        assert "mnist fetch" in str(caught.value.hint)

    def test_swapped_images_and_labels_are_recognised(self, sources: Path) -> None:
        images, labels = sources / TRAIN_IMAGES, sources / TRAIN_LABELS
        images.rename(sources / "x")
        labels.rename(images)
        (sources / "x").rename(labels)
        with pytest.raises(FormatError, match="seem to be swapped"):
            run(sources)

    def test_images_of_another_type(self, sources: Path) -> None:
        assert "not images" in refused(sources, TRAIN_IMAGES, np.zeros((60, 28, 28), np.int8)).message

    def test_images_without_a_second_side(self, sources: Path) -> None:
        assert "not images" in refused(sources, TEST_IMAGES, np.zeros((20, 784), np.uint8)).message

    def test_labels_of_another_type(self, sources: Path) -> None:
        assert "not labels" in refused(sources, TEST_LABELS, np.zeros(20, np.int32)).message

    def test_another_number_of_labels_than_images(self, sources: Path) -> None:
        error = refused(sources, TRAIN_LABELS, np.zeros(59, np.uint8))
        assert (error.expected, error.received) == ("60 labels", "59 labels")

    def test_no_images_at_all(self, sources: Path) -> None:
        assert "there are no images" in refused(sources, TEST_IMAGES, np.zeros((0, 28, 28), np.uint8)).message

    def test_test_images_of_another_size(self, sources: Path) -> None:
        error = refused(sources, TEST_IMAGES, np.zeros((20, 28, 27), np.uint8))
        assert (error.expected, error.received) == ("28 × 28 pixels", "28 × 27 pixels")

    @pytest.mark.parametrize("size", [(0, 28), (300, 300)])
    def test_images_without_pixels_or_with_too_many(self, sources: Path, size: tuple[int, int]) -> None:
        write_idx(sources / TEST_IMAGES, np.zeros((20, *size), np.uint8))
        assert "1 to 65,536 pixels" in refused(sources, TRAIN_IMAGES, np.zeros((60, *size), np.uint8)).message

    @pytest.mark.parametrize("position", [0, 9, 10, 59])
    def test_a_label_out_of_range_is_named_with_its_place(self, sources: Path, position: int) -> None:
        labels = np.zeros(60, np.uint8)
        labels[position:] = 11
        error = refused(sources, TRAIN_LABELS, labels)
        assert f"label {position} is out of range" in error.message
        assert (error.received, error.offset) == (11, 8 + position)

    def test_damage_at_the_very_end_leaves_the_old_store(self, sources: Path) -> None:
        run(sources)
        before = (sources.parent / "out" / "store.h5").read_bytes()
        broken = (sources / TEST_IMAGES).read_bytes()[:-1]
        (sources / TEST_IMAGES).write_bytes(broken)
        with pytest.raises(FormatError, match="end too early"):
            run(sources)
        assert (sources.parent / "out" / "store.h5").read_bytes() == before
        assert len(list((sources.parent / "out").iterdir())) == 1

    def test_trailing_bytes_after_the_labels_are_refused(self, sources: Path) -> None:
        with (sources / TEST_LABELS).open("ab") as file:
            file.write(b"\0")
        with pytest.raises(FormatError, match="after the gzip data"):
            run(sources)


class TestBehaviour:
    def test_a_signal_ends_the_work_between_two_blocks(self, sources: Path) -> None:
        class Killer(Progress):
            def update(self, done: int, detail: str = "") -> None:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted) as caught:
            preprocess(sources, sources.parent / "out", validation_size=10, progress=Killer())
        assert caught.value.exit_code == 143
        assert not list((sources.parent / "out").iterdir())

    def test_memory_does_not_grow_with_the_data_set(self, tmp_path: Path) -> None:
        peaks = []
        for count in (6_000, 30_000):
            for prefix in ("train", "t10k"):
                write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", np.zeros((count, 28, 28), np.uint8))
                write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.zeros(count, np.uint8))
            tracemalloc.start()
            preprocess(tmp_path, tmp_path)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.1 * peaks[0]

    def test_the_whole_process_stays_below_200_megabytes_on_the_real_files(
        self, real_mnist: Path, tmp_path: Path
    ) -> None:
        # Not ru_maxrss: it begins with what the process that started this one had.
        code = (
            "import sys; from pathlib import Path; from mnist_cli.stages.preprocess import preprocess\n"
            "preprocess(sys.argv[1], sys.argv[2])\n"
            "assert 'tensorflow' not in sys.modules\n"
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(real_mnist), str(tmp_path)], check=True, capture_output=True, text=True
        )
        assert int(done.stdout) * 1024 < 200_000_000


def write_idx_plain(sources: Path) -> None:
    """Replace the four files by the same ones without compression, whose bytes depend on no zlib."""
    for name in FILE_NAMES.values():
        content = gzip.decompress((sources / name).read_bytes())
        (sources / name).unlink()
        (sources / name.removesuffix(".gz")).write_bytes(content)
