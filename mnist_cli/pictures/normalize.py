"""Turn a picture into an image of the model's shape, made as the images of MNIST were made.

"The original black and white images from NIST were size normalized to fit in a 20x20 pixel box while preserving their
aspect ratio. The resulting images contain grey levels as a result of the anti-aliasing technique used by the
normalization algorithm. The images were centered in a 28x28 image by computing the center of mass of the pixels, and
translating the image so as to position this point at the center of the 28x28 field." (LeCun, Cortes and Burges,
http://yann.lecun.com/exdb/mnist/)

For another shape, the box has the same share of its height and width. A scan or photograph must become black and white
first: the border shows the paper, whatever stands out from its unevenness is ink, and the darkest ink becomes 1. Below,
"digit" means whatever the picture shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.pictures.luminance import area_average, luminance, reduced
from mnist_cli.pictures.paper import sheet, without_ruling

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_BOX = 20 / 28  # share of the image's side that the digit's longer side takes in MNIST
# Pixels a side of the coarse copy in which the digit is found: there a speck of dust is paper, and a thin line is ink.
_COARSE = 128
_FAINTEST = 0.05  # least difference of ink from its paper, where black and white differ by 1
# Ink stands out from the paper by at least this many standard deviations of the paper. A coarse copy of textured paper
# has 16,384 normal numbers; the largest of them is 4 on average, and 5 once in a few hundred times.
_BLANK_DEVIATIONS = 5
_UNEVEN = 0.25  # what differs this much from the paper is visible, even if it cannot be separated from the rest
_PAPER_DEVIATIONS = 4  # what is closer to the paper than this is paper
_EDGE = 0.1  # darker ink decides where the digit begins; its anti-aliased fringe may reach a little further
_NORMAL_MAD = 1.4826  # standard deviation of normal numbers over their median absolute deviation


def fitted(picture: Image, shape: tuple[int, int], fit: str) -> Bytes:
    """Return a picture as the images of a data set were made: by `normalize`, or resized as a whole.

    Returns:
        uint8 [*shape].

    Raises:
        InputError: the picture is to be normalised and shows nothing.
    """
    if fit == "normalise":
        return normalize(picture, shape)
    if picture.mode == "L" and (picture.height, picture.width) == shape:
        return np.asarray(picture, np.uint8)
    image: Bytes = np.rint(area_average(luminance(picture), *shape) * np.float32(255)).astype(np.uint8)
    return image


def normalize(image: Image | npt.ArrayLike, shape: tuple[int, int]) -> Bytes:
    """Return a picture of one digit, or of anything drawn, as MNIST would hold it.

    The digit may be dark on light or light on dark, anywhere, and of any size. A picture that already is a normalised
    image of the shape is returned unchanged.

    Args:
        image: a Pillow image, or an array [height, width] or [height, width, channels] with 1 to 4 channels (grey,
            grey and alpha, RGB, RGBA), uint8, uint16 or floating point in [0, 1].
        shape: height and width of the result, such as `Model.shape`.

    Returns:
        uint8 [*shape], 0 = background, 255 = the darkest ink. The ink keeps its proportions and fills 20/28 of the
        height or of the width; its centre of mass lies in the middle as far as whole pixels and the edge allow.

    Raises:
        InputError: the picture shows nothing, or it is not a picture.
    """
    ink, in_place = find_ink(image, shape)
    return _bytes(ink) if in_place else placed(ink, shape)


def find_ink(image: Image | npt.ArrayLike, shape: tuple[int, int]) -> tuple[Floats, bool]:
    """Return a picture's ink, float32 [height, width] in [0, 1], and whether it already is an image of the shape.

    Args:
        image: as `normalize` takes it.
        shape: height and width of the target image.

    Raises:
        InputError: the picture shows nothing, or it is not a picture.
    """
    grey = luminance(image)
    distance = distance_from_paper(grey if grey.shape == shape else sheet(grey))
    if _is_normalized(distance, shape):
        return distance, True
    return without_ruling(_ink(distance)), False


def placed(ink: Floats, shape: tuple[int, int]) -> Bytes:
    """Return ink scaled into the box of an image of the shape, its centre of mass in the middle, as `normalize` does.

    Args:
        ink: float32 [height, width] in [0, 1], 0 = paper.
        shape: height and width of the result.

    Raises:
        InputError: the ink is only specks.
    """
    digit = _cropped(ink)
    box = [max(1, round(side * _BOX)) for side in shape]
    scale = min(side / length for side, length in zip(box, digit.shape, strict=True))
    height, width = (max(1, round(length * scale)) for length in digit.shape)
    digit = area_average(digit, height, width)
    result = np.zeros(shape, np.float32)
    top, left = (_offset(digit, axis, side) for axis, side in enumerate(shape))
    result[top : top + height, left : left + width] = digit / digit.max()
    return _bytes(result)


def distance_from_paper(grey: Floats) -> Floats:
    """Return how much each pixel differs from the background towards the ink, in [-1, 1].

    The median of the outermost pixels is the background: ink that touches the border covers less than half of it. Ink
    is dark if the darkest pixel lies farther from the background than the lightest.

    Args:
        grey: float32 [height, width], 0 = black, 1 = white.
    """
    paper = _paper_plane(grey)
    lighter, darker = grey - paper, paper - grey
    return darker if darker.max() > lighter.max() else lighter


def _paper_plane(grey: Floats) -> Floats:
    """Return the background's grey level at each pixel, as float32 that broadcasts to [height, width].

    Light from one side gives the paper a slope, which the medians of opposite sides measure. If they differ by half of
    the whole contrast, one of the sides is ink, and the paper is level.
    """
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    contrast = float(grey.max() - grey.min())
    slopes = np.zeros((1, 1), np.float32)
    for first, last, shape in ((grey[0], grey[-1], (-1, 1)), (grey[:, 0], grey[:, -1], (1, -1))):
        fall = np.float32(np.median(last) - np.median(first))
        length = grey.size // len(first)
        if abs(fall) < contrast / 2:
            slopes = slopes + np.linspace(-fall / 2, fall / 2, length, dtype=np.float32).reshape(shape)
    return slopes + np.float32(np.median(border))


def centre_of_mass(image: npt.NDArray[np.number], axis: int) -> float:
    """Return the mean index of the pixels along an axis, weighted by their values."""
    profile = image.sum(axis=1 - axis, dtype=np.float64)
    return float(profile @ np.arange(len(profile)) / profile.sum())


def _is_normalized(distance: Floats, shape: tuple[int, int]) -> bool:
    """Return whether an image of the shape, on its clean background, must stay unchanged.

    Its digit is in the box and in the middle; or its ink is larger than the box and reaches the edge. Such an image is
    cut or speckled, so where its digit begins cannot be known.
    """
    if distance.shape != shape or distance.min() < 0 or distance.max() < 0.5:
        return False
    edges = _bounds(distance > _EDGE)  # the noise of a JPEG is fainter
    if any(one.stop - one.start > max(1, round(side * _BOX)) for one, side in zip(edges, shape, strict=True)):
        return any(one.start == 0 or one.stop == side for one, side in zip(edges, shape, strict=True))
    return all(abs(centre_of_mass(distance, axis) - side / 2) <= 0.51 for axis, side in enumerate(shape))


def _ink(distance: Floats) -> Floats:
    """Return the ink in [0, 1], 0 where there is only paper; errors as `normalize`."""
    coarse = reduced(distance, _coarse_factor(distance))
    darkest = float(coarse.max())
    level, deviation = _paper(coarse, darkest)
    if darkest < _FAINTEST or darkest - level < _BLANK_DEVIATIONS * deviation:
        if darkest > _UNEVEN:
            raise InputError("the background is too uneven: crop the picture to the digit")
        raise InputError("the picture is blank: nothing stands out from the background")
    level, deviation = _paper(distance, darkest)
    lowest = min(level + _PAPER_DEVIATIONS * deviation, darkest / 2)
    ink: Floats = np.clip((distance - lowest) / (darkest - lowest), 0, 1).astype(np.float32)
    return ink


def _paper(distance: Floats, darkest: float) -> tuple[float, float]:
    """Return the level of the paper and its standard deviation, from medians, which a few lines do not change."""
    paper = distance[distance < darkest / 2]
    if not paper.size:
        return 0.0, 0.0
    level = float(np.median(paper))
    return level, _NORMAL_MAD * float(np.median(np.abs(paper - level)))


def _cropped(ink: Floats) -> Floats:
    """Return the part of the ink that the digit covers.

    A coarse copy ignores specks. Then the edges are found to the pixel, also in the neighbouring coarse pixels: a digit
    may reach slightly into a coarse pixel that is nearly empty.
    """
    factor = _coarse_factor(ink)
    coarse = reduced(ink, factor)
    if coarse.max() <= _EDGE:
        raise InputError("the picture is blank: only specks stand out from the background")
    rows, columns = _bounds(coarse > _EDGE)
    top, left = (max(0, side.start - 1) * factor for side in (rows, columns))
    part = ink[top : (rows.stop + 1) * factor, left : (columns.stop + 1) * factor]
    return part[_bounds(part > _EDGE)]


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _coarse_factor(image: Floats) -> int:
    """Return the side of a coarse pixel, in pixels."""
    longest: int = max(image.shape)
    return -(-longest // _COARSE)


def _offset(digit: Floats, axis: int, side: int) -> int:
    """Return where the digit must begin along an axis so that its centre of mass is in the middle.

    The middle of 28 pixels is pixel 14: in all but two of MNIST's 70,000 images the mean index is 13.5 to 14.5.
    """
    offset = int(np.floor(side / 2 - centre_of_mass(digit, axis) + 0.5))
    latest: int = side - digit.shape[axis]
    return min(max(offset, 0), latest)


def _bytes(image: Floats) -> Bytes:
    result: Bytes = np.rint(image * np.float32(255)).astype(np.uint8)
    return result
