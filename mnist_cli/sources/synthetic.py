"""The data set `synthetic`: digits drawn from Pillow's built-in font, so that a first run needs no network.

Drawing is slow and copying is fast, so each split first draws a few hundred *glyphs* per class, each of its own
size, slant, thickness and shape; an image is then one glyph, shifted, of its own contrast, with noise.
"""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw, ImageFont, features

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.errors import MnistError
from mnist_cli.files import naming, publish
from mnist_cli.progress import SILENT, Progress

UInt8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

CLASSES = 10
SIDE = 28
_BOX = 20  # MNIST fits every digit into 20×20 before it is centred by its mass
_MARGIN = 2  # how far an image shifts its glyph at most, in pixels
_FIELD = SIDE + 2 * _MARGIN  # side of a stored glyph: every 28×28 window of it is a shifted image
_FINE = 4  # glyphs are drawn at this many times the resolution and averaged down, which smooths their edges
_FONT_SIZE = 72
_STROKES = 5  # thicknesses: the outline is widened by 0 to 4 fine pixels
_KNOTS = (-0.5, 0.0, 0.5)  # the digit is bent by moving the knots of a grid of 2×2 cells
_NOISE_TILE = 128
_BLOCK = 2000  # images made at a time: about 10 MB of working memory
_IDX_UINT8 = 0x0800


@dataclass(frozen=True, slots=True)
class Split:
    """One of the two pairs of files: its place in the random seed, and how much is drawn for it."""

    name: str
    number: int
    images: int
    glyphs_per_class: int


SPLITS = (Split("train", 0, 60_000, 250), Split("test", 1, 10_000, 80))


def write_synthetic(folder: Path, *, seed: int, progress: Progress = SILENT) -> None:
    """Write 60,000 training and 10,000 test images of digits as four IDX files, named as MNIST's are.

    Images: uint8 [n, 28, 28], 0 = background, light on dark, the digit about 20×20 and roughly centred.
    Labels: uint8 [n], 0 to 9, uniformly random. The same seed gives the same bytes with the same Pillow and
    NumPy; the two splits come from different random streams.

    Args:
        folder: an existing folder; each file is published whole.
        seed: 0 or more.
        progress: hears the number of images made.

    Raises:
        MnistError: Pillow was built without FreeType, which draws the font.
        OSError: the folder cannot be written.
    """
    write_splits(folder, SPLITS, seed=seed, progress=progress)


def write_splits(folder: Path, splits: tuple[Split, ...], *, seed: int, progress: Progress = SILENT) -> None:
    """Write the images and labels of each split; `write_synthetic` with the sizes to choose.

    Raises:
        MnistError: as `write_synthetic`.
    """
    font = _font()
    progress.start("draw digits", sum(split.images for split in splits), "images")
    done = 0
    for split in splits:
        with (
            _gzip_file(folder / FILE_NAMES[f"{split.name}-images"]) as images_file,
            _gzip_file(folder / FILE_NAMES[f"{split.name}-labels"]) as labels_file,
        ):
            images_file.write(struct.pack(">IIII", _IDX_UINT8 | 3, split.images, SIDE, SIDE))
            labels_file.write(struct.pack(">II", _IDX_UINT8 | 1, split.images))
            for images, labels in _blocks(split, seed, font):
                images_file.write(images.data)
                labels_file.write(labels.data)
                done += len(labels)
                progress.update(done)
    progress.finish()


def _font() -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=_FONT_SIZE) if features.check("freetype2") else None
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MnistError(
            "the data set 'synthetic' is drawn by Pillow, and this Pillow was built without FreeType",
            hint="install Pillow from a wheel: pip install --force-reinstall --only-binary :all: pillow",
        )
    return font


@contextlib.contextmanager
def _gzip_file(target: Path) -> Iterator[BinaryIO]:
    """Publish a gzip file without a name or a time in it, so that equal content gives equal bytes."""
    with (
        publish(target) as file,
        # Level 1: level 6 takes three times as long, more than all the drawing, for an eighth fewer bytes.
        naming(target.parent),  # two are written at once, and an error passes through both
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed,
    ):
        yield packed  # type: ignore[misc]


def _blocks(split: Split, seed: int, font: ImageFont.FreeTypeFont) -> Iterator[tuple[UInt8, UInt8]]:
    """Yield (images uint8 [m, 28, 28], labels uint8 [m]) until the split is complete."""
    glyphs = _draw_glyphs(np.random.default_rng([seed, split.number, 0]), split.glyphs_per_class, font)
    random = np.random.default_rng([seed, split.number, 1])
    noise = _noise_tile(random)
    for start in range(0, split.images, _BLOCK):
        labels = random.integers(CLASSES, size=min(_BLOCK, split.images - start), dtype=np.uint8)
        yield _images_of(labels, glyphs, noise, random), labels


def _images_of(labels: UInt8, glyphs: UInt8, noise: npt.NDArray[np.int16], random: np.random.Generator) -> UInt8:
    """Return one image of each label: uint8 [m, 28, 28]."""
    count = len(labels)
    per_class = glyphs.shape[0] // CLASSES
    chosen = labels.astype(np.intp) * per_class + random.integers(per_class, size=count)
    # Two dice: small shifts are more frequent than large ones.
    row, column = random.integers(_MARGIN + 1, size=(2, 2, count)).sum(axis=0)
    images = sliding_window_view(glyphs, (SIDE, SIDE), axis=(1, 2))[chosen, row, column].astype(np.int16)
    contrast = random.integers(140, 257, size=(count, 1, 1), dtype=np.int16)
    images *= contrast >> 1  # [0, 255] · [70, 128] fits into an int16
    images >>= 7
    row, column = random.integers(_NOISE_TILE - SIDE + 1, size=(2, count))
    images += sliding_window_view(noise, (SIDE, SIDE))[row, column]
    np.clip(images, 0, 255, out=images)
    return np.asarray(images, np.uint8)


def _noise_tile(random: np.random.Generator) -> npt.NDArray[np.int16]:
    """Return specks, int16 [128, 128], of which every image gets a window; most are 0, so the background stays 0."""
    noise = random.normal(scale=40, size=(_NOISE_TILE, _NOISE_TILE))
    noise[np.abs(noise) < 70] = 0
    return noise.astype(np.int16)


def _draw_glyphs(random: np.random.Generator, per_class: int, font: ImageFont.FreeTypeFont) -> UInt8:
    """Return uint8 [10 · per_class, 32, 32], ordered by class, each with the centre of its mass in the middle."""
    count = CLASSES * per_class
    strokes = random.integers(_STROKES, size=count)
    meshes = _random_meshes(random, count)
    offsets = random.uniform(-0.5, 0.5, size=(count, 2)) * _FINE  # the sub-pixel part of the shift
    digits = [[_draw_digit(str(label), stroke, font) for stroke in range(_STROKES)] for label in range(CLASSES)]
    glyphs = np.empty((count, _FIELD, _FIELD), np.uint8)
    for index in range(count):
        digit = digits[index // per_class][strokes[index]]
        glyphs[index] = _centred(_bend(digit, meshes[index]), offsets[index])
    return glyphs


def _draw_digit(character: str, stroke: int, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Return the character in white on black, cut to its own outline, `stroke` pixels thicker on every side."""
    left, top, right, bottom = font.getbbox(character, stroke_width=stroke)
    image = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font, stroke_width=stroke)
    return image


def _random_meshes(random: np.random.Generator, count: int) -> Floats:
    """Return where each knot of the grid takes its light from: [count, 3, 3, 2], (x, y) in [0, 1]² of the digit."""
    y, x = np.meshgrid(_KNOTS, _KNOTS, indexing="ij")
    height, width, slant, lean = (
        random.uniform(low, high, size=(count, 1, 1))
        for low, high in ((0.8, 1.0), (0.55, 0.85), (-0.1, 0.3), (-0.08, 0.08))
    )
    sources = np.stack([(x + slant * y) / width, (y + lean * x) / height], axis=-1)
    return sources + random.normal(scale=0.03, size=sources.shape) + 0.5


def _bend(digit: Image.Image, mesh: Floats) -> Image.Image:
    """Return the digit stretched, slanted and bent by a mesh [3, 3, 2], on a field of 80×80."""
    side = _BOX * _FINE
    edges = [round((knot + 0.5) * side) for knot in _KNOTS]
    source = (mesh * digit.size).tolist()
    cells = [(row, column) for row in range(len(edges) - 1) for column in range(len(edges) - 1)]
    # Pillow wants the corners of a source cell in the order upper left, lower left, lower right, upper right.
    quads = [
        (
            (edges[j], edges[i], edges[j + 1], edges[i + 1]),
            (*source[i][j], *source[i + 1][j], *source[i + 1][j + 1], *source[i][j + 1]),
        )
        for i, j in cells
    ]
    return digit.transform((side, side), Image.Transform.MESH, quads, resample=Image.Resampling.BILINEAR)


def _centred(digit: Image.Image, offset: Floats) -> UInt8:
    """Return the field 32×32 with the digit's centre of mass in the middle but for `offset` (y, x), in fine pixels."""
    fine = np.asarray(digit)
    rows, columns = fine.sum(axis=1), fine.sum(axis=0)
    places = np.arange(len(fine))
    centre = np.array([rows @ places, columns @ places]) / rows.sum()
    side = _FIELD * _FINE
    top, left = np.rint(side / 2 - centre + offset).astype(int).tolist()
    field = Image.new("L", (side, side))
    field.paste(digit, (left, top))
    return np.asarray(field.reduce(_FINE))
