"""`mnist dataset`, and a data set of one's own in the pipeline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnist_cli.formats.store import open_store
from tests.support.command_line import mnist
from tests.support.data import write_tiny_dataset
from tests.support.own_data import unpack, write_photos


@pytest.fixture
def here(empty: Path) -> Path:
    """An empty folder, as the current one, with `photos` and `data` in it."""
    write_photos(empty / "photos")
    write_tiny_dataset(empty / "data")
    return empty


def test_list_gives_every_shipped_data_set(here: Path) -> None:
    documents = mnist("dataset", "list", "--json").document["datasets"]
    assert [entry["name"] for entry in documents][:2] == ["mnist", "synthetic"]
    assert {entry["name"]: entry["bytes"] for entry in documents}["mnist"] == 11594722
    assert "fashion-mnist    10       30.9 MB    Zalando's pictures of clothes" in mnist("dataset", "list").out


def test_show_gives_files_and_rules(here: Path) -> None:
    shown = mnist("dataset", "show", "emnist-letters", "--json").document
    assert (shown["transpose"], shown["first_label"], len(shown["classes"])) == (True, 1, 26)
    assert shown["archive"]["bytes"] == 561753746
    assert shown["files"]["test-labels"] == {
        "name": "emnist-letters-test-labels-idx1-ubyte.gz",
        "bytes": None,
        "sha256": None,
        "content": None,
    }
    assert "verified by its archive" in mnist("dataset", "show", "emnist-letters").out


def test_show_of_an_unknown_name_suggests_the_nearest(here: Path) -> None:
    assert "did you mean 'kmnist'?" in mnist("dataset", "show", "kmnst", code=3).err


@pytest.mark.parametrize(("folder", "kind"), [("photos", "images"), ("data", "files")])
def test_check_says_what_is_there(here: Path, folder: str, kind: str) -> None:
    assert mnist("dataset", "check", folder, "--json").document["kind"] == kind
    assert mnist("dataset", "check", folder).out.endswith(f"{folder}: ok\n")


def test_check_ends_with_5_where_there_are_problems(here: Path) -> None:
    (here / "photos" / "a" / "0.png").write_text("text")
    done = mnist("dataset", "check", "photos", "--json", code=5)
    assert done.document["problems"][0].startswith("a/0.png: expected a PNG")
    assert done.document["error"]["code"] == "input"


def test_init_writes_a_description_once(here: Path) -> None:
    done = mnist("dataset", "init", "photos", "--json")
    assert done.document["file"] == "photos/dataset.yaml"
    assert "exists already" in mnist("dataset", "init", "photos", code=2).err
    mnist("dataset", "init", "photos", "--force")


def test_init_of_nothing_writes_nothing(here: Path) -> None:
    (here / "nothing").mkdir()
    assert "cannot be described" in mnist("dataset", "init", "nothing", code=5).err
    assert not list((here / "nothing").iterdir())


CONFIGURATIONS = {
    "pictures": "dataset: {images: photos}\npreprocess: {validation_size: 0.25}\n",
    "files": "dataset: {files: data, classes: 10}\npreprocess: {validation_size: 0.25, split: stratified}\n",
    "a description": "dataset: photos/dataset.yaml\npreprocess: {validation_size: 2}\n",
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_own_data_go_through_the_pipeline_and_stay_up_to_date(here: Path, text: str) -> None:
    mnist("dataset", "init", "photos")
    (here / "pipeline.yaml").write_text(text, encoding="utf-8")
    mnist("run", "--to", "preprocess")
    store = open_store(here / "artifacts" / "preprocess" / "store.h5")
    assert len(store.train) + len(store.validation) + len(store.test) == (80 if "data" in text.split()[2] else 10)
    stages = mnist("status", "--json").document["stages"]
    assert [stage["state"] for stage in stages][:2] == ["fresh", "fresh"]


def test_own_data_that_changed_are_stale_and_elsewhere_they_are_not(here: Path) -> None:
    (here / "pipeline.yaml").write_text("dataset: {files: data, classes: 10}\n", encoding="utf-8")
    mnist("run", "--to", "preprocess", "--set", "preprocess.validation_size=5")
    unpack(here / "data")
    (here / "data").rename(here / "moved")
    (here / "pipeline.yaml").write_text("dataset: {files: moved, classes: 10}\n", encoding="utf-8")
    assert mnist("status", "--json").document["stages"][0]["state"] == "fresh"
    labels = here / "moved" / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([(content[-1] + 1) % 10]))
    assert mnist("status", "--json").document["stages"][0]["state"] == "stale"


def test_mistakes_in_a_mapping_are_reported_with_all_others(here: Path) -> None:
    (here / "pipeline.yaml").write_text(
        "dataset: {images: photos, fit: crop, sise: [1, 2]}\nseed: -1\n", encoding="utf-8"
    )
    done = mnist("config", "check", code=3)
    assert "pipeline.yaml:1:32: dataset.fit: expected resize or normalise; received 'crop'" in done.err
    assert "pipeline.yaml:1:44: dataset.sise: unknown key; did you mean 'size'?" in done.err
    assert "pipeline.yaml:2:7: seed: expected" in done.err


def test_a_folder_that_is_gone_is_an_input_error(here: Path) -> None:
    assert "none: no such folder" in mnist("fetch", "--set", "dataset={images: none}", code=5).err


def test_a_damaged_copy_of_own_data_is_made_again(here: Path) -> None:
    (here / "pipeline.yaml").write_text("dataset: {files: data, classes: 10}\n", encoding="utf-8")
    first = mnist("fetch", "--json").document["stages"][0]["outputs"]
    (here / "artifacts" / "fetch" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damage")
    assert mnist("status", "--json").document["stages"][0]["state"] == "corrupt"
    assert mnist("fetch", "--json").document["stages"][0]["outputs"] == first


def test_own_data_are_read_again_only_when_a_file_seems_to_have_changed(here: Path) -> None:
    (here / "pipeline.yaml").write_text("dataset: {files: data, classes: 10}\n", encoding="utf-8")
    unpack(here / "data")
    mnist("fetch")
    labels = here / "data" / "train-labels-idx1-ubyte"
    status = labels.stat()
    with labels.open("r+b") as file:  # in place: the same size and inode
        file.seek(-1, os.SEEK_END)
        file.write(b"\x0b")
    os.utime(labels, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert mnist("status", "--json").document["stages"][0]["state"] == "fresh"
    os.utime(labels, ns=(1, 1))
    assert mnist("status", "--json").document["stages"][0]["state"] == "stale"
