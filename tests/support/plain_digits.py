"""The synthetic digits once more, an image at a time in plain Python: integers and fractions, without NumPy.

It shares the package's data (skeletons, pens, strengths) and none of its code.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor, isqrt

from mnist_cli.sources import strokes, synthetic
from tests.support.exact import WORD, mix

Point = tuple[int, int]


class Chance:
    """The hashes of one image by stream."""

    def __init__(self, seed: int, number: int) -> None:
        key = mix((seed & WORD) + 0x9E3779B9 & WORD)
        key = mix(key * 31 + (seed >> 32) + 0x9E3779B9 & WORD)
        self.key = mix(key + number & WORD)

    def word(self, stream: int) -> int:
        return mix(self.key + 0x9E3779B9 * mix(stream + 1) & WORD)

    def below(self, stream: int, limit: int) -> int:
        return self.word(stream) * limit >> 32

    def bell(self, stream: int) -> int:
        return sum(self.word(stream).to_bytes(4, "little")) - 510


def plain_labels(seed: int, first: int, count: int) -> list[int]:
    order = sorted(range(count), key=lambda place: Chance(seed, first + place).word(0))
    return [place % 10 for place in order]


def plain_digit(label: int, seed: int, number: int) -> bytes:
    """Return the 784 pixels of one image."""
    chance = Chance(seed, number)
    ways = [text for share, text in strokes.SKELETONS[label] for _ in range(share)]
    text = ways[chance.below(1, len(ways))]
    pen = synthetic._PENS[chance.below(2, len(synthetic._PENS))]
    points, lines = parsed(text)
    corners = [turned(point, chance) for point in warped(moved(points, chance), chance)]
    curves = [
        [along(corners, points, line, Fraction(node, count - 1)) for node in range(count)]
        for line, count in zip(lines, shared(points, lines), strict=True)
    ]
    return centred(inked(boxed(curves, pen[4]), pen))


def parsed(text: str) -> tuple[list[Point], list[list[int]]]:
    points: list[Point] = []
    lines: list[list[int]] = []
    for stroke in text.split(";"):
        lines.append([])
        for word in stroke.split():
            x, y = word.replace("|", "").split(",")
            points.append((int(x), int(y)))
            lines[-1] += [len(points) - 1] * (1 + word.count("|"))
    return points, lines


def distances(points: list[Point], line: list[int]) -> list[int]:
    found = []
    for one, other in pairwise(line):
        (ax, ay), (bx, by) = points[one], points[other]
        found.append(isqrt(256 * 256 * ((ax - bx) ** 2 + (ay - by) ** 2)))
    return found


def shared(points: list[Point], lines: list[list[int]]) -> list[int]:
    lengths = [sum(distances(points, line)) for line in lines]
    counts = [72 * length // sum(lengths) for length in lengths]
    counts[0] = 72 - sum(counts[1:])
    return counts


def moved(points: list[Point], chance: Chance) -> list[Point]:
    most = max(len(parsed(text)[0]) for ways in strokes.SKELETONS for _, text in ways)
    result = []
    for place, point in enumerate(points):
        both = []
        for axis in (0, 1):
            alone = chance.bell(20 + axis * most + place)
            near = [chance.bell(20 + (2 + axis) * most + (place + step) % most) for step in (-2, -1, 0, 1, 2)]
            together = near[0] + 2 * near[1] + 3 * near[2] + 2 * near[3] + near[4]
            shift = floor(Fraction(alone * synthetic._TREMBLE + together * synthetic._DRIFT, 128))
            both.append((point[axis] - (7, 10)[axis]) * 256 + shift)
        result.append((both[0], both[1]))
    return result


def warped(points: list[Point], chance: Chance) -> list[Point]:
    result = []
    for x, y in points:
        squares = [x * x // 2048, x * y // 2048, y * y // 2048]
        cubes = [squares[0] * x // 2048, squares[0] * y // 2048, squares[2] * x // 2048, squares[2] * y // 2048]
        terms = [synthetic._BEND * square for square in squares] + [synthetic._CURL * cube for cube in cubes]
        shifts = [
            sum(chance.bell(3 + 7 * axis + i) * term for i, term in enumerate(terms)) // 131072 for axis in (0, 1)
        ]
        result.append((x + shifts[0], y + shifts[1]))
    return result


def turned(point: Point, chance: Chance) -> Point:
    x, y = point
    turn = chance.bell(19) * synthetic._TURN
    across = x * (4096 + chance.bell(17) * synthetic._STRETCH // 128)
    across -= y * (synthetic._SLANT + (chance.bell(18) * synthetic._LEAN + turn) // 128)
    return across // 4096, (y * 4096 + x * (turn // 128)) // 4096


def along(corners: list[Point], points: list[Point], line: list[int], share: Fraction) -> Point:
    spans = distances(points, line)
    way, span = floor(sum(spans) * share), 0
    while way > spans[span]:
        way -= spans[span]
        span += 1
    t = Fraction(way * 4096 // spans[span], 4096)
    weights = [
        floor(4096 * (-t + 2 * t**2 - t**3) / 2 + Fraction(1, 2)),
        0,
        floor(4096 * (t + 4 * t**2 - 3 * t**3) / 2 + Fraction(1, 2)),
        floor(4096 * (t**3 - t**2) / 2 + Fraction(1, 2)),
    ]
    weights[1] = 4096 - sum(weights)
    around = [corners[line[min(max(span + step, 0), len(line) - 1)]] for step in (-1, 0, 1, 2)]
    x, y = (sum(weight * point[axis] for weight, point in zip(weights, around, strict=True)) // 4096 for axis in (0, 1))
    return x, y


def boxed(curves: list[list[Point]], reach: int) -> list[list[Point]]:
    every = [point for curve in curves for point in curve]
    low = [min(point[axis] for point in every) for axis in (0, 1)]
    extent = [max(point[axis] for point in every) - low[axis] for axis in (0, 1)]
    scale = (20 * 256 - 2 * reach) * 65536 // max(extent)
    start = [(20 * 256 - extent[axis] * scale // 65536) // 2 - 128 for axis in (0, 1)]
    return [
        [((x - low[0]) * scale // 65536 + start[0], (y - low[1]) * scale // 65536 + start[1]) for x, y in curve]
        for curve in curves
    ]


def inked(curves: list[list[Point]], pen: tuple[int, ...]) -> list[list[int]]:
    grid = [[0] * 24 for _ in range(24)]
    for curve in curves:
        for (ax, ay), (bx, by) in pairwise(curve):
            square = 4 * ((ax - bx) ** 2 + (ay - by) ** 2)
            length = (isqrt(square) + 1) // 2  # the nearest integer to the root
            x, y = (ax + bx) // 2 + 2 * 256, (ay + by) // 2 + 2 * 256
            for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = abs(256 * (1 - row) - y % 256) * abs(256 * (1 - column) - x % 256)
                grid[y // 256 + row][x // 256 + column] += share * length
    grid = [[min((ink + 32768) // 65536, 2048) for ink in line] for line in grid]
    profile = [pen[abs(step)] for step in range(-2, 3)]
    wide = [[sum(profile[i] * line[column + i] for i in range(5)) // 16 for column in range(20)] for line in grid]
    both = [
        [sum(profile[i] * wide[row + i][column] for i in range(5)) // 16 for column in range(20)] for row in range(20)
    ]
    return [[min(max(ink // 4 * pen[3] // 16384 - synthetic._FADE, 0), 255) for ink in line] for line in both]


def centred(box: list[list[int]]) -> bytes:
    mass = sum(map(sum, box))
    row = Fraction(sum(place * sum(line) for place, line in enumerate(box)), mass)
    column = Fraction(sum(place * pixel for line in box for place, pixel in enumerate(line)), mass)
    top, left = (min(max(14 - floor(middle + Fraction(1, 2)), 0), 8) for middle in (row, column))
    image = bytearray(28 * 28)
    for place, line in enumerate(box):
        image[(top + place) * 28 + left : (top + place) * 28 + left + 20] = bytes(line)
    return bytes(image)
