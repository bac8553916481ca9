"""The data set `synthetic`: digits that look handwritten, so that a first run needs no network.

An image starts as a skeleton from mnist_cli/sources/strokes.py. Random numbers move its points slightly, and bend,
slant and stretch it; a pen of random width follows the curve. Then it is normalised as MNIST's digits are: scaled to a
box of 20×20, and moved by whole pixels until its centre of mass is in the middle of 28×28.

The bytes are the same on every machine and with every version of Python and NumPy. The random
numbers are hashes of the seed and the number of the image. All else is integer arithmetic, except for square roots,
which are correctly rounded, and sums of integers in float64, which are exact in any order.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.files import naming, publish
from mnist_cli.progress import SILENT, Progress
from mnist_cli.sources.strokes import ONE, skeletons

UInt8 = npt.NDArray[np.uint8]
UInt32 = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int64]

CLASSES = 10
SIDE = 28
_BOX = 20  # MNIST fits every digit into 20×20 before it is centred by its mass
_PIXEL = 256  # positions in the box are integers, this many to a pixel
_BLOCK = 1000  # images made at a time: about 30 MB of working memory
_IDX_UINT8 = 0x0800
_STORED = 65_535  # bytes in a block of a gzip file at most, where it is not compressed

# Random changes, as multiples of a bell: an integer from -510 to 510 with a standard deviation of 148. The values were
# chosen by eye, and by the accuracy on MNIST's training images of a model that was trained on the digits.
_TREMBLE = 36  # a point by itself, 1/128 of a grid unit
_DRIFT = 75  # a point together with its neighbours, 1/128 of a grid unit
_BEND = 33  # the quadratic part of a smooth warp: at 10 grid units from the middle, mostly below one unit
_CURL = 17  # the cubic part
_TURN = 350  # rotation, 2^-19
_SLANT, _LEAN = 350, 850  # shear: the mean of all images, 2^-12, and the change of each, 2^-19
_STRETCH = 550  # width against height, 2^-19
_STREAMS = 3  # the first hashes of an image are not bells: they order the labels, choose the skeleton and the pen

# The pens, from thin to thick. Each has the profile of a stroke (its middle, then 1 and 2 pixels beside it), its
# darkness, and how far its ink reaches from the middle, in 1/256 pixel. A stroke loses _FADE and is cut off at 255,
# which makes a plateau with short edges, as in MNIST.
_PENS = (
    (64, 9, 0, 7643, 293),
    (64, 9, 0, 10827, 325),
    (64, 14, 0, 6812, 321),
    (64, 14, 0, 9650, 371),
    (64, 20, 0, 6026, 366),
    (64, 20, 0, 8537, 402),
    (64, 25, 1, 5402, 395),
    (64, 25, 1, 7654, 434),
    (64, 29, 3, 4896, 426),
    (64, 29, 3, 6936, 467),
    (64, 33, 5, 4476, 449),
    (64, 33, 5, 6341, 492),
)
_FADE = 45


@dataclass(frozen=True, slots=True)
class Split:
    """One of the two pairs of files: the number of its first image among all that a seed gives, and how many."""

    name: str
    first: int
    images: int


SPLITS = (Split("train", 0, 60_000), Split("test", 60_000, 10_000))


def write_synthetic(folder: Path, *, seed: int, progress: Progress = SILENT) -> None:
    """Write 60,000 training and 10,000 test images of digits as four IDX files, named as MNIST's are.

    Images: uint8 [n, 28, 28], 0 = background, light on dark, in a box of 20×20 with the centre of mass at pixel 14.
    Labels: uint8 [n], 0 to 9, equally many of each, in random order. A seed gives the same bytes everywhere.

    Args:
        folder: an existing folder; each file is published whole.
        seed: 0 to 2^63 - 1.
        progress: receives the number of images made.

    Raises:
        OSError: the folder cannot be written.
    """
    write_splits(folder, SPLITS, seed=seed, progress=progress)


def write_splits(folder: Path, splits: tuple[Split, ...], *, seed: int, progress: Progress = SILENT) -> None:
    """Write the images and labels of each split: `write_synthetic` with a choice of sizes.

    Raises:
        OSError: as `write_synthetic`.
    """
    progress.start("draw digits", sum(split.images for split in splits), "images")
    done = 0
    for split in splits:
        labels = labels_of(split, seed)
        with (
            _gzip_file(folder / FILE_NAMES[f"{split.name}-images"]) as images_file,
            _gzip_file(folder / FILE_NAMES[f"{split.name}-labels"]) as labels_file,
        ):
            images_file.write(struct.pack(">IIII", _IDX_UINT8 | 3, split.images, SIDE, SIDE))
            labels_file.write(struct.pack(">II", _IDX_UINT8 | 1, split.images) + labels.tobytes())
            for start in range(0, split.images, _BLOCK):
                block = labels[start : start + _BLOCK]
                images_file.write(draw(block, seed, split.first + start).tobytes())
                done += len(block)
                progress.update(done)
    progress.finish()


def labels_of(split: Split, seed: int) -> UInt8:
    """Return the labels of a split, in random order: uint8 [n], equally many of each where n is a multiple of ten."""
    hashes = _hashes(_keys(seed, split.first, split.images), 0, 1)[:, 0]
    return (np.argsort(hashes, kind="stable") % CLASSES).astype(np.uint8)


def draw(labels: UInt8, seed: int, first: int) -> UInt8:
    """Return one image of each label: uint8 [m, 28, 28].

    An image depends only on its label, the seed and its number; `first` is the number of the first one.
    """
    keys = _keys(seed, first, len(labels))
    skeleton, pen = _chosen(labels, _hashes(keys, 1, 2))
    way = _box(_way(skeleton, keys), pen[:, 4])
    return _centred(_ink(way, skeletons().down[skeleton], pen))


class _StoredGzip:
    """A gzip file with uncompressed content: the output of a compressor depends on its version.

    It contains neither a name nor a time.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._crc = self._size = 0
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def write(self, content: bytes) -> None:
        for start in range(0, len(content), _STORED):
            piece = content[start : start + _STORED]
            self._file.write(struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF) + piece)
        self._crc = zlib.crc32(content, self._crc)
        self._size += len(content)

    def end(self) -> None:
        self._file.write(struct.pack("<BHHII", 1, 0, 0xFFFF, self._crc, self._size & 0xFFFFFFFF))


@contextlib.contextmanager
def _gzip_file(target: Path) -> Iterator[_StoredGzip]:
    # Two are written at once, and an error passes through both: `naming` keeps the name of the file that failed.
    with publish(target) as file, naming(target.parent):
        packed = _StoredGzip(file)
        yield packed
        packed.end()


# Random numbers.


def _mix(words: UInt32) -> UInt32:
    """Return a hash of each 32-bit word (lowbias32 by Chris Wellons)."""
    words = (words ^ (words >> np.uint32(16))) * np.uint32(0x7FEB352D)
    words = (words ^ (words >> np.uint32(15))) * np.uint32(0x846CA68B)
    return words ^ (words >> np.uint32(16))


def _keys(seed: int, first: int, count: int) -> UInt32:
    """Return a key for each of `count` images from number `first` on: uint32 [count]."""
    key: UInt32 = np.zeros(1, np.uint32)
    for word in (seed & 0xFFFFFFFF, seed >> 32):
        key = _mix(key * np.uint32(31) + np.uint32(word) + np.uint32(0x9E3779B9))
    numbers: UInt32 = np.arange(first, first + count, dtype=np.uint32)
    return _mix(key + numbers)


def _hashes(keys: UInt32, stream: int, count: int) -> UInt32:
    """Return `count` independent hashes of each key, starting at a stream: uint32 [m, count]."""
    streams = np.arange(stream + 1, stream + count + 1, dtype=np.uint32)
    return _mix(keys[:, None] + _mix(streams) * np.uint32(0x9E3779B9))


def _below(hashes: UInt32, limit: int) -> Integers:
    """Return integers from 0 to limit - 1, all about equally likely."""
    return np.asarray((hashes.astype(np.int64) * limit) >> 32, np.int64)


def _bells(keys: UInt32, stream: int, count: int) -> Integers:
    """Return the sum of the four bytes of each hash less 510: int64 [m, count], -510 to 510, mostly near 0."""
    four = _hashes(keys, stream, count).view(np.uint8).reshape(len(keys), count, 4)
    return np.asarray(four.sum(axis=2, dtype=np.int64) - 510)


# From a skeleton to an image. Positions are (x, y), first axis of an array.


def _chosen(labels: UInt8, hashes: UInt32) -> tuple[Integers, Integers]:
    """Return for each image the number of its skeleton, int64 [m], and its pen, int64 [m, 5]."""
    skeleton = np.empty(len(labels), np.int64)
    for label, choice in enumerate(skeletons().choice):
        here = labels == label
        skeleton[here] = choice[_below(hashes[here, 0], len(choice))]
    return skeleton, np.array(_PENS, np.int64)[_below(hashes[:, 1], len(_PENS))]


def _way(skeleton: Integers, keys: UInt32) -> Integers:
    """Return the nodes of a random variant of each skeleton: int64 [2, m, NODES], 1/256 of a grid unit."""
    table = skeletons()
    x, y = _warped(_moved(table.points[:, skeleton].astype(np.int64), keys), keys)
    stretch, slant, turn = _bells(keys, _STREAMS + 14, 3).T[:, :, None]
    turned = (
        x * (ONE + (stretch * _STRETCH >> 7)) - y * (_SLANT + ((slant * _LEAN + turn * _TURN) >> 7)),
        y * ONE + x * (turn * _TURN >> 7),
    )
    points = (np.stack(turned, axis=2) >> 12).astype(np.int32)
    # The products stay below 2^31: int32 halves the memory to go through.
    nodes = (table.curve[skeleton] @ points) >> 12
    return np.moveaxis(nodes, 2, 0).astype(np.int64)


def _moved(points: Integers, keys: UInt32) -> Integers:
    """Return the points [2, m, K], each moved by itself and together with its neighbours."""
    count = points.shape[2]
    bells = _bells(keys, _STREAMS + 17, 4 * count).reshape(len(keys), 4, count).swapaxes(0, 1)
    alone, shared = bells[:2], bells[2:]
    around = np.concatenate([shared[:, :, -2:], shared, shared[:, :, :2]], axis=2)
    together = np.zeros_like(shared)
    for step, weight in enumerate((1, 2, 3, 2, 1)):
        together += weight * around[:, :, step : step + count]
    moved: Integers = points + ((alone * _TREMBLE + together * _DRIFT) >> 7)
    return moved


def _warped(points: Integers, keys: UInt32) -> tuple[Integers, Integers]:
    """Return x and y of the points, [m, K] each, after a random polynomial of third degree."""
    x, y = points
    xx, xy, yy = x * x >> 11, x * y >> 11, y * y >> 11
    cubes = [a * b >> 11 for a, b in ((xx, x), (xx, y), (yy, x), (yy, y))]
    terms = np.stack([*(_BEND * square for square in (xx, xy, yy)), *(_CURL * cube for cube in cubes)])
    bells = _bells(keys, _STREAMS, 14).T[:, :, None]
    return x + ((bells[:7] * terms).sum(axis=0) >> 17), y + ((bells[7:] * terms).sum(axis=0) >> 17)


def _box(way: Integers, reach: Integers) -> Integers:
    """Return the nodes [2, m, NODES] scaled so that the ink fills the box on its longer side, in 1/256 pixel.

    0 is the middle of the first pixel. On the shorter side the digit stands in the middle of the box.
    """
    low = way.min(axis=2, keepdims=True)
    extent = way.max(axis=2, keepdims=True) - low
    reach = reach[:, None]
    scale = ((_BOX * _PIXEL - 2 * reach) << 16) // extent.max(axis=0)
    margin = (_BOX * _PIXEL - (extent * scale >> 16)) // 2 - _PIXEL // 2
    boxed: Integers = ((way - low) * scale >> 16) + margin
    return boxed


def _ink(way: Integers, down: Integers, pen: Integers) -> npt.NDArray[np.int32]:
    """Return the ink of a pen [m, 5] that follows the nodes [2, m, NODES]: int32 [m, 20, 20], 0 to 255."""
    images, side = len(pen), _BOX + 4
    dx, dy = np.diff(way, axis=2)
    length = np.floor(np.sqrt((dx * dx + dy * dy).astype(np.float64)) + 0.5).astype(np.int64) * down
    # The length of each piece is shared among the four pixels around its middle.
    x, y = (way[:, :, 1:] + way[:, :, :-1]) >> 1
    right, below = x & 255, y & 255
    pixel = (np.arange(images)[:, None] * side + (y >> 8) + 2) * side + (x >> 8) + 2
    pixels = np.stack([pixel, pixel + 1, pixel + side, pixel + side + 1])
    above, left = 256 - below, 256 - right
    shares = np.stack([left * above, right * above, left * below, right * below]) * length
    ink = np.bincount(pixels.ravel(), shares.ravel(), images * side * side).astype(np.int64)
    # A line has 256 per pixel. Eight lines over one another are enough, and keep later products below 2^31.
    ink = np.minimum((ink + 0x8000) >> 16, 2048).astype(np.int32).reshape(images, side, side)
    # The pen's profile, first across columns, then across rows.
    middle, near, far, dark = pen.astype(np.int32).T[:4, :, None, None]
    for _ in range(2):
        ink = ink.swapaxes(1, 2)
        first, second, line, fourth, fifth = (ink[:, step : step + _BOX] for step in range(5))
        ink = (middle * line + near * (second + fourth) + far * (first + fifth)) >> 4
    return np.asarray(np.clip((((ink >> 2) * dark) >> 14) - _FADE, 0, 255))


def _centred(boxes: npt.NDArray[np.int32]) -> UInt8:
    """Return images [m, 28, 28] of boxes [m, 20, 20], the centre of mass at 13.5 to 14.5 where there is room."""
    images = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    place = np.arange(_BOX)
    corner = []
    for axis in (2, 1):
        profile = boxes.sum(axis=axis)
        mass = profile.sum(axis=1)
        corner.append(np.clip(SIDE // 2 - (2 * (profile * place).sum(axis=1) + mass) // (2 * mass), 0, SIDE - _BOX))
    rows, columns = (start[:, None] + place for start in corner)
    images[np.arange(len(boxes))[:, None, None], rows[:, :, None], columns[:, None, :]] = boxes
    return images
