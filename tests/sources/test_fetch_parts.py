"""The parts of a fetch by themselves: reading a mirror, naming a wrong file, and measuring speed."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mnist_cli.datasets import DATASETS, DataFile
from mnist_cli.errors import UsageError
from mnist_cli.sources.failures import DeadlineExceeded, MirrorError
from mnist_cli.sources.identify import description_of
from mnist_cli.sources.mirrors import FolderMirror, WebMirror, parse_mirror
from mnist_cli.sources.time_limits import Clock, SpeedGauge, TimeLimits

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


WANTED = DataFile("train-images-idx3-ubyte.gz", 1000, "0" * 64)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org", "https://example.org/f.gz"),
        ("HTTPS://Example.org/a", "https://example.org/a/f.gz"),
        ("http://example.org:8080/a/", "http://example.org:8080/a/f.gz"),
        ("http://[::1]:80/", "http://[::1]:80/f.gz"),
        ("https://example.org/a?sig=1%2F2&x", "https://example.org/a/f.gz?sig=1%2F2&x"),
        ("https://u:p@example.org/a/#top", "https://example.org/a/f.gz"),
    ],
)
def test_a_web_mirror_puts_the_name_into_the_path(text: str, url: str) -> None:
    mirror = parse_mirror(text)
    assert isinstance(mirror, WebMirror)
    assert mirror.url("f.gz") == url


def test_a_web_mirror_shows_neither_password_nor_query() -> None:
    mirror = parse_mirror("https://u:p%40w@example.org:8443/a/?sig=s")
    assert isinstance(mirror, WebMirror)
    assert mirror.auth == ("u", "p@w")
    assert mirror.name == "https://example.org:8443/a/"
    assert "p@w" not in repr(mirror) and "sig" not in repr(mirror)


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("data/mnist", "data/mnist"),
        ("a:b", "a:b"),
        ("..", ".."),
        ("file:///data/my%20files/", "/data/my files"),
        ("file://localhost/data", "/data"),
        ("file:/data", "/data"),
    ],
)
def test_a_folder_is_a_folder(text: str, folder: str) -> None:
    mirror = parse_mirror(text)
    assert isinstance(mirror, FolderMirror)
    assert mirror.folder == Path(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a\0b",
        "ftp://me:SECRET@example.org/",
        "s3://bucket/mnist?SECRET",
        "http://",
        "https:///path?SECRET",
        "http:example.org",
        "http://me:SECRET@example.org:notaport/",
        "http://me:SECRET@example.org:99999/",
        "http://[::1/SECRET",
        "file://server/share",
        "file:relative",
        "file:///a%00b",
        "~nobody-has-this-name/mnist",
        "evil\x1b[2J://x",
        "ftp://\x1b[2J/\u202e",
    ],
)
def test_an_invalid_mirror_is_a_usage_error_without_secrets_or_control_characters(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        mirror = parse_mirror(text)
        # Not an address by its first characters, so a folder of an odd name; it has to be shown safely.
        assert mirror.name.isprintable() and "\x1b" in text
        raise UsageError("as expected")
    assert "SECRET" not in caught.value.message
    assert caught.value.message.isprintable()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


def test_an_uncompressed_idx_file_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, bytes([0, 0, 8, 3]) + b"\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c" + bytes(99))
    assert description_of(path, WANTED) == "an uncompressed IDX file (60,000 × 28 × 28)"


def test_another_whole_idx_file_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 5]) + b"12345"))
    assert description_of(path, WANTED) == "another IDX file (5)"


def test_a_file_of_the_same_data_set_under_the_wrong_name_is_recognised(small: Small) -> None:
    labels = small.folder() / "t10k-labels-idx1-ubyte.gz"
    assert description_of(labels, WANTED) == "t10k-labels-idx1-ubyte.gz of small"


def test_a_file_of_a_data_set_that_looks_alike_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"as if it were the other one"
    fashion = DATASETS["fashion-mnist"]
    alike = DataFile("t10k-labels-idx1-ubyte.gz", len(content), hashlib.sha256(content).hexdigest())
    other = dataclasses.replace(fashion, files={**fashion.files, "test-labels": alike})
    monkeypatch.setitem(DATASETS, "fashion-mnist", other)
    assert description_of(write(tmp_path, content), WANTED) == "t10k-labels-idx1-ubyte.gz of fashion-mnist"


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8b\x08\x00garbage", b"\0\0\x08\x03\0", b"\0\0\x08\xff" * 99])
def test_garbage_gets_a_name_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    said = description_of(write(tmp_path, content), WANTED)
    assert "truncated" in said or "another file" in said


def test_a_truncated_real_file_is_recognised(real_mnist: Path, tmp_path: Path) -> None:
    wanted = DATASETS["mnist"].files["test-images"]
    path = write(tmp_path, (real_mnist / wanted.name).read_bytes()[:1_000_000])
    assert description_of(path, wanted) == "a truncated file (1,000,000 of 1,648,877 bytes)"


class Hand:
    """A clock whose hand a test moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.clock = Clock(now=lambda: self.time, sleep=self.move, random=lambda: 1.0)

    def move(self, seconds: float) -> None:
        self.time += seconds


def test_a_slow_answer_is_tolerated_for_the_first_ten_seconds() -> None:
    hand = Hand()
    gauge = SpeedGauge(TimeLimits(30, 600, 100, hand.clock))
    for _ in range(9):
        hand.move(1)
        gauge.add(1)
    hand.move(1)
    with pytest.raises(MirrorError, match="too slow: 1 B/s, expected at least 100 B/s"):
        gauge.add(1)


def test_speed_is_that_of_the_last_ten_seconds() -> None:
    hand = Hand()
    gauge = SpeedGauge(TimeLimits(30, 600, 100, hand.clock))
    gauge.add(10**6)
    with pytest.raises(MirrorError, match="too slow"):
        for _ in range(12):
            hand.move(1)
            gauge.add(1)
    assert hand.time == 110


def test_an_answer_at_the_minimum_speed_is_kept() -> None:
    hand = Hand()
    gauge = SpeedGauge(TimeLimits(30, 600, 100, hand.clock))
    for _ in range(100):
        hand.move(1)
        gauge.add(100)


def test_an_answer_that_would_miss_the_deadline_is_too_slow_if_another_mirror_is_left() -> None:
    hand = Hand()
    gauge = SpeedGauge(TimeLimits(30, 60, 100, hand.clock), missing=60_000)
    with pytest.raises(MirrorError, match=r"too slow: 500 B/s, expected at least 1,100 B/s to finish by the deadline"):
        for _ in range(10):
            hand.move(1)
            gauge.add(500)
    assert hand.time == 110


def test_an_answer_that_comes_in_time_is_kept() -> None:
    hand = Hand()
    gauge = SpeedGauge(TimeLimits(30, 60, 100, hand.clock), missing=60_000)
    for _ in range(59):
        hand.move(1)
        gauge.add(1_020)


def test_the_deadline_counts_from_the_beginning() -> None:
    hand = Hand()
    time_limits = TimeLimits(30, 60, 0, hand.clock)
    hand.move(59)
    assert time_limits.remaining() == 1
    hand.move(1)
    with pytest.raises(DeadlineExceeded):
        time_limits.remaining()


def test_a_pause_that_would_end_after_the_deadline_is_not_started() -> None:
    hand = Hand()
    time_limits = TimeLimits(30, 10, 0, hand.clock)
    assert time_limits.pause(1, 9.0)
    assert not time_limits.pause(1, 1.0)
    assert hand.time == 109
