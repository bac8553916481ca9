"""180 drawings for the pad: ten digits, in six manners of drawing, three each. The same points every time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin

from mnist_cli.sources.strokes import SKELETONS

MANNERS = ("large", "half the pad", "small", "small, in a corner", "few points", "shaky")
EACH = 3
SMALL = ("small", "small, in a corner")

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """What somebody draws.

    Attributes:
        digit: what it is meant to be.
        manner: how it is drawn, one of MANNERS.
        strokes: points in shares of the pad's width and height; the pen is lifted between two strokes.
    """

    digit: int
    manner: str
    strokes: Sequence[Sequence[Point]]


def drawings() -> Iterator[Drawing]:
    """Give all drawings, digit by digit."""
    for digit, skeletons in enumerate(SKELETONS):
        # Some digits are written in fewer ways than three.
        for number in range(EACH):
            way = _strokes(skeletons[number % len(skeletons)][1])
            for manner in MANNERS:
                yield Drawing(digit, manner, _drawn(way, manner, f"{digit} {number} {manner}"))


def _strokes(text: str) -> list[list[Point]]:
    """Return the points of a skeleton, which stand as `x,y x,y| x,y; x,y`: corners and lifts of the pen."""
    strokes = []
    for part in text.split(";"):
        pairs = [pair.strip("|").split(",") for pair in part.split()]
        strokes.append([(float(x), float(y)) for x, y in pairs])
    return strokes


def _drawn(way: list[list[Point]], manner: str, seed: str) -> list[list[Point]]:
    share = {"large": 0.8, "half the pad": 0.5, "few points": 0.6, "shaky": 0.65}.get(manner, 0.22)
    centre = (0.2, 0.78) if manner == "small, in a corner" else (0.5, 0.5)
    xs, ys = zip(*(point for stroke in way for point in stroke), strict=True)
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    scale = share / max(max(xs) - min(xs), max(ys) - min(ys))
    result = []
    for index, stroke in enumerate(way):
        curve = stroke if manner == "few points" else _rounded(stroke)
        moved = [(centre[0] + (x - middle[0]) * scale, centre[1] + (y - middle[1]) * scale) for x, y in curve]
        result.append([_shaken(point, f"{seed} {index} {at}", manner) for at, point in enumerate(moved)])
    return result


def _rounded(stroke: Sequence[Point], turns: int = 2) -> list[Point]:
    """Return the corners of a line cut off twice (Chaikin, 1974): a hand draws no corners."""
    points = list(stroke)
    for _ in range(turns):
        cut = [points[0]]
        for (x0, y0), (x1, y1) in pairwise(points):
            cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
        points = [*cut, points[-1]]
    return points


def _shaken(point: Point, seed: str, manner: str) -> Point:
    if manner != "shaky":
        return point
    first, second = hashlib.sha256(seed.encode()).digest()[:2]
    angle, radius = 2 * pi * first / 256, 0.015 * second / 256
    return point[0] + radius * cos(angle), point[1] + radius * sin(angle)
