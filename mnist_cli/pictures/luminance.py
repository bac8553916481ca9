"""Turn every kind of picture into grey levels: colour, palette, 16 bits, transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = npt.NDArray[np.float32]

# Longer pictures are first averaged down to this: more pixels add nothing to an image of MNIST's size.
_LONGEST = 1024
_STRIP = 1_000_000  # pixels converted to floats at a time
# Weights of red, green and blue in the luma of ITU-R BT.601, as in Pillow's conversion to grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(image: Image | npt.ArrayLike) -> Floats:
    """Return the grey levels of a picture, with its transparent parts as background.

    Args:
        image: as `normalize` takes it.

    Returns:
        float32 [height, width] in [0, 1], 0 = black; a large picture is averaged down to at most 1,024 pixels a side.

    Raises:
        InputError: it is not a picture.
    """
    try:
        if hasattr(image, "getbands"):
            return _luminance_of_image(cast("Image", image))
        grey, alpha = _planes_of_array(image)
        return _on_background(*_averaged_planes(grey, alpha, -(-max(grey.shape) // _LONGEST)))
    except MemoryError as error:
        raise InputError("the picture is too large for the free memory") from error


def area_average(image: npt.NDArray[Any], height: int, width: int) -> Floats:
    """Return the image in another size; each pixel is the mean of the area that it covers.

    Args:
        image: numbers [rows, columns].
        height, width: the new size; larger ones repeat pixels.
    """
    rows = _averaged_rows(image, height)
    return np.ascontiguousarray(_averaged_rows(rows.T, width).T, np.float32)


def shrunk(image: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """Return the image, shrunk in proportion to at most this many rows and columns; a small one unchanged.

    Args:
        image: numbers [rows, columns] of any sign.
        height, width: the most rows and columns, at least 1.
    """
    rows, columns = image.shape
    scale = min(height / rows, width / columns)
    if scale >= 1:
        return image
    small = area_average(image, max(1, round(rows * scale)), max(1, round(columns * scale)))
    return (np.rint(small) if image.dtype.kind == "u" else small).astype(image.dtype)


def reduced(plane: npt.NDArray[Any], factor: int) -> Floats:
    """Return the plane in [0, 1] as float32, with each square of `factor` pixels a side averaged."""
    if factor > 1:
        from PIL.Image import fromarray

        plane = np.asarray(fromarray(np.ascontiguousarray(plane)).reduce(factor))
    return _unit(plane)


def _averaged_rows(image: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """Return float64 [count, columns], from the sum of all rows above each edge and the row that the edge cuts."""
    above = np.cumsum(image, axis=0, dtype=np.float64) - image
    edges = np.linspace(0, len(image), count + 1)
    cut = np.minimum(edges.astype(np.intp), len(image) - 1)
    sums = above[cut] + image[cut] * (edges - cut)[:, np.newaxis]
    means: npt.NDArray[np.float64] = np.diff(sums, axis=0) * (count / len(image))
    return np.clip(means, image.min(), image.max())  # the difference of two sums may be off in the last bit


def _luminance_of_image(image: Image) -> Floats:
    """Return the grey levels of a picture, strip by strip: as floats, a large one takes four times the memory."""
    white = _white(image.getextrema()[1]) if image.mode.startswith("I") else 0
    factor = -(-max(image.size) // _LONGEST)
    rows = max(1, _STRIP // (image.width * factor)) * factor
    strips = [
        _averaged_planes(*_planes_of_image(image.crop((0, top, image.width, bottom)), white), factor)
        for top in range(0, image.height, rows)
        for bottom in [min(top + rows, image.height)]
    ]
    greys, alphas = zip(*strips, strict=True)
    return _on_background(np.concatenate(greys), None if alphas[0] is None else np.concatenate(alphas))


def _averaged_planes(
    grey: npt.NDArray[Any], alpha: npt.NDArray[Any] | None, factor: int
) -> tuple[Floats, Floats | None]:
    """Return the grey levels times their visibility, and the visibility; both averaged down."""
    if alpha is None:
        return reduced(grey, factor), None
    # An invisible pixel may have any colour, so colours are weighted by their visibility.
    return reduced(_unit(grey) * _unit(alpha), factor), reduced(alpha, factor)


def _on_background(seen: Floats, visible: Floats | None) -> Floats:
    if visible is None:
        return seen
    composed: Floats = seen + (1 - visible) * _background(seen, visible)
    return composed


def _planes_of_image(image: Image, white: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA").convert("LA"))
        return pixels[..., 0], pixels[..., 1]
    if image.mode == "F":
        return _planes_of_array(np.asarray(image))
    if white:  # Pillow's own conversion to 8 bits would cut off at 255
        return (np.asarray(image).clip(0) / white).astype(np.float32), None
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L")), None


def _planes_of_array(image: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    array = np.asarray(image)
    pixels = array[..., np.newaxis] if array.ndim == 2 else array
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] > 4:
        expected = "[height, width] or [height, width, 1 to 4 channels]"
        raise InputError(f"picture: expected {expected}; received {[*array.shape]}")
    if pixels.dtype.kind != "f" and pixels.dtype not in (np.uint8, np.uint16, np.bool_):
        raise InputError(f"picture: expected uint8, uint16, or floats in [0, 1]; received {array.dtype}")
    scaled = _unit(pixels)
    # Written so that NaN fails too.
    if not (scaled.min() >= 0 and scaled.max() <= 1):
        raise InputError(f"picture: expected floats in [0, 1]; received {array.min():g} to {array.max():g}")
    has_colour, has_alpha = pixels.shape[2] >= 3, pixels.shape[2] % 2 == 0
    grey = scaled[..., :3] @ _LUMA if has_colour else scaled[..., 0]
    return grey, scaled[..., -1] if has_alpha else None


def _unit(plane: npt.NDArray[Any]) -> Floats:
    """Return unsigned integers, scaled, or floats as float32 in [0, 1]."""
    if plane.dtype.kind == "u":
        plane = np.divide(plane, np.float32(_white(plane.max(initial=0))), dtype=np.float32)
    floats: Floats = plane.astype(np.float32, copy=False)
    return floats


def _white(greatest: Any) -> int:
    """Return the value of white: many programs write 8, 12 or 14 bits into files of 16, which would look black."""
    return (1 << max(8, int(greatest).bit_length())) - 1


def _background(seen: Floats, visible: Floats) -> np.float32:
    """Return the grey level that belongs behind the transparent parts.

    Args:
        seen: float32 [height, width], grey levels times `visible`.
        visible: float32 [height, width], 0 where the picture is transparent, 1 where it is opaque.
    """
    border = np.ones(seen.shape, np.bool_)
    border[1:-1, 1:-1] = False
    if visible[border].mean() > 0.5:  # paper with holes or rounded corners
        opaque = border & (visible > 0.5)
        return np.float32(np.median(seen[opaque] / visible[opaque]))
    # A drawing without a background: white belongs behind dark ink, black behind light ink.
    return np.float32(seen.sum() < 0.5 * visible.sum())
