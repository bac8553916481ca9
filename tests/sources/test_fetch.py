"""The stage as a whole: what is there already, folders as mirrors, and when files are published."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mnist_cli.datasets import DATASETS, FILE_NAMES
from mnist_cli.errors import ConfigError, FetchError, UsageError
from mnist_cli.files import sha256_of
from mnist_cli.progress import Progress
from tests.support.mirror_server import MirrorServer, cut_after, refuses
from tests.support.stages import fetch

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


def test_a_folder_gives_the_files_without_any_request(small: Small) -> None:
    folder = small.folder()
    result = small.fetch(folder)
    assert small.published() == small.files
    assert (result.dataset, result.requests, result.bytes_received) == ("small", 0, 0)
    assert [file.source for file in result.files] == [str(folder)] * 4
    assert [(file.name, file.size) for file in result.files] == [(n, len(c)) for n, c in small.files.items()]


def test_a_file_address_gives_the_files(small: Small) -> None:
    folder = small.folder("with space")
    result = small.fetch(folder.as_uri() + "/")
    assert small.published() == small.files
    assert result.files[0].source == folder.as_uri() + "/"


def test_a_relative_folder_and_one_below_home_give_the_files(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.folder("data")
    monkeypatch.chdir(small.root)
    assert small.fetch("data").files[0].source == "data"
    monkeypatch.setenv("HOME", str(small.root))
    for name in small.files:
        (small.out / name).unlink()
    assert small.fetch("~/data").files[0].source == "~/data"


def test_files_that_are_there_and_right_cost_no_request(small: Small, mirror: MirrorServer) -> None:
    small.folder("out")
    result = small.fetch(mirror.url)
    assert mirror.requests == []
    assert [file.source for file in result.files] == ["already there"] * 4
    assert small.listener.tasks == []


def test_files_that_exist_elsewhere_are_not_copied(small: Small, mirror: MirrorServer) -> None:
    existing = small.folder("published")
    (existing / small.images).unlink()
    result = small.fetch(mirror.url, existing=existing, partial=small.root / "unfinished")
    assert list(small.published()) == [small.images]
    assert result.requests == 1
    assert [file.source for file in result.files] == [mirror.url] + ["already there"] * 3
    assert not (small.root / "unfinished").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><p>moved", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-LFS pointer"),
        (b"not gzip at all", "another file (15 of"),
    ],
)
def test_a_wrong_file_is_reported_and_replaced(small: Small, content: bytes, said: str) -> None:
    small.out.mkdir()
    (small.out / small.images).write_bytes(content)
    small.fetch(small.folder())
    [warning] = small.listener.warnings
    assert f"{small.images} is {said}" in warning
    assert small.published() == small.files


def test_a_truncated_file_is_reported_with_its_size(small: Small) -> None:
    small.folder("out")
    content = small.files[small.images]
    (small.out / small.images).write_bytes(content[:100])
    small.fetch(small.folder())
    assert f"a truncated file (100 of {len(content):,} bytes)" in small.listener.warnings[0]


def test_one_flipped_bit_is_found_and_repaired(small: Small) -> None:
    small.folder("out")
    damaged = bytearray(small.files[small.images])
    damaged[-1000] ^= 1
    (small.out / small.images).write_bytes(damaged)
    small.fetch(small.folder())
    assert small.published() == small.files


def test_a_failure_at_the_last_file_does_not_change_the_old_files(small: Small, mirror: MirrorServer) -> None:
    old = {name: b"old " + name.encode() for name in small.files}
    small.out.mkdir()
    for name, content in old.items():
        (small.out / name).write_bytes(content)
    mirror.plan(refuses(404), name=FILE_NAMES["test-labels"])
    with pytest.raises(FetchError):
        small.fetch(mirror.url)
    assert small.published() == old


def test_complete_files_of_a_failed_call_are_not_fetched_again(small: Small, mirror: MirrorServer) -> None:
    last = FILE_NAMES["test-labels"]
    mirror.plan(refuses(404), name=last)
    with pytest.raises(FetchError):
        small.fetch(mirror.url)
    mirror.plan(cut_after(10**9), name=last)
    result = small.fetch(mirror.url)
    assert result.requests == 1
    assert [file.source for file in result.files] == ["already there"] * 3 + [mirror.url]
    assert small.published() == small.files


def test_the_partial_folder_is_gone_when_all_is_published(small: Small, mirror: MirrorServer) -> None:
    small.begin(small.files[small.images][:10])
    small.fetch(mirror.url)
    assert not small.part.parent.exists()


def test_a_folder_without_the_file_gives_way_to_the_next_mirror(small: Small) -> None:
    empty = small.root / "empty"
    empty.mkdir()
    result = small.fetch(empty, small.root / "nowhere", small.folder())
    assert result.files[0].source.endswith("folder")
    assert "empty: the folder does not have this file; trying" in small.listener.notes[0]
    assert "nowhere: there is no such folder; trying" in small.listener.notes[1]


def test_a_folder_with_a_wrong_file_gives_way_to_the_next_mirror(small: Small) -> None:
    wrong = small.folder("wrong")
    content = small.files[small.images]
    (wrong / small.images).write_bytes(content[:-9] + b"123456789")
    small.fetch(wrong, small.folder())
    assert "has a damaged file: the size is right, the SHA-256 is not" in small.listener.notes[0]
    assert small.published() == small.files


def test_a_pipe_in_a_folder_does_not_hang(small: Small) -> None:
    folder = small.root / "pipes"
    folder.mkdir()
    os.mkfifo(folder / small.images)
    small.fetch(folder, small.folder())
    assert "has something of this name that is not a file" in small.listener.notes[0]
    assert small.published() == small.files


def test_an_unreadable_folder_gives_way_to_the_next_mirror(small: Small) -> None:
    small.fetch(small.root / ("x" * 256), small.folder())
    assert "cannot be read: File name too long" in small.listener.notes[0]
    assert small.published() == small.files


def test_progress_has_one_task_for_each_file_in_bytes(small: Small, mirror: MirrorServer) -> None:
    small.fetch(mirror.url)
    assert small.listener.tasks == [(name, len(content), "B") for name, content in small.files.items()]
    assert small.listener.open_tasks == 0
    assert {len(content) for content in small.files.values()} <= set(small.listener.updates)


def test_if_all_mirrors_fail_each_has_one_line_and_the_hint_says_what_to_do(small: Small, mirror: MirrorServer) -> None:
    mirror.plan(refuses(403))
    with pytest.raises(FetchError) as caught:
        small.fetch(mirror.url, small.root / "nowhere")
    assert caught.value.message.splitlines() == [
        f"no mirror provided {small.images}",
        f"  {mirror.url}: HTTP 403 Forbidden",
        f"  {small.root}/nowhere: there is no such folder",
    ]
    assert "--mirror FOLDER" in str(caught.value.hint) and "--dataset synthetic" in str(caught.value.hint)
    assert caught.value.exit_code == 8


def test_a_dataset_without_any_mirror_says_so(small: Small) -> None:
    with pytest.raises(FetchError, match="no mirror is known"):
        small.fetch()


def test_an_unknown_dataset_is_a_configuration_error_that_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"expected one of mnist, synthetic, .*; received 'mnsit'; did you mean 'mnist'"
    ):
        fetch(tmp_path / "out", dataset="mnsit")
    assert not (tmp_path / "out").exists()


def test_an_unusable_mirror_is_a_usage_error_before_any_work(small: Small, mirror: MirrorServer) -> None:
    with pytest.raises(UsageError, match="ftp:// is not supported"):
        small.fetch(mirror.url, "ftp://example.org/mnist")
    assert mirror.requests == [] and not small.out.exists()


def test_a_disk_that_cannot_be_written_is_reported_as_such(small: Small, mirror: MirrorServer) -> None:
    small.out.mkdir()
    (small.out / "partial").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="partial"):
        small.fetch(mirror.url)


def test_generated_files_are_published_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(folder: Path, *, seed: int, progress: Progress) -> None:
        for name in FILE_NAMES.values():
            (folder / name).write_bytes(f"{name} {seed}".encode())

    from mnist_cli.sources import synthetic

    monkeypatch.setattr(synthetic, "write_synthetic", write)
    result = fetch(tmp_path, dataset="synthetic", seed=7)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {n: f"{n} 7" for n in FILE_NAMES.values()}
    assert [file.source for file in result.files] == ["generated"] * 4
    assert result.files[0].sha256 == sha256_of(tmp_path / FILE_NAMES["train-images"])
    assert result.requests == 0


def test_the_real_files_come_quickly_from_a_folder(real_mnist: Path, tmp_path: Path) -> None:
    begin = time.perf_counter()
    result = fetch(tmp_path / "out", mirrors=[str(real_mnist)])
    seconds = time.perf_counter() - begin
    pinned = DATASETS["mnist"].files.values()
    assert [sha256_of(tmp_path / "out" / file.name) for file in result.files] == [file.sha256 for file in pinned]
    assert [file.sha256 for file in result.files] == [file.content for file in pinned]
    assert seconds < 2  # about 0.03 s on a quiet machine


def test_neither_requests_nor_numpy_is_imported_for_a_folder(small: Small) -> None:
    script = (
        "import sys\n"
        "from mnist_cli.stages.fetch import fetch\n"
        "from mnist_cli.errors import FetchError\n"
        "from mnist_cli import datasets\n"
        "from dataclasses import replace\n"
        "datasets.DATASETS['mnist'] = replace(datasets.DATASETS['mnist'], mirrors=())\n"
        "try:\n"
        "    fetch(sys.argv[1], mirrors=[sys.argv[2]])\n"
        "except FetchError:\n"
        "    print(*sorted({'requests', 'urllib3', 'numpy', 'PIL'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script, str(small.out), str(small.folder())]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "\n"
