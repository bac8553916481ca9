"""Data set descriptions: the shipped ones, a user's own, and every mistake in one with its place."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.datasets import DATASETS, ROLES, Dataset, find_dataset
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.formats.byte_stream import content_sha256
from tests.support.data import write_idx, write_tiny_dataset
from tests.support.own_data import unpack, write_photos

SHIPPED = [
    "mnist",
    "synthetic",
    "emnist-balanced",
    "emnist-digits",
    "emnist-letters",
    "fashion-mnist",
    "kmnist",
    "qmnist",
]


class TestShipped:
    def test_the_default_and_the_one_without_a_network_come_first(self) -> None:
        assert list(DATASETS) == SHIPPED

    @pytest.mark.parametrize("name", SHIPPED)
    def test_each_says_its_classes_and_shape(self, name: str) -> None:
        dataset = find_dataset(name)
        assert dataset.name == name and dataset.shape == (28, 28) and dataset.title
        assert len(dataset.classes) == {"emnist-balanced": 47, "emnist-letters": 26}.get(name, 10)
        assert not dataset.is_own and dataset.is_generated == (name == "synthetic")

    @pytest.mark.parametrize("name", [name for name in SHIPPED if name != "synthetic"])
    def test_each_download_is_pinned_and_has_a_mirror_and_a_licence(self, name: str) -> None:
        dataset = find_dataset(name)
        downloads = [dataset.archive] if dataset.archive else dataset.files.values()
        assert list(dataset.files) == list(ROLES)
        assert all(file and file.size and len(file.sha256) == 64 for file in downloads)
        assert dataset.mirrors and dataset.licence and dataset.source

    def test_the_key_of_a_shipped_one_is_its_name(self) -> None:
        assert [DATASETS[name].identity(content_sha256) for name in SHIPPED] == SHIPPED

    def test_names_are_known_without_reading_a_file(self, tmp_path: Path) -> None:
        program = (
            "import sys; from mnist_cli.datasets import DATASETS; assert 'qmnist' in DATASETS and list(DATASETS)\n"
            "print('yaml' in sys.modules, 'mnist_cli.datasets.description' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "False"]


def refused(value: object, folder: Path = Path()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        find_dataset(value, folder)
    return list(caught.value.problems)


def described(folder: Path, text: str) -> list[str]:
    """Return the problems of a description, without the name of its file."""
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    return [problem.removeprefix(f"dataset: {folder}/own.yaml:") for problem in refused("own.yaml", folder)]


GOOD = "images: photos\n"


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "1:1: expected keys and values; received nothing (null)"),
            ("- a", "1:1: expected keys and values; received a list"),
            ("classes: [a, b]\n", "1:1: expected either files: or images:; received neither"),
            ("files: data\nimages: data\nclasses: 2\n", "1:1: expected either files: or images:; received both"),
            (GOOD + "classess: [a, b]\n", "2:11: classess: unknown key; did you mean 'classes'?"),
            (
                GOOD + "classes: [a]\n",
                "2:10: classes: expected 2 to 256 names, or their number; received a list of 1",
            ),
            (GOOD + "classes: [a, b, a]\n", "2:17: classes[2]: 'a' is already classes[0]"),
            (
                GOOD + "classes: [a, {b: 1}]\n",
                "2:14: classes[1]: expected a name of 1 to 100 characters; received keys and values",
            ),
            (GOOD + "classes: 1\n", "2:10: classes: expected 2 to 256 names, or their number; received 1"),
            ("files: data\n", "1:1: missing key 'classes': expected 2 to 256 names, or their number"),
            (
                GOOD + "name: ../x\n",
                "2:7: name: expected letters, digits, '.', '_' and '-', 64 at most; received '../x'",
            ),
            (GOOD + "name: mnist\n", "2:7: name: expected a name that no shipped data set has; received 'mnist'"),
            (GOOD + "size: 28\n", "2:7: size: expected [height, width], together 1 to 65,536 pixels; received 28"),
            (
                GOOD + "size: [300, 300]\n",
                "2:7: size: expected [height, width], together 1 to 65,536 pixels; received a list",
            ),
            (GOOD + "fit: crop\n", "2:6: fit: expected resize or normalise; received 'crop'"),
            (GOOD + "test_share: 1\n", "2:13: test_share: expected a number above 0 and below 1; received 1"),
            (GOOD + "seed: -1\n", "2:7: seed: expected a whole number from 0 to 2^63 - 1; received -1"),
            (GOOD + "title: 3\n", "2:8: title: expected text; received 3"),
            (GOOD + "shape: [2, 2]\n", "2:8: shape: only for IDX files"),
            (GOOD + "mirrors: []\n", "2:10: mirrors: only for files to download"),
            ("images: 3\n", "1:9: images: expected a folder; received 3"),
            ("files: data\nclasses: 2\nfit: resize\n", "3:6: fit: only for a folder of pictures (images: FOLDER)"),
            ("files: data\nclasses: 2\ntranspose: 1\n", "3:12: transpose: expected true or false; received 1"),
            (
                "files: data\nclasses: 2\nfirst_label: a\n",
                "3:14: first_label: expected a whole number from 0 to 2147483391; received 'a'",
            ),
            (
                "files: data\nclasses: 2\ncolumn: -1\n",
                "3:9: column: expected a whole number from 0 to 65535, or null; received -1",
            ),
            (
                "files: {test-images: {name: a/b}}\nclasses: 2\n",
                "1:29: files.test-images.name: expected the name of a file, without folders; received 'a/b'",
            ),
            (
                "files: {test-images: {name: a}}\nclasses: 2\n",
                "1:22: files.test-images: missing key 'size'",
            ),
            (
                "files: {test-images: {name: a}}\nclasses: 2\n",
                "1:8: files: missing key 'train-labels'",
            ),
            (
                "files: {test-image: {name: a}}\nclasses: 2\n",
                "1:21: files.test-image: unknown key; did you mean 'test-images'?",
            ),
            (
                "files: {test-images: {name: a, sha256: B1}}\nclasses: 2\n",
                "1:40: files.test-images.sha256: expected 64 hexadecimal digits in lower case; received 'B1'",
            ),
            (
                "files: {test-images: {name: a, size: -1}}\nclasses: 2\n",
                "1:38: files.test-images.size: expected a whole number from 0 to 10^15; received -1",
            ),
            (GOOD + "name: a\nname: b\n", "3:1: name: duplicate key; it is already set on line 2"),
            (GOOD + "fit: [\n", ""),
        ],
    )
    def test_a_mistake_is_reported_with_its_place(self, tmp_path: Path, text: str, problem: str) -> None:
        problems = described(tmp_path, text)
        assert problem in problems if problem else any(": not YAML" in each for each in problems)

    def test_all_mistakes_are_reported_at_once(self, tmp_path: Path) -> None:
        problems = described(tmp_path, "images: 1\nfit: 2\nseed: x\nsize: 3\ntest_share: 4\nclasses: [a]\nnmae: a\n")
        assert len(problems) == 7

    def test_a_mistake_in_a_mapping_is_named_with_its_key(self) -> None:
        assert refused({"images": "x", "fit": 1}) == ["dataset.fit: expected resize or normalise; received 1"]

    def test_a_folder_is_not_a_description_but_can_be_described(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        assert refused("photos", tmp_path)[0].endswith("a folder; 'mnist dataset init photos' describes it")

    def test_the_message_for_a_misspelt_name_suggests_the_right_one(self) -> None:
        assert refused("fashion_mnist")[0].endswith("received 'fashion_mnist'; did you mean 'fashion-mnist'?")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        assert refused("own.yaml", tmp_path) == [
            f"dataset: {tmp_path}/own.yaml: cannot be read: No such file or directory"
        ]

    @pytest.mark.parametrize("value", [3, None, [], 2.5, "~", "\0.yaml"])
    def test_another_kind_of_value_is_refused(self, value: object) -> None:
        if value == "\0.yaml":
            with pytest.raises((ConfigError, ValueError)):
                find_dataset(value)
            return
        assert refused(value)[0].startswith("dataset: expected one of mnist, synthetic, ")


class TestOwn:
    def test_paths_are_relative_to_the_description(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "own.yaml").write_text("files: data\nclasses: 3\nname: digits\n", encoding="utf-8")
        dataset = find_dataset("deep/own.yaml", tmp_path)
        assert (dataset.name, dataset.folder, dataset.classes) == (
            "digits",
            tmp_path / "deep" / "data",
            ("0", "1", "2"),
        )

    def test_a_mapping_is_a_description_too(self, tmp_path: Path) -> None:
        dataset = find_dataset({"images": "photos", "size": [40, 24], "fit": "normalise"}, tmp_path)
        assert dataset.pictures is not None and dataset.is_own and dataset.classes == ()
        assert (dataset.pictures.folder, dataset.pictures.size) == (tmp_path / "photos", (40, 24))

    def test_a_users_description_may_have_mirrors(self, tmp_path: Path) -> None:
        files = {role: {"name": f"{role}.gz", "size": 10, "sha256": "0" * 64} for role in ROLES}
        mirrors = ["https://example.org/data/", "folder"]
        dataset = find_dataset({"files": files, "classes": ["a", "b"], "mirrors": mirrors}, tmp_path)
        assert dataset.mirrors == ("https://example.org/data/", str(tmp_path / "folder"))
        assert dataset.files["test-labels"].sha256 == "0" * 64


def identity(value: Any, folder: Path) -> str:
    return find_dataset(value, folder).identity(content_sha256)


class TestIdentity:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        write_tiny_dataset(tmp_path / "data")
        return tmp_path / "data"

    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        write_photos(tmp_path / "photos")
        return tmp_path / "photos"

    def test_it_contains_no_path(self, data: Path, photos: Path, tmp_path: Path) -> None:
        for name, value in (("data", {"files": "data", "classes": 10}), ("photos", {"images": "photos"})):
            shutil.copytree(tmp_path / name, tmp_path / "elsewhere" / name)
            assert identity(value, tmp_path) == identity(value, tmp_path / "elsewhere")

    def test_it_does_not_depend_on_how_a_file_is_packed(self, data: Path, tmp_path: Path) -> None:
        value = {"files": "data", "classes": 10}
        packed = identity(value, tmp_path)
        unpack(data)
        assert identity(value, tmp_path) == packed

    def test_another_label_gives_another_identity(self, data: Path, tmp_path: Path) -> None:
        value = {"files": "data", "classes": 10}
        before = identity(value, tmp_path)
        write_idx(data / "t10k-labels-idx1-ubyte.gz", np.zeros(20, np.uint8))
        assert identity(value, tmp_path) != before

    @pytest.mark.parametrize(
        "change",
        [
            {"classes": 11},
            {"name": "digits"},
            {"transpose": True},
            {"first_label": 1},
            {"column": 0},
            {"shape": [28, 28]},
        ],
        ids=json.dumps,
    )
    def test_how_files_are_read_counts(self, data: Path, tmp_path: Path, change: dict[str, Any]) -> None:
        value: dict[str, Any] = {"files": "data", "classes": 10}
        assert identity(value | change, tmp_path) != identity(value, tmp_path)

    @pytest.mark.parametrize(
        "change",
        [{"classes": ["b", "a"]}, {"size": [3, 3]}, {"fit": "normalise"}, {"test_share": 0.4}, {"seed": 1}],
        ids=json.dumps,
    )
    def test_how_pictures_are_read_counts(self, photos: Path, tmp_path: Path, change: dict[str, Any]) -> None:
        value: dict[str, Any] = {"images": "photos"}
        assert identity(value | change, tmp_path) != identity(value, tmp_path)

    def test_a_picture_in_another_class_gives_another_identity(self, photos: Path, tmp_path: Path) -> None:
        before = identity({"images": "photos"}, tmp_path)
        (photos / "a" / "0.png").rename(photos / "b" / "0a.png")
        assert identity({"images": "photos"}, tmp_path) != before

    def test_a_folder_that_is_not_there_is_an_input_error(self, tmp_path: Path) -> None:
        for value in ({"images": "none"}, {"files": "none", "classes": 2}):
            with pytest.raises(InputError, match="none: no such folder"):
                identity(value, tmp_path)

    def test_digests_may_come_from_a_cache(self, data: Path, tmp_path: Path) -> None:
        asked: list[Path] = []

        def digest_of(path: Path) -> str:
            asked.append(path)
            return hashlib.sha256(path.name.encode()).hexdigest()

        dataset: Dataset = find_dataset({"files": "data", "classes": 10}, tmp_path)
        assert dataset.identity(digest_of).startswith("own@")
        assert len(asked) == 4
