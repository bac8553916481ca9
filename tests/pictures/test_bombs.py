"""Small files that would take much memory or time: they are refused, and the pictures beside them get their answers."""

from __future__ import annotations

import functools
import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from mnist_cli.errors import InputError
from mnist_cli.formats.model import Model, save_model
from mnist_cli.pictures.opening import open_picture
from tests.support.command_line import environment
from tests.support.data import digit

# Runs a command with so many bytes of memory more than the imports take.
LIMITED = """
import resource, sys
from mnist_cli.cli.app import run_command_line
import mnist_cli.pictures.normalize, mnist_cli.pictures.opening, mnist_cli.formats.model
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run_command_line(sys.argv[2:]))
"""


@functools.cache
def png(width: int, height: int, colour: int = 0) -> bytes:
    """Return a PNG of 8 bits a sample (grey, or RGBA for colour 6) that is all 0, from its description."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    compressor = zlib.compressobj(1)
    row = bytes(1 + width * (4 if colour == 6 else 1))
    rows_at_once = max(1, (1 << 20) // len(row))
    packed = [compressor.compress(row * min(rows_at_once, height - top)) for top in range(0, height, rows_at_once)]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = b"".join(packed) + compressor.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@functools.cache
def jpeg(scans: int, side: int = 1000) -> bytes:
    """Return a progressive JPEG whose last scan is repeated until it has so many."""
    written = io.BytesIO()
    Image.fromarray(digit(side)).save(written, "JPEG", progressive=True)
    content = written.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * (scans - content.count(b"\xff\xda")) + content[-2:]


def tiff(tile: int) -> bytes:
    """Return a TIFF of 16 × 16 grey pixels in one tile of `tile` × `tile`, which the file does not hold."""
    short, long = 3, 4
    entries = [(256, short, 16), (257, short, 16), (258, short, 8), (259, short, 5), (262, short, 1), (277, short, 1),
               (322, long, tile), (323, long, tile), (324, long, 8), (325, long, 4)]  # fmt: skip
    packed = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in sorted(entries)
    )
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(entries)) + packed + bytes(4)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "1 × 100,000,000": (lambda: png(1, 100_000_000), "too large"),
    "100,000,000 × 1": (lambda: png(100_000_000, 1), "too large"),
    "transparent": (lambda: png(8_700, 8_700, colour=6), "too large"),
    "2,000 passes": (lambda: jpeg(2000), "takes too long"),
    "60 passes over many pixels": (lambda: jpeg(60, 6000), "takes too long"),
    "tile": (lambda: tiff(40_000), "too large"),
}


@pytest.fixture(params=BOMBS)
def bomb(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file, and what is said of it."""
    make, said = BOMBS[request.param]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    yield path, said


def test_a_bomb_is_refused_before_it_is_decoded(bomb: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    path, said = bomb
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _self: pytest.fail("it is decoded"))
    with pytest.raises(InputError, match=said):
        open_picture(path)


def limited(folder: Path, memory: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder with a model, with so many bytes of memory for its work."""
    (folder / "artifacts/train").mkdir(parents=True)
    model = Model(np.zeros((784, 2), np.float32), np.array([0, 1], np.float32), ("no", "yes"), 1, 0, "", (28, 28))
    save_model(folder / "artifacts/train/model.h5", model)
    command = [sys.executable, "-c", LIMITED, str(memory), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux: limits and measures memory")
def test_under_a_memory_limit_the_pictures_beside_a_bomb_are_predicted(tmp_path: Path) -> None:
    Image.fromarray(digit()).save(tmp_path / "seven.png")
    names = []
    for number, (make, _said) in enumerate(BOMBS.values()):
        names += [f"bomb{number}", "seven.png"]
        (tmp_path / names[-2]).write_bytes(make())
    done = limited(tmp_path, 100_000_000, "predict", *names, "--json")
    assert done.returncode == 5, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in answer for answer in answers] == [True, False] * len(BOMBS)
    assert "internal error" not in done.stdout


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux: limits and measures memory")
def test_the_largest_picture_stays_within_its_memory_limit(tmp_path: Path) -> None:
    page = np.full((10_000, 10_000), 255, np.uint8)
    page[4000:6000, 4000:6000] = digit(2000)
    Image.fromarray(page).save(tmp_path / "page.png", compress_level=1)
    done = limited(tmp_path, 300_000_000, "predict", "page.png")
    assert done.stdout.startswith("page.png: yes"), done.stderr


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux: limits and measures memory")
def test_a_picture_too_large_for_the_free_memory_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    Image.fromarray(digit()).save(tmp_path / "seven.png")
    (tmp_path / "large.png").write_bytes(png(10_000, 10_000))
    done = limited(tmp_path, 60_000_000, "predict", "large.png", "seven.png")
    assert "large.png: the picture is too large for the free memory" in done.stderr
    assert "seven.png: yes" in done.stdout


def test_a_progressive_jpeg_of_a_camera_is_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(digit(3000)).convert("RGB").save(path, progressive=True)
    assert max(open_picture(path).size) <= 3000


def test_passes_in_the_preview_of_a_photograph_do_not_count(tmp_path: Path) -> None:
    content = jpeg(20)
    preview = b"\xff\xda\0\2" * 5000
    path = tmp_path / "photo.jpg"
    path.write_bytes(content[:2] + b"\xff\xe5" + struct.pack(">H", 2 + len(preview)) + preview + content[2:])
    assert open_picture(path).size == (1000, 1000)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("name", ["a.webp", "a.avif"])
def test_formats_that_are_read_whole_may_have_as_many_pixels_as_memory_allows(tmp_path: Path, name: str) -> None:
    Image.new("L", (4000, 4000)).convert("RGB").save(tmp_path / name)
    with pytest.raises(InputError, match="too large: expected at most 300"):
        open_picture(tmp_path / name)
