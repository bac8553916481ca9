"""Read and check a feature map's description in YAML; all problems are reported at once.

    title: two directions                    # a short description
    program:                                 # operations, in order
      - deskew: {position: 6, shear: 10}     # or the word alone; fractional bits
      - shrink: 2                            # means over 2 × 2 pixels
      - conv: {kernels: differences, shift: 0}    # or morlet, or lists of odd squares of whole numbers
      - relu2
      - modulus                              # of pairs of maps: the first half and the second
      - pool: {box: 4, shift: 8}             # or gauss: 2, every: 4; or rows: [[…]], columns: [[…]]
      - cat: [[…], […]]                      # programs side by side; must be last
    exemplars: {directions: 300, count: 4000}     # optional

The shipped maps are such files, in this folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.config import kinds
from mnist_cli.config.kinds import KeyPath, Kind, Wrong, dotted, shown
from mnist_cli.config.layers import shortened_config_error
from mnist_cli.config.yaml_document import SIZE_LIMIT, read_yaml
from mnist_cli.maps import GAUSSIANS, KERNELS, MAPS, PIXELS
from mnist_cli.text import printable

_FOLDER = Path(__file__).parent
_NAME_OR_FILE = kinds.name_or_file(MAPS, "map.yaml")
_LARGEST = 2**23  # of a weight
_MOST_KERNELS, _WIDEST_KERNEL, _MOST_WINDOWS = 256, 31, 256
_DEPTH = 20  # of nested lists and keys
_MOST_OPS = 400  # of a map: a file names at most 1,000 arrays

# An operation as described: its name and its values.
DescribedOp = tuple[str, Mapping[str, Any]]
Problem = tuple[KeyPath, str | None]


@dataclass(frozen=True)
class Description:
    """A feature map, not yet fitted to a size of images.

    Attributes:
        name: of a shipped map; `own` for a user's own.
        title: a short description.
        program: its operations; `cat` holds its programs under `programs`.
        exemplars: `directions` and `count`, or nothing.
        identity: what identifies it in a key: the name of a shipped map, or a digest of the user's description.
    """

    name: str
    title: str
    program: tuple[DescribedOp, ...]
    exemplars: Mapping[str, int]
    identity: str


def find_map(value: str, folder: Path = Path()) -> Description:
    """Return the map of that name, or from a user's YAML file.

    Args:
        value: one of MAPS except `pixels`, or the path of a file.
        folder: the base of a relative path.

    Raises:
        ConfigError: with every problem, each with line and column.
    """
    try:
        return read_map(value, folder)
    except Wrong as wrong:
        raise shortened_config_error([f"features.map: {problem}" for _, problem in wrong.problems if problem]) from None


def read_map(value: object, folder: Path = Path()) -> Description:
    """Return the same map, but raise Wrong for problems."""
    name = _NAME_OR_FILE.check(value)
    if name == PIXELS:
        raise Wrong([((), f"expected a map that computes something; received {shown(name)}")])
    return _shipped(name) if name in MAPS else _read(folder / name, None)


@cache  # every use of a stage's parameters needs it
def _shipped(name: str) -> Description:
    return _read(_FOLDER / f"{name}.yaml", name)


def _read(path: Path, name: str | None) -> Description:
    try:
        with files.open_regular(path) as file:
            text = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Wrong([((), f"{printable(path)}: cannot be read: {error.strerror}")]) from None
    document = read_yaml(text, depth=_DEPTH)
    problems = [f"{line}:{column}: {problem}" for (line, column), problem in document.problems]
    described = None
    try:
        described = _FILE.check(document.content)
    except Wrong as wrong:
        for inner, problem in wrong.problems:
            line, column = document.place(inner)
            received = document.content
            for part in inner if problem is None else ():
                received = received[part]
            words = problem or f"expected {_FILE.expected}; received {shown(received)}"
            problems.append(f"{line}:{column}: {f'{dotted(inner)}: ' if inner else ''}{words}")
    if problems or described is None:
        raise Wrong([((), f"{printable(path)}:{problem}") for problem in problems]) from None
    program, exemplars = described["program"], described.get("exemplars", {})
    content = json.dumps([program, exemplars], sort_keys=True, separators=(",", ":"))
    identity = name or f"own {hashlib.sha256(content.encode()).hexdigest()}"
    return Description(name or "own", described.get("title", ""), program, exemplars, identity)


def _check_matrix(value: Any, *, low: int, rows: int, is_square: bool) -> Any:
    """Check that these are rows of whole numbers, all of one length; raises Wrong."""
    is_list = isinstance(value, list) and value and all(isinstance(row, list) and row for row in value)
    if not is_list or len(value) > rows or any(len(row) != len(value[0]) for row in value):
        raise Wrong
    if is_square and (len(value) != len(value[0]) or len(value) % 2 == 0):
        raise Wrong
    wrong = [
        ((y, x), f"expected a whole number from {low} to {_LARGEST}; received {shown(item)}")
        for y, row in enumerate(value)
        for x, item in enumerate(row)
        if type(item) is not int or not low <= item <= _LARGEST
    ]
    if wrong:
        raise Wrong(wrong)
    return value


def _check_kernels(value: Any) -> Any:
    if isinstance(value, str) and value in KERNELS:
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_KERNELS:
        raise Wrong
    problems: list[Problem] = []
    for index, kernel in enumerate(value):
        try:
            _check_matrix(kernel, low=-_LARGEST, rows=_WIDEST_KERNEL, is_square=True)
        except Wrong as wrong:
            shape = f"expected a square with an odd side, at most {_WIDEST_KERNEL}; received {_outline(kernel)}"
            problems += [((index, *inner), problem or shape) for inner, problem in wrong.problems]
    if not problems and any(len(kernel) != len(value[0]) for kernel in value):
        problems.append(((), "expected kernels of one size"))
    if problems:
        raise Wrong(problems)
    return value


def _check_windows(value: Any) -> Any:
    try:
        return _check_matrix(value, low=0, rows=_MOST_WINDOWS, is_square=False)
    except Wrong as wrong:
        shape = f"expected {_WINDOWS.expected}; received {_outline(value)}"
        raise Wrong([(inner, problem or shape) for inner, problem in wrong.problems]) from None


def _outline(value: Any) -> str:
    """Describe the shape of rows of numbers, for an error."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        return shown(value)
    lengths = sorted({len(row) for row in value})
    return f"{len(value)} rows of {' or '.join(map(str, lengths[:3])) or 'nothing'}"


def _check_sigma(value: Any) -> Any:
    if type(value) is not int or value not in GAUSSIANS:
        raise Wrong
    return value


def _check_pool(value: Any) -> Any:
    right = _POOL.check(value)
    ways = [sorted(way) for way in (("box",), ("gauss", "every"), ("rows", "columns"))]
    if sorted(set(right) - {"shift"}) not in ways:
        given = ", ".join(sorted(set(right) - {"shift"})) or "none of them"
        raise Wrong([((), f"expected box, or gauss and every, or rows and columns; received {given}")])
    return right


def _check_cat(value: Any) -> Any:
    _check_length(value, "a list of programs")
    return {"programs": _each(_check_program)(value)}


def _check_program(value: Any) -> Any:
    _check_length(value, "a list of operations")
    program = _each(_check_op)(value)
    problems: list[Problem] = [
        ((index,), f"{name}: {why}")
        for index, (name, _) in enumerate(program)
        for wrong, why in (
            (name == "cat" and index < len(program) - 1, "expected it to be the last operation"),
            (
                name in _FIRST and any(other not in _FIRST[name] for other, _ in program[:index]),
                "expected it to be the first operation",
            ),
        )
        if wrong
    ]
    if problems:
        raise Wrong(problems)
    return program


def _check_whole_program(value: Any) -> Any:
    program = _check_program(value)
    if (count := _count(program)) > _MOST_OPS:
        raise Wrong([((), f"expected at most {_MOST_OPS} operations; received {count:,}")])
    return program


def _count(program: tuple[DescribedOp, ...]) -> int:
    return sum(1 + sum(map(_count, values.get("programs", ()))) for _, values in program)


def _check_length(value: Any, expected: str) -> None:
    if not isinstance(value, list) or not value:
        raise Wrong([((), f"expected {expected}; received {'an empty list' if value == [] else shown(value)}")])
    if len(value) > _MOST_OPS:
        raise Wrong([((), f"expected {expected}, at most {_MOST_OPS}; received {len(value):,}")])


def _each(check: Callable[[Any], Any]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """Check every item of a list; raises the problems of all items together."""

    def check_all(items: list[Any]) -> tuple[Any, ...]:
        right, problems = [], []
        for index, item in enumerate(items):
            try:
                right.append(check(item))
            except Wrong as wrong:
                problems += [((index, *inner), problem) for inner, problem in wrong.problems]
        if problems:
            raise Wrong(problems)
        return tuple(right)

    return check_all


def _check_op(value: Any) -> DescribedOp:
    name, given = (value, None) if isinstance(value, str) else _only_pair(value)
    if name not in _OPS:
        raise Wrong([((), f"expected one of {', '.join(_OPS)}; received {shown(name)}")])
    kind, alone = _OPS[name]
    if given is None:
        if alone is None:
            raise Wrong([((), f"{name}: expected {kind.expected}; received nothing")])
        return name, alone
    try:
        return name, kind.check(given)
    except Wrong as wrong:
        ours = f"{name}: expected {kind.expected}; received {shown(given)}"
        raise Wrong([((name, *inner), problem or ours) for inner, problem in wrong.problems]) from None


def _only_pair(value: Any) -> tuple[str, Any]:
    if not isinstance(value, Mapping) or len(value) != 1:
        received = f"{len(value)} keys" if isinstance(value, Mapping) else shown(value)
        raise Wrong([((), f"expected an operation, such as relu2 or shrink: 2; received {received}")])
    ((name, given),) = value.items()
    return name, given


def _kind(expected: str, check: Callable[[Any], Any]) -> Kind:
    return Kind(expected, "", check, {})


def _check_nothing(_value: Any) -> Any:
    raise Wrong


_SHIFT = kinds.whole(0, 23)
_WINDOWS = _kind("rows of whole numbers from 0 up, all of one length", _check_windows)
_POOL = kinds.table(
    {
        "box": kinds.whole(1, 256),
        "gauss": _kind("a σ of 1, 2 or 3", _check_sigma),
        "every": kinds.whole(1, 256),
        "rows": _WINDOWS,
        "columns": _WINDOWS,
        "shift": _SHIFT,
    },
    "windows and a shift, such as {box: 4, shift: 8}",
    ("shift",),
)
_KERNELS = _kind("differences, morlet, or a list of kernels", _check_kernels)
_ALONE = _kind("nothing beside the word", _check_nothing)


def _check_shrink(value: Any) -> Any:
    return {"factor": kinds.whole(1, 64).check(value)}


# Operation → the values that it takes, and its defaults if only its name is given (None: it needs values).
_OPS: dict[str, tuple[Kind, Mapping[str, Any] | None]] = {
    "shrink": (_kind("a factor, a whole number from 1 to 64", _check_shrink), None),
    "deskew": (
        kinds.table(
            {"position": kinds.whole(1, 7), "shear": kinds.whole(0, 16)},
            "position and shear",
            ("position", "shear"),
        ),
        {"position": 6, "shear": 10},
    ),
    "conv": (
        kinds.table({"kernels": _KERNELS, "shift": _SHIFT}, "kernels and a shift", ("kernels", "shift")),
        None,
    ),
    "relu2": (_ALONE, {}),
    "modulus": (_ALONE, {}),
    "pool": (_kind(_POOL.expected, _check_pool), None),
    "cat": (_kind("a list of programs", _check_cat), None),
}
# Operations on the bytes of an image → the operations that may precede them.
_FIRST = {"shrink": ("shrink",), "deskew": ("shrink",)}
DESKEW: DescribedOp = ("deskew", _OPS["deskew"][1] or {})

_EXEMPLARS = kinds.table(
    {"directions": kinds.whole(1, 1000), "count": kinds.whole(1, 8192)},
    "directions and count",
    ("directions", "count"),
)
_FILE = kinds.table(
    {
        "title": _kind("a text", lambda value: printable(_text(value), 100)),
        "program": _kind("a list of operations", _check_whole_program),
        "exemplars": _EXEMPLARS,
    },
    "a map: title, program, exemplars",
    ("program",),
)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong
    return value
