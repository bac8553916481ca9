"""--output of commands that write a file: nothing of value is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.errors import UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.output_files import check_output
from mnist_cli.stages import PIPELINE


@pytest.mark.parametrize("name", ["train/model.h5", "runs/x.html", "fetch/new", "eval/../train/manifest.json"])
def test_nothing_is_written_among_published_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "eval").mkdir()
    with pytest.raises(UsageError, match="expected a file outside"):
        check_output(tmp_path / name, Artifacts(tmp_path, PIPELINE), b"mark")


def test_a_link_into_the_published_files_is_seen(tmp_path: Path) -> None:
    (tmp_path / "artifacts/train").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "artifacts/train")
    with pytest.raises(UsageError, match="expected a file outside"):
        check_output(tmp_path / "link/page.html", Artifacts(tmp_path / "artifacts", PIPELINE), b"mark")


def test_a_file_of_another_kind_is_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "notes.txt"
    mine.write_text("of value", encoding="utf-8")
    with pytest.raises(UsageError, match="received a file of another kind"):
        check_output(mine, Artifacts(tmp_path / "artifacts", PIPELINE), b"mark")


@pytest.mark.parametrize("content", [b"", b"before the mark and after"])
def test_an_empty_file_and_an_older_one_of_the_same_kind_may_be(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.html").write_bytes(content)
    check_output(tmp_path / "page.html", Artifacts(tmp_path / "artifacts", PIPELINE), b"mark")
    check_output(tmp_path / "new.html", Artifacts(tmp_path / "artifacts", PIPELINE), b"mark")
