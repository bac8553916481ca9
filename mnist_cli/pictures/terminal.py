"""Images as lines of text: half blocks where there are colours, characters where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.pictures.colours import diverging, over_drawing
from mnist_cli.pictures.luminance import shrunk

_SHADES = " .:-=+*#%@"  # ten steps from background to ink
# Two characters a pixel, from nothing to much.
_FOR = (" ·", " +", "++")
_AGAINST = (" ·", " -", "--")
_RESET = "\x1b[0m"
_LINES = 64  # of one image at most, however tall it is
_FAINT = 1 / 20  # share of the largest weight below which no sign is drawn
_GAP = "  "
_DARK = 140  # luma of a background, 0 to 255, up to which white text is easier to read than black


@dataclass(frozen=True, slots=True)
class Drawing:
    """An image as text.

    Attributes:
        lines: its rows.
        width: how many characters of the screen each takes up; colours make a line longer than that.
    """

    lines: list[str]
    width: int


@dataclass(frozen=True, slots=True)
class Screen:
    """What images are drawn on. An image that is too large for it is shrunk, each new pixel a mean of old ones.

    Attributes:
        columns: its width in characters.
        in_colour: whether it shows colours.
        has_palette: whether these are the 256 of a palette (16 to 255 of xterm), and not any of 24 bits.
    """

    columns: int
    in_colour: bool
    has_palette: bool = False

    def ink(self, image: npt.NDArray[np.uint8]) -> Drawing:
        """Draw uint8 [height, width], 0 = background."""
        small = self._fitted(image)
        return self._drawing(half_blocks(small, self.has_palette) if self.in_colour else shades(small), small)

    @property
    def widest(self) -> int:
        """Columns of an image that is not shrunk."""
        return self.columns if self.in_colour else max(1, self.columns // 2)

    def weights(self, values: npt.NDArray[np.floating], limit: float) -> Drawing:
        """Draw floats [height, width] on a scale from −limit to limit; NaN is the background between two grids."""
        whole = np.nan_to_num(values)
        small = self._fitted(whole)
        if self.in_colour:
            colours = diverging(small, limit)
            if small is whole:
                colours[np.isnan(values)] = 0
            return self._drawing(half_blocks(colours, self.has_palette), small)
        return self._drawing(signs(small, limit, abs(small) > limit * _FAINT), small)

    def evidence(self, values: npt.NDArray[np.floating], ink: npt.NDArray[np.uint8]) -> Drawing:
        """Draw signed numbers over the image that they belong to; both are [height, width]."""
        small, under = self._fitted(values), self._fitted(ink)
        if self.in_colour:
            return self._drawing(half_blocks(over_drawing(small, under), self.has_palette), small)
        return self._drawing(signs(small, float(abs(small).max()), under > 0), small)

    def on_colour(self, text: str, value: float) -> str:
        """Return a text on the colour of a number from −1 to 1, readable on each of them."""
        (colour,) = diverging(np.array([value]), 1.0).tolist()
        name = (_in_palette if self.has_palette else _in_24_bits)(colour)
        ink = 30 if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > _DARK else 97
        return f"\x1b[{ink};48;{name}m{text}{_RESET}"

    def side_by_side(self, drawings: Sequence[tuple[str, Drawing]]) -> list[str]:
        """Return titled drawings of one size beside each other, as many in a row as there is room for."""
        from rich.cells import cell_len, set_cell_size

        if not drawings:
            return []
        # A title longer than its drawing gets more room, but not so much that fewer than two stand in a row.
        longest = max(cell_len(title) for title, _ in drawings)
        width = max(drawings[0][1].width, min(longest, (self.columns - len(_GAP)) // 2))
        many = max(1, (self.columns + len(_GAP)) // (width + len(_GAP)))
        lines: list[str] = []
        for start in range(0, len(drawings), many):
            row = drawings[start : start + many]
            lines.append(_GAP.join(set_cell_size(title, width) for title, _ in row).rstrip())
            padded = [[line + " " * (width - one.width) for line in one.lines] for _, one in row]
            lines += [_GAP.join(parts).rstrip() for parts in zip(*padded, strict=True)]
            lines.append("")
        return lines

    def _fitted(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return shrunk(image, 2 * _LINES if self.in_colour else _LINES, self.widest)

    def _drawing(self, lines: list[str], image: npt.NDArray[Any]) -> Drawing:
        return Drawing(lines, image.shape[1] * (1 if self.in_colour else 2))


def half_blocks(colours: npt.NDArray[np.uint8], has_palette: bool = False) -> list[str]:
    """Return an image in colours, of 24 bits or of the palette, as half blocks, which are about square.

    Two rows of pixels make one line.

    Args:
        colours: uint8 [height, width, 3], or [height, width] for grey.
    """
    if colours.ndim == 2:
        colours = np.repeat(colours[..., np.newaxis], 3, axis=-1)
    if len(colours) % 2:
        colours = np.concatenate([colours, np.zeros_like(colours[:1])])
    pairs = zip(colours[::2].tolist(), colours[1::2].tolist(), strict=True)
    name = _in_palette if has_palette else _in_24_bits
    return [
        "".join(f"\x1b[38;{name(upper)};48;{name(lower)}m▀" for upper, lower in zip(*pair, strict=True)) + _RESET
        for pair in pairs
    ]


def _in_24_bits(colour: Sequence[int]) -> str:
    return f"2;{';'.join(map(str, colour))}"


def _in_palette(colour: Sequence[int]) -> str:
    """Return the nearest of the palette's colours: a cube of 6 × 6 × 6, and 24 greys beside it."""
    levels = [0 if value < 48 else 1 if value < 115 else (value - 35) // 40 for value in colour]
    cube = [(0, 95, 135, 175, 215, 255)[level] for level in levels]
    step = min(23, max(0, (sum(colour) // 3 - 3) // 10))
    grey = 8 + 10 * step
    distances = [sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)) for other in (cube, [grey] * 3)]
    index = 232 + step if distances[1] < distances[0] else 16 + 36 * levels[0] + 6 * levels[1] + levels[2]
    return f"5;{index}"


def shades(image: npt.NDArray[np.uint8]) -> list[str]:
    """Return an image as characters, two for each pixel; uint8 [height, width], 0 = background = space."""
    return ["".join(_SHADES[value * len(_SHADES) // 256] * 2 for value in row) for row in image.tolist()]


def signs(values: npt.NDArray[np.floating], limit: float, shown: npt.NDArray[np.bool_]) -> list[str]:
    """Return signed numbers as characters, two for each: `++` much, ` +` some, ` ·` little, ` -`, `--` for negative.

    Args:
        values: floats [height, width].
        limit: the magnitude that counts as all; from a third of it on it is some, from two thirds much.
        shown: bool [height, width]: where there is anything to show; elsewhere are spaces.
    """
    steps = np.minimum(np.abs(values) / (limit or 1) * 3, 2).astype(int)
    return [
        "".join(
            ((_AGAINST if value < 0 else _FOR)[step] if seen else "  ") for value, step, seen in zip(*row, strict=True)
        )
        for row in zip(values.tolist(), steps.tolist(), shown.tolist(), strict=True)
    ]
