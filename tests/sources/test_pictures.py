"""A folder of pictures becomes four IDX files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mnist_cli.datasets import FILE_NAMES, find_dataset
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.formats.byte_stream import content_sha256
from mnist_cli.pictures.normalize import normalize
from tests.support.progress import Listener
from tests.support.stages import fetch

Bytes = npt.NDArray[np.uint8]


def image(label: int, index: int) -> Bytes:
    """A picture that says which it is: 6 × 4 pixels of one grey level."""
    return np.full((6, 4), 40 * label + index, np.uint8)


def write(folder: Path, label: str, name: str, pixels: Bytes) -> None:
    (folder / label).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / label / name)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 10 pictures."""
    for label, name in enumerate(("cat", "dog")):
        for index in range(10):
            write(tmp_path / "photos", name, f"{index:02}.png", image(label, index))
    return tmp_path / "photos"


def fetched(photos: Path, listener: Listener | None = None, **rules: Any) -> dict[str, Bytes]:
    out = photos.parent / "out"
    value = {"images": photos.name, **rules}
    fetch(out, dataset=find_dataset(value, photos.parent), progress=listener or Listener())
    arrays = {}
    for role, name in FILE_NAMES.items():
        content = gzip.decompress((out / name).read_bytes())
        start = 4 + 4 * content[3]
        shape = np.frombuffer(content[4:start], ">u4")
        arrays[role] = np.frombuffer(content[start:], np.uint8).reshape(shape)
    return arrays


def greys(arrays: dict[str, Bytes], part: str) -> list[int]:
    return [int(one[0, 0]) for one in arrays[f"{part}-images"]]


def test_every_picture_is_there_once_with_the_label_of_its_folder(photos: Path) -> None:
    arrays = fetched(photos)
    images = np.concatenate([arrays["train-images"], arrays["test-images"]])
    labels = np.concatenate([arrays["train-labels"], arrays["test-labels"]])
    assert sorted(images[:, 0, 0].tolist()) == [*range(10), *range(40, 50)]
    assert all(np.array_equal(one, image(label, one[0, 0] % 40)) for one, label in zip(images, labels, strict=True))
    assert arrays["train-images"].shape == (16, 6, 4)


def test_a_share_of_each_class_is_for_testing(photos: Path) -> None:
    arrays = fetched(photos, test_share=0.3)
    assert np.bincount(arrays["test-labels"]).tolist() == [3, 3]
    assert np.bincount(arrays["train-labels"]).tolist() == [7, 7]


def test_the_choice_and_the_order_depend_only_on_the_seed(photos: Path) -> None:
    assert greys(fetched(photos), "test") == greys(fetched(photos), "test")
    assert greys(fetched(photos, seed=1), "train") != greys(fetched(photos), "train")


def test_the_classes_are_mixed(photos: Path) -> None:
    labels = fetched(photos)["train-labels"]
    assert np.flatnonzero(np.diff(labels.astype(int))).size > 3


def test_folders_may_say_which_are_for_testing(photos: Path) -> None:
    split = photos.parent / "split"
    (split / "test").mkdir(parents=True)
    photos.rename(split / "train")
    for label, name in enumerate(("cat", "dog")):
        write(split / "test", name, "x.png", image(label, 30))
    arrays = fetched(split)
    assert len(arrays["train-labels"]) == 20
    assert sorted(zip(greys(arrays, "test"), arrays["test-labels"].tolist(), strict=True)) == [(30, 0), (70, 1)]


def test_the_order_of_the_classes_may_be_given(photos: Path) -> None:
    arrays = fetched(photos, classes=["dog", "cat"])
    labels = arrays["train-labels"].tolist()
    assert [grey < 40 for grey in greys(arrays, "train")] == [label == 1 for label in labels]


@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tiff", "x.bmp", "x.gif", "X.PNG"])
def test_every_common_format_is_read_without_loss(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    pixels = {label: random.integers(0, 256, (5, 7), dtype=np.uint8) for label in "ab"}
    for label in "ab":
        for part in ("train", "test"):
            (tmp_path / "p" / part / label).mkdir(parents=True)
            options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
            Image.fromarray(pixels[label]).save(tmp_path / "p" / part / label / name, **options)
    arrays = fetched(tmp_path / "p")
    for label, one in zip(arrays["test-labels"], arrays["test-images"], strict=True):
        assert np.array_equal(one, pixels["ab"[label]])


def test_pictures_of_any_size_and_colour_are_scaled_to_one(photos: Path) -> None:
    write(photos, "cat", "tall.png", np.full((60, 4), 200, np.uint8))
    write(photos, "dog", "colour.png", np.full((6, 4, 3), 200, np.uint8))
    arrays = fetched(photos, size=[3, 2])
    assert arrays["train-images"].shape[1:] == arrays["test-images"].shape[1:] == (3, 2)
    assert sorted(greys(arrays, "train") + greys(arrays, "test"))[-2:] == [200, 200]


def test_normalise_makes_images_as_those_of_mnist(tmp_path: Path) -> None:
    paper = np.full((100, 80), 240, np.uint8)
    paper[20:70, 30:50] = 15
    for label in "ab":
        for part in ("train", "test"):
            write(tmp_path / "p" / part, label, "x.png", paper)
    arrays = fetched(tmp_path / "p", fit="normalise")
    assert np.array_equal(arrays["test-images"][0], normalize(paper, (28, 28)))


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:44] + bytes(8) + content[52:])


def text(path: Path) -> None:
    path.write_text("not a picture")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def larger(path: Path) -> None:
    Image.fromarray(np.zeros((7, 4), np.uint8)).save(path)


def animation(path: Path) -> None:
    frames = [Image.fromarray(np.full((6, 4), grey, np.uint8)) for grey in (0, 255)]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damage, "the picture is damaged"),
        (text, "received another kind of file"),
        (nothing, "received nothing"),
        (larger, "expected 6 × 4 pixels, like the first picture; received 7 × 4"),
        (animation, "received an animation"),
    ],
)
def test_a_picture_that_cannot_be_used_is_named_and_nothing_is_published(
    photos: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(photos / "dog" / "05.png")
    with pytest.raises(InputError, match=r"1 picture cannot be used\n  dog/05.png: ") as caught:
        fetched(photos)
    assert words in caught.value.message
    assert not list((photos.parent / "out").iterdir())


def test_twenty_of_many_bad_pictures_are_named(photos: Path) -> None:
    for index in range(30):
        (photos / "cat" / f"bad{index}.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        fetched(photos)
    lines = caught.value.message.splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("30 pictures cannot be used", 22, "  and 10 more")


def test_files_that_are_not_pictures_are_ignored_with_a_warning(photos: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("x")
    (photos / "cat" / ".DS_Store").write_bytes(b"x")
    (photos / ".thumbnails").mkdir()
    listener = Listener()
    assert len(fetched(photos, listener)["train-labels"]) == 16
    assert [warning.partition(": ")[2] for warning in listener.warnings] == ["ignored 1 file by suffix: notes.txt"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda photos: (photos / "bird").mkdir(), "bird: expected pictures; received none"),
        (lambda photos: (photos / "dog").rename(photos.parent / "dog"), "received 1 subfolder"),
    ],
)
def test_a_folder_that_is_not_one_of_classes_is_refused(
    photos: Path, change: Callable[[Path], object], words: str
) -> None:
    change(photos)
    with pytest.raises(InputError, match=words):
        fetched(photos)


def test_classes_that_are_not_the_subfolders_are_named(photos: Path) -> None:
    with pytest.raises(InputError, match="no subfolder 'bird'; the subfolder 'dog' is not a class of the data set"):
        fetched(photos, classes=["cat", "bird"])


def test_a_share_that_leaves_a_class_without_a_test_picture_is_refused(photos: Path) -> None:
    with pytest.raises(ConfigError, match=r"test_share 0\.01 of the 10 pictures of 'cat': expected at least 1"):
        fetched(photos, test_share=0.01)


def test_the_same_pictures_give_the_same_digests(photos: Path) -> None:
    out = photos.parent / "out"
    fetched(photos)
    first = [content_sha256(out / name) for name in FILE_NAMES.values()]
    fetched(photos)
    assert [content_sha256(out / name) for name in FILE_NAMES.values()] == first


def test_classes_that_only_one_of_two_folders_has_are_named(tmp_path: Path) -> None:
    for place in ("train/cat", "train/dog", "test/cat", "test/fox"):
        write(tmp_path / "photos", place, "0.png", image(0, 0))
    with pytest.raises(InputError, match="different classes: 'dog' in train/ only, 'fox' in test/ only"):
        fetch(tmp_path / "out", dataset={"images": str(tmp_path / "photos")})
