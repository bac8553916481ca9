"""The skeletons of the synthetic digits as data: the paths of a pen, several for each digit.

A skeleton is written as points "x,y" on a grid about 14 wide and 20 high, y downwards. The pen follows them on a
Catmull-Rom curve. "|" after a point makes it a corner; ";" lifts the pen. The number before a skeleton is its share
among those of its digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import isqrt

import numpy as np
import numpy.typing as npt

NODES = 72  # computed points of a curve: less than a pixel apart in nearly all images
UNIT = 256  # integers to a step of the grid
ONE = 1 << 12  # denominator of the coefficients of a curve

_MIDDLE = (7, 10)

SKELETONS: tuple[tuple[tuple[int, str], ...], ...] = (
    (
        (4, "9,0 5,1 2,5 0,10 1,15 4,19 8,20 12,17 14,12 14,6 12,2 8,0 5,1"),
        (2, "11,2 7,0 3,3 1,8 1,14 4,19 8,20 12,17 14,11 13,5 10,2 7,2 5,5"),
        (2, "4,2 1,6 0,12 2,18 7,20 12,17 15,11 14,5 10,1 6,0 3,3"),
        (2, "10,1 5,1 1,6 0,13 4,19 10,20 15,16 18,10 16,3 12,1 8,0"),
    ),
    (
        (5, "7,0 7,7 7,14 7,20"),
        (3, "12,0 9,7 6,14 3,20"),
        (1, "15,0 10,7 5,14 0,20"),
        (1, "3,5 7,0| 7,10 7,20"),
        (1, "3,4 7,0| 7,10 7,20; 2,20 7,20 13,20"),
    ),
    (
        (2, "2,5 5,1 10,1 12,5 9,11 5,15 1,19| 7,19 14,19"),
        (2, "2,5 5,1 10,0 13,4 10,10 5,15 1,20| 7,18 12,19 19,17"),
        (3, "2,5 6,1 12,0 14,5 10,11 4,17 1,18 1,15 5,14 10,18 14,19 20,17"),
        (2, "2,6 4,1 9,0 12,4 10,11 6,17 2,20 0,17 3,14 8,17 13,20 17,18"),
        (2, "1,2 7,1 14,1| 8,9 1,18| 8,18 18,17"),
        (2, "0,3 6,0 12,1 12,6 7,13 2,18| 9,18 19,18"),
        (2, "3,4 7,0 12,3 10,10 6,16 2,19 0,16 4,13 9,15 15,19"),
        (2, "2,2 8,0 12,3 12,9 8,16 3,19 0,17 3,14 9,15 16,17"),
        (2, "4,6 7,1 13,1 14,6 10,13 5,18 1,19 1,16 5,15 9,17 12,19 16,18"),
        (1, "2,3 8,0 13,2 10,8 3,14| 10,14 20,13"),
        (1, "2,3 5,0 8,2 7,8 4,14 1,20| 5,20 9,19"),
    ),
    (
        (3, "3,2 7,0 12,1 13,5 10,8 6,9| 12,11 14,15 10,19 5,20 2,18"),
        (2, "3,3 8,0 13,2 12,7 8,9 6,10 9,9 13,11 14,15 10,19 5,20 1,17"),
        (2, "3,1 9,1 14,1| 8,8| 13,10 15,15 11,19 6,20 1,18"),
        (2, "4,4 9,0 14,1 14,5 7,9| 13,11 13,16 8,20 1,19"),
        (2, "0,3 5,0 10,1 10,6 6,9| 12,10 15,14 12,19 6,20 2,18"),
    ),
    (
        (3, "3,1 2,6 1,11| 7,12 14,10; 12,0 11,7 10,14 9,20"),
        (2, "2,2 1,6 3,10 8,10 13,8; 13,0 12,7 11,14 11,20"),
        (2, "10,0 5,6 0,13| 7,13 15,13; 10,0 10,7 10,14 10,20"),
        (2, "3,1 2,8 5,11 10,9 12,1| 11,10 10,20"),
        (1, "10,20 11,10 12,0| 6,5 1,11| 7,12 14,11"),
        (2, "4,3 2,8 0,12| 8,11 18,9; 13,2 11,8 9,14 7,20"),
        (2, "5,2 2,9| 8,11 15,9; 17,0 12,9 8,20"),
        (2, "4,0 2,5 3,9 8,9 11,5; 12,2 11,8 10,14 9,20"),
    ),
    (
        (2, "5,1 4,8| 9,7 13,11 12,16 7,20 1,18; 5,1 10,1 15,0"),
        (2, "15,0 10,1 6,1| 5,5 4,9| 9,8 12,12 11,17 6,20 1,18"),
        (2, "14,1 9,0 6,3 5,7 9,9 12,13 9,18 4,20 0,18"),
        (2, "7,5 5,10| 10,10 13,14 10,18 5,20 0,18; 7,5 13,4 20,1"),
        (2, "19,0 13,2 7,3| 6,6 5,10| 11,11 12,16 7,19 1,18"),
        (2, "13,0 8,1 3,1| 3,5 3,9| 9,9 14,13 12,18 6,20 0,17"),
        (2, "3,1 3,5 3,9| 9,8 14,11 14,16 9,20 3,19; 3,1 8,1 14,1"),
        (2, "15,0 8,0 3,2 2,7 8,9 13,12 13,17 8,20 2,19 1,15"),
        (2, "16,0 10,1 5,4 4,8 10,9 13,13 10,18 3,20 0,18"),
        (1, "9,0 4,1| 3,8| 8,8 9,13 7,18 1,20"),
        (2, "4,3 3,10| 9,8 13,12 11,18 5,20 1,19; 6,2 12,1 17,1"),
    ),
    (
        (1, "11,0 6,4 2,10 1,15 4,20 9,19 11,15 8,11 4,12 1,16"),
        (2, "7,0 4,6 1,13 2,18 6,20 10,18 11,14 8,11 4,12 2,15"),
        (2, "12,2 8,0 3,4 1,11 3,18 8,20 12,16 11,11 6,9 2,13"),
        (3, "8,0 4,6 1,13 3,19 9,20 14,17 12,13 7,13 4,18"),
        (2, "12,0 6,6 1,13 2,18 7,20 13,17 13,12 8,12 4,17 5,19"),
        (2, "4,0 2,6 1,12 2,18 7,20 12,18 13,14 9,12 5,14 4,18"),
    ),
    (
        (2, "0,3 6,2 13,1| 9,9 6,15 5,20"),
        (2, "1,6 1,2| 7,2 13,1| 9,10 6,20"),
        (2, "0,3 6,2 13,1| 9,9 6,15 5,20; 4,10 9,10 13,9"),
        (2, "0,4 4,1 8,3 13,1| 10,8 7,14 6,20"),
        (2, "0,3 5,0 11,1 12,7 10,14 8,20"),
        (2, "0,3 6,2 13,1| 12,8 10,14 9,20"),
        (1, "0,3 6,2 13,1| 11,9 10,15 9,20; 6,11 11,10 16,10"),
        (2, "1,7 3,2 8,1 14,3 12,9 9,15 8,20"),
        (1, "0,6 8,4 18,1| 12,10 7,18"),
        (1, "3,3 8,1| 6,10 4,20"),
    ),
    (
        (2, "12,3 8,0 3,2 3,6 8,10 12,14 10,19 5,20 2,16 5,11 10,8 13,4 11,1"),
        (3, "7,9 3,6 4,1 9,0 12,4 8,9 3,13 2,17 6,20 11,18 12,13 7,9"),
        (2, "11,4 8,0 4,3 6,8 9,13 8,19 4,19 3,14 8,9 12,3"),
        (2, "17,2 10,0 5,3 7,8 11,13 9,18 4,20 1,17 5,12 11,8 16,4"),
        (2, "16,1 12,7 6,12 1,16 3,20 9,18 10,13 6,8 3,4 7,0 13,1"),
        (2, "11,2 6,0 2,3 4,8 10,12 13,16 9,20 4,19 3,15 6,11 10,7 12,3"),
        (2, "4,1 9,0 13,2 11,6 6,9 2,13 3,18 8,20 13,17 13,12 8,9 3,6 3,2 7,0"),
        (2, "13,3 9,0 5,2 5,6 9,9 12,13 11,18 6,20 3,16 6,11 11,8 15,4"),
    ),
    (
        (3, "12,3 8,0 3,2 1,7 4,10 9,9 12,3| 12,10 11,20"),
        (2, "12,2 7,0 2,3 2,8 6,10 11,7 13,1| 12,8 10,14 9,20"),
        (2, "12,4 8,0 3,2 1,7 4,10 9,9 12,4 12,11 10,17 6,20 2,18"),
        (3, "10,2 6,0 1,3 1,7 6,8 10,3| 9,9 7,15 6,20"),
        (2, "13,1 8,1 2,5 3,8 9,7 13,2| 10,10 7,15 5,20"),
        (2, "9,2 5,0 0,4 1,8 6,9 10,5 10,2| 11,10 12,20"),
    ),
)


@dataclass(frozen=True)
class Skeletons:
    """All S skeletons as arrays of K points each; missing points and their coefficients are 0.

    Attributes:
        points: int32 [2, S, K], x and y from the middle of the grid, in 1/256 of a step.
        curve: int32 [S, NODES, K]: the nodes on the curve are curve @ points / 4096.
        down: int64 [S, NODES - 1]: 0 where the pen is lifted between two nodes, else 1.
        choice: for each digit the indices of its skeletons, each repeated as often as its share.
    """

    points: npt.NDArray[np.int32]
    curve: npt.NDArray[np.int32]
    down: npt.NDArray[np.int64]
    choice: tuple[npt.NDArray[np.int64], ...]


@lru_cache(maxsize=1)
def skeletons() -> Skeletons:
    """Return SKELETONS as arrays."""
    parsed = [_parsed(text) for ways in SKELETONS for _, text in ways]
    columns = max(len(points) for points, _ in parsed)
    points = np.zeros((2, len(parsed), columns), np.int32)
    curve = np.zeros((len(parsed), NODES, columns), np.int32)
    down = np.ones((len(parsed), NODES - 1), np.int64)
    for number, (places, strokes) in enumerate(parsed):
        points[:, number, : len(places)] = (np.array(places).T - np.array(_MIDDLE)[:, None]) * UNIT
        node = 0
        for stroke, count in zip(strokes, _shares(places, strokes), strict=True):
            for coefficients in _curve(places, stroke, count):
                for column, coefficient in coefficients:
                    curve[number, node, column] += coefficient
                node += 1
            down[number, node - 1 : node] = 0  # an empty slice after the last stroke
    numbers = iter(range(len(parsed)))
    choice = tuple(np.array([n for share, _ in ways for n in [next(numbers)] * share]) for ways in SKELETONS)
    return Skeletons(points, curve, down, choice)


_Points = list[tuple[int, int]]


def _parsed(text: str) -> tuple[_Points, list[list[int]]]:
    """Return the points of a skeleton, and for each stroke the indices of its points; a corner is there twice."""
    points: _Points = []
    strokes = []
    for part in text.split(";"):
        stroke = []
        for word in part.split():
            x, y = word.rstrip("|").split(",")
            stroke += [len(points)] * (2 if word.endswith("|") else 1)
            points.append((int(x), int(y)))
        strokes.append(stroke)
    return points, strokes


def _spans(points: _Points, stroke: list[int]) -> list[int]:
    """Return the distances between the points of a stroke, rounded down to 1/256 of a step."""
    pairs = [(points[a], points[b]) for a, b in pairwise(stroke)]
    return [isqrt(((ax - bx) ** 2 + (ay - by) ** 2) * UNIT**2) for (ax, ay), (bx, by) in pairs]


def _shares(points: _Points, strokes: list[list[int]]) -> list[int]:
    """Return the number of nodes of each stroke, by its length; the first one gets the remainder."""
    lengths = [sum(_spans(points, stroke)) for stroke in strokes]
    later = [NODES * length // sum(lengths) for length in lengths[1:]]
    return [NODES - sum(later), *later]


def _curve(points: _Points, stroke: list[int], count: int) -> Iterator[list[tuple[int, int]]]:
    """Yield, for each of `count` nodes spread evenly along a stroke, four points and their coefficients over 4096."""
    spans = _spans(points, stroke)
    for node in range(count):
        way, span = sum(spans) * node // (count - 1), 0
        while way > spans[span]:
            way -= spans[span]
            span += 1
        t = way * ONE // spans[span]
        # Catmull-Rom: (-t + 2t² - t³)/2, …, (t + 4t² - 3t³)/2, (t³ - t²)/2, and together 1. t³ has 36 bits of fraction.
        before, to, after = (
            (a * t * ONE**2 + b * t**2 * ONE + c * t**3 + (1 << 24)) >> 25
            for a, b, c in ((-1, 2, -1), (1, 4, -3), (0, -1, 1))
        )
        around = [stroke[min(max(span + step, 0), len(stroke) - 1)] for step in (-1, 0, 1, 2)]
        yield list(zip(around, (before, ONE - before - to - after, to, after), strict=True))
