"""The same data in other wrappers: found in a folder when the content is right, and never otherwise."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.datasets import DATASETS, FILE_NAMES
from mnist_cli.errors import FetchError
from mnist_cli.tutorial import read_data_sets
from tests.support.fetch_fixtures import Small
from tests.support.mirror_server import MirrorServer
from tests.support.stages import fetch

ARRAYS = {
    "train-images": "x_train",
    "train-labels": "y_train",
    "test-images": "x_test",
    "test-labels": "y_test",
}


@pytest.fixture
def pinned(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The small data set, with the digests of its contents pinned too."""
    pin_contents(small, monkeypatch)
    return small


def pin_contents(small: Small, monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    table = DATASETS["small"]
    files = {
        role: dataclasses.replace(file, content=sha256(gzip.decompress(small.files[file.name])))
        for role, file in table.files.items()
    }
    monkeypatch.setitem(DATASETS, "small", dataclasses.replace(table, files=files, **changes))  # type: ignore[arg-type]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def contents(small: Small) -> dict[str, bytes]:
    return {name: gzip.decompress(content) for name, content in small.files.items()}


def published(small: Small) -> dict[str, bytes]:
    return {name: gzip.decompress(content) for name, content in small.published().items()}


def new_folder(small: Small, name: str = "folder") -> Path:
    folder = small.root / name
    folder.mkdir(parents=True)
    return folder


def repacked(small: Small, folder: Path) -> None:
    for name, content in contents(small).items():
        (folder / name).write_bytes(gzip.compress(content, 1, mtime=7))


def unpacked(small: Small, folder: Path) -> None:
    for name, content in contents(small).items():
        (folder / name.removesuffix(".gz")).write_bytes(content)


def dotted(small: Small, folder: Path) -> None:
    for name, content in small.files.items():
        (folder / name.replace("-idx", ".idx")).write_bytes(content)


def dotted_and_unpacked(small: Small, folder: Path) -> None:
    for name, content in contents(small).items():
        (folder / name.replace("-idx", ".idx").removesuffix(".gz")).write_bytes(content)


def raw(small: Small, folder: Path) -> None:
    (folder / "raw").mkdir()
    unpacked(small, folder / "raw")


def torchvision(small: Small, folder: Path) -> None:
    (folder / "MNIST" / "raw").mkdir(parents=True)
    unpacked(small, folder / "MNIST" / "raw")


def zipped(small: Small, folder: Path) -> None:
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for name, content in small.files.items():
            archive.writestr(f"data/{name}", content)


def zipped_and_unpacked(small: Small, folder: Path) -> None:
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents(small).items():
            archive.writestr(name.removesuffix(".gz"), content)


def keras(small: Small, folder: Path) -> None:
    arrays: dict[str, Any] = {}
    for role, name in FILE_NAMES.items():
        content = contents(small)[name]
        start = 4 + 4 * content[3]
        shape = np.frombuffer(content[4:start], ">u4")
        arrays[ARRAYS[role]] = np.frombuffer(content[start:], np.uint8).reshape(shape)
    np.savez(folder / "mnist.npz", **arrays)


WRAPPERS: list[Callable[[Small, Path], None]] = [
    repacked,
    unpacked,
    dotted,
    dotted_and_unpacked,
    raw,
    torchvision,
    zipped,
    zipped_and_unpacked,
    keras,
]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: wrap.__name__)
def test_every_wrapper_gives_the_content_under_the_fixed_names(
    pinned: Small, wrap: Callable[[Small, Path], None]
) -> None:
    folder = new_folder(pinned)
    wrap(pinned, folder)
    result = pinned.fetch(folder)
    assert published(pinned) == contents(pinned)
    assert {file.name: file.sha256 for file in result.files} == {n: sha256(c) for n, c in contents(pinned).items()}
    assert [file.source for file in result.files] == [str(folder)] * 4


@pytest.mark.parametrize(
    ("wrap", "words"),
    [(unpacked, "train-images-idx3-ubyte"), (keras, "mnist.npz (x_train)"), (torchvision, "MNIST/raw/train-images-")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_note_says_what_was_found(pinned: Small, wrap: Callable[[Small, Path], None], words: str) -> None:
    folder = new_folder(pinned)
    wrap(pinned, folder)
    pinned.fetch(folder)
    assert f"found in {words}" in pinned.listener.notes[0]
    assert pinned.listener.notes[0].endswith("the content is verified")


@pytest.mark.parametrize("wrap", [keras, zipped], ids=lambda wrap: wrap.__name__)
def test_an_archive_may_be_named_as_the_mirror(pinned: Small, wrap: Callable[[Small, Path], None]) -> None:
    folder = new_folder(pinned)
    wrap(pinned, folder)
    pinned.fetch(next(folder.iterdir()))
    assert published(pinned) == contents(pinned)


def test_the_file_as_published_is_copied_and_not_packed_again(pinned: Small) -> None:
    pinned.fetch(pinned.folder())
    assert pinned.published() == pinned.files
    assert pinned.listener.notes == []


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: wrap.__name__)
def test_one_other_bit_of_content_is_refused_in_every_wrapper(
    pinned: Small, wrap: Callable[[Small, Path], None]
) -> None:
    content = bytearray(contents(pinned)[pinned.images])
    content[-1] ^= 1
    other = Small(pinned.root, {**pinned.files, pinned.images: gzip.compress(content)})
    folder = new_folder(pinned)
    wrap(other, folder)
    with pytest.raises(FetchError, match=f"no mirror provided {pinned.images}"):
        pinned.fetch(folder)
    assert pinned.published() == {}


def test_without_a_pinned_content_only_the_published_file_counts(small: Small) -> None:
    folder = new_folder(small)
    unpacked(small, folder)
    with pytest.raises(FetchError):
        small.fetch(folder)


def test_a_wrong_wrapper_gives_way_to_the_next_one(pinned: Small) -> None:
    folder = new_folder(pinned)
    repacked(pinned, folder)
    (folder / pinned.images).write_bytes(b"<html>moved</html>")
    keras(pinned, folder)
    pinned.fetch(folder)
    assert published(pinned) == contents(pinned)
    assert "mnist.npz (x_train)" in pinned.listener.notes[0]


def test_files_that_were_repacked_in_place_count_as_there(pinned: Small, mirror: MirrorServer) -> None:
    repacked(pinned, new_folder(pinned, "out"))
    result = pinned.fetch(mirror.url)
    assert [file.source for file in result.files] == ["already there"] * 4
    assert mirror.requests == [] and pinned.listener.warnings == []


def test_wrappers_in_the_folder_itself_are_used_before_any_mirror(pinned: Small, mirror: MirrorServer) -> None:
    keras(pinned, new_folder(pinned, "out"))
    pinned.fetch(mirror.url)
    assert mirror.requests == []
    assert {n: c for n, c in pinned.published().items() if n in FILE_NAMES.values()}.keys() == pinned.files.keys()


def hostile(name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"PK\x03\x04 not a zip archive",
        hostile("train-images-idx3-ubyte", bytes(80_000_000)),
        hostile("train-images-idx3-ubyte.gz", gzip.compress(bytes(80_000_000))),
        hostile("train-images-idx3-ubyte.gz", b"\x1f\x8b damaged"),
        hostile("train-images-idx3-ubyte", b"content")[:-30],
    ],
    ids=["empty", "garbage", "bomb", "packed bomb", "damaged member", "truncated"],
)
@pytest.mark.parametrize("suffix", ["zip", "npz"])
def test_a_hostile_archive_is_ignored(pinned: Small, archive: bytes, suffix: str) -> None:
    folder = new_folder(pinned)
    (folder / f"data.{suffix}").write_bytes(archive)
    pinned.fetch(folder, pinned.folder("good"))
    assert pinned.published() == pinned.files


def test_an_array_of_python_objects_is_never_unpickled(pinned: Small) -> None:
    folder = new_folder(pinned)
    np.savez(folder / "mnist.npz", x_train=np.array([print, print], object), allow_pickle=True)
    with pytest.raises(FetchError):
        pinned.fetch(folder)


def test_a_member_that_climbs_out_of_the_archive_writes_nowhere_else(pinned: Small) -> None:
    folder = new_folder(pinned)
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for name, content in pinned.files.items():
            archive.writestr(f"../../../{name}", content)
    before = sorted(pinned.root.rglob("*"))
    pinned.fetch(folder)
    new = set(pinned.root.rglob("*")) - {*before}
    assert new == {pinned.out, *(pinned.out / name for name in pinned.files)}


def test_a_data_set_in_one_archive_is_unpacked_from_it(
    small: Small, monkeypatch: pytest.MonkeyPatch, mirror: MirrorServer
) -> None:
    archive, folder = archived(small, monkeypatch)
    result = small.fetch(folder)
    assert small.published() == small.files
    assert {file.name: file.sha256 for file in result.files} == {n: sha256(c) for n, c in contents(small).items()}
    shutil.rmtree(small.out)
    mirror.files["gzip.zip"] = archive
    assert small.fetch(mirror.url).requests == 1
    assert small.published() == small.files


def test_a_damaged_archive_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, folder = archived(small, monkeypatch)
    (folder / "gzip.zip").write_bytes(archive[:-1] + b"x")
    with pytest.raises(FetchError, match="SHA-256"):
        small.fetch(folder)
    assert small.published() == {}


def test_pins_hold_the_files_of_an_archive_to_their_earlier_content(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = archived(small, monkeypatch)
    small.fetch(folder)
    pins = {name: sha256(content) for name, content in contents(small).items()}
    assert [file.source for file in small.fetch(pins=pins).files] == ["already there"] * 4
    (small.out / small.images).write_bytes(gzip.compress(b"other"))
    with pytest.raises(FetchError, match="unexpected content"):
        small.fetch(folder, pins={**pins, small.images: sha256(b"what was there once")})


def archived(small: Small, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Path]:
    """Make the small data set one that lies in an archive whose members are not pinned, as EMNIST is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in small.files.items():
            archive.writestr(f"gzip/small-{name}", content)
    table = DATASETS["small"]
    members = {
        role: dataclasses.replace(f, name=f"small-{f.name}", size=0, sha256="") for role, f in table.files.items()
    }
    whole = type(members["train-images"])("gzip.zip", len(file.getvalue()), sha256(file.getvalue()))
    monkeypatch.setitem(DATASETS, "small", dataclasses.replace(table, files=members, archive=whole))
    folder = new_folder(small)
    (folder / "gzip.zip").write_bytes(file.getvalue())
    return file.getvalue(), folder


@pytest.mark.parametrize("wrap", ["dotted", "raw", "npz"])
def test_the_real_files_are_found_in_other_wrappers(real_mnist: Path, tmp_path: Path, wrap: str) -> None:
    folder = tmp_path / "MNIST_data"
    real = Small(tmp_path, {name: (real_mnist / name).read_bytes() for name in FILE_NAMES.values()})
    folder.mkdir()
    {"dotted": dotted, "raw": torchvision, "npz": keras}[wrap](real, folder)
    data = read_data_sets(folder, mirrors=[str(tmp_path / "nowhere")])
    assert [part.num_examples for part in data] == [55000, 5000, 10000]


def test_the_real_files_packed_again_give_the_same_digests(real_mnist: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    for name in FILE_NAMES.values():
        content = gzip.decompress((real_mnist / name).read_bytes())
        (tmp_path / "again" / name).write_bytes(gzip.compress(content, 1))
    result = fetch(tmp_path / "out", mirrors=[str(tmp_path / "again")])
    assert [file.sha256 for file in result.files] == [file.content for file in DATASETS["mnist"].files.values()]
