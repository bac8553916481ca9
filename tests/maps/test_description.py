"""Map files: all mistakes are reported at once with line and column, quickly, and cannot control the terminal."""

# ruff: noqa: E501  # what is said of a mistake is one line

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from mnist_cli.errors import ConfigError
from mnist_cli.maps import MAPS
from mnist_cli.maps.description import find_map
from mnist_cli.maps.ops import OutOfBounds
from mnist_cli.maps.programs import make_program

_PROBLEM = re.compile(r"features\.map: map\.yaml:\d+:\d+: [^\n]+|and \d+ more problems")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str) -> list[str]:
    """Return the problems of a file, without their common prefix."""
    Path("map.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        find_map("map.yaml")
    for problem in caught.value.problems:
        assert _PROBLEM.fullmatch(problem), problem
    return [problem.removeprefix("features.map: map.yaml:") for problem in caught.value.problems]


MISTAKES = {
    "": "1:1: expected a map: title, program, exemplars; received nothing (null)",
    "7": "1:1: expected a map: title, program, exemplars; received 7",
    "title: x": "1:1: missing key 'program'",
    "program: relu2": "1:10: program: expected a list of operations; received 'relu2'",
    "program: []": "1:10: program: expected a list of operations; received an empty list",
    "program: [relu3]": "1:11: program[0]: expected one of shrink, deskew, conv, relu2, modulus, pool, cat; received 'relu3'",
    "program: [7]": "1:11: program[0]: expected an operation, such as relu2 or shrink: 2; received 7",
    "program: [{shrink: 2, relu2: 1}]": "1:11: program[0]: expected an operation, such as relu2 or shrink: 2; received 2 keys",
    "program: [shrink]": "1:11: program[0]: shrink: expected a factor, a whole number from 1 to 64; received nothing",
    "program: [{shrink: 0}]": "1:20: program[0].shrink: shrink: expected a factor, a whole number from 1 to 64; received 0",
    "program: [{shrink: 2.5}]": "1:20: program[0].shrink: shrink: expected a factor, a whole number from 1 to 64; received 2.5",
    "program: [{relu2: 1}]": "1:19: program[0].relu2: relu2: expected nothing beside the word; received 1",
    "program: [relu2, deskew]": "1:18: program[1]: deskew: expected it to be the first operation",
    "program: [relu2, {shrink: 2}]": "1:18: program[1]: shrink: expected it to be the first operation",
    "program: [{deskew: {position: 8, shear: 3}}]": (
        "1:31: program[0].deskew.position: expected a whole number from 1 to 7; received 8"
    ),
    "program: [{deskew: {shear: 3}}]": "1:20: program[0].deskew: missing key 'position'",
    "program: [{conv: {kernels: sobel, shift: 0}}]": (
        "1:28: program[0].conv.kernels: expected differences, morlet, or a list of kernels; received 'sobel'"
    ),
    "program: [{conv: {kernels: differences}}]": "1:18: program[0].conv: missing key 'shift'",
    "program: [{conv: {kernels: differences, shift: 24}}]": (
        "1:48: program[0].conv.shift: expected a whole number from 0 to 23; received 24"
    ),
    "program: [{conv: {kernels: [[[1, 2], [3, 4]]], shift: 0}}]": (
        "1:29: program[0].conv.kernels[0]: expected a square with an odd side, at most 31; received 2 rows of 2"
    ),
    "program: [{conv: {kernels: [[[1, x, 3], [4, 5, 6], [7, 8, 0.5]]], shift: 0}}]": (
        "1:34: program[0].conv.kernels[0][0][1]: expected a whole number from -8388608 to 8388608; received 'x'",
        "1:59: program[0].conv.kernels[0][2][2]: expected a whole number from -8388608 to 8388608; received 0.5",
    ),
    "program: [{conv: {kernels: [[[1]], [[1, 2, 1], [0, 0, 0], [1, 2, 1]]], shift: 0}}]": (
        "1:28: program[0].conv.kernels: expected kernels of one size"
    ),
    "program: [{pool: {shift: 3}}]": (
        "1:18: program[0].pool: expected box, or gauss and every, or rows and columns; received none of them"
    ),
    "program: [{pool: {box: 2, gauss: 1, shift: 3}}]": (
        "1:18: program[0].pool: expected box, or gauss and every, or rows and columns; received box, gauss"
    ),
    "program: [{pool: {gauss: 4, every: 2, shift: 3}}]": (
        "1:26: program[0].pool.gauss: expected a σ of 1, 2 or 3; received 4"
    ),
    "program: [{pool: {rows: [[1, -1]], columns: [[1, 1]], shift: 3}}]": (
        "1:30: program[0].pool.rows[0][1]: expected a whole number from 0 to 8388608; received -1"
    ),
    "program: [{pool: {rows: [[1, 1], [1]], columns: [[1, 1]], shift: 3}}]": (
        "1:25: program[0].pool.rows: expected rows of whole numbers from 0 up, all of one length; received 2 rows of 1 or 2"
    ),
    "program: [{cat: []}]": "1:17: program[0].cat: expected a list of programs; received an empty list",
    "program: [{cat: [[relu2]]}, relu2]": "1:11: program[0]: cat: expected it to be the last operation",
    "program: [{cat: [[relu2], relu2]}]": ("1:27: program[0].cat[1]: expected a list of operations; received 'relu2'"),
    "program: [relu2]\nexemplars: {directions: 0, count: 9000}": (
        "2:25: exemplars.directions: expected a whole number from 1 to 1000; received 0",
        "2:35: exemplars.count: expected a whole number from 1 to 8192; received 9000",
    ),
    "program: [relu2]\nexemplars: {directions: 3}": "2:12: exemplars: missing key 'count'",
    "program: [relu2]\nprogam: 1": "2:9: progam: unknown key; did you mean 'program'?",
    "title: 7\nprogram: [relu2]": "1:8: title: expected a text; received 7",
    "program: [relu2\n": "2:1: not YAML: did not find expected ',' or ']'",
    "program: [relu2]\nprogram: [relu2]": "2:1: program: duplicate key; it is already set on line 1",
    "program: &a [*a]": "1:14: aliases (*a) are not supported here; write the value itself",
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_has_its_place_what_was_expected_and_what_was_received(text: str) -> None:
    expected = MISTAKES[text]
    received = problems(text)
    assert received[: 2 if isinstance(expected, tuple) else 1] == list(
        expected if isinstance(expected, tuple) else (expected,)
    )


@pytest.mark.usefixtures("folder")
def test_all_mistakes_are_reported_at_once() -> None:
    found = problems(
        "title: [x]\n"
        "program:\n"
        "  - shrink: 99\n"
        "  - conv: {kernels: morlets, shift: -1}\n"
        "  - cat:\n"
        "      - - relu\n"
        "      - - pool: {box: 0, shift: 1}\n"
        "exemplars: {directions: many, count: 3}\n"
        "colour: red\n"
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "1:8",
        "3:13",
        "4:21",
        "4:37",
        "6:11",
        "7:23",
        "8:25",
        "9:9",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "grad9",
            "expected pixels, grad8, scat1, scat2, scat2-exemplars, or a file such as map.yaml; received 'grad9'; did",
        ),
        ("GRAD8", "did you mean 'grad8'?"),
        ("map.json", "or a file such as map.yaml; received 'map.json'"),
        ("none.yaml", "none.yaml: cannot be read: No such file or directory"),
        (".yaml", ".yaml: cannot be read: not a regular file"),
        ("pixels", "received 'pixels'"),
    ],
)
def test_a_missing_map_is_reported(value: str, message: str) -> None:
    Path(".yaml").mkdir()
    with pytest.raises(ConfigError, match=re.escape(message)):
        find_map(value)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "text",
    [
        "program: " + "[" * 100_000,
        "program: " + "[{cat: [" * 5000,
        "program: [" + "{cat: [[" * 7 + "relu2" + "]]}" * 7 + "]",
        f"program: [{{shrink: {'9' * 100_000}}}]",
        f"program: [{{conv: {{kernels: [[[{'9' * 399}]]], shift: 0}}}}]",
        f"program: [{','.join(['relu2'] * 40_000)}, 7]",
        f"program: [{','.join(['x'] * 100_000)}]",
        "program: [{conv: {kernels: [" + "[[1]]," * 40_000 + "], shift: 0}}]",
        "program: [{cat: [" + "[7]," * 50_000 + "]}]",
        "x: 1\n" * 50_000,
        "a" * 300_000,
        "\0",
        "program: [relu2]\n---\nprogram: [relu2]",
    ],
)
def test_a_hostile_file_is_refused_quickly_and_briefly(text: str) -> None:
    started = time.process_time()
    found = problems(text)
    assert time.process_time() - started < 5
    assert len(found) <= 21  # as many as fit a screen, and how many more there are
    assert all(len(problem) < 400 for problem in found)


@pytest.mark.usefixtures("folder")
def test_text_of_a_file_cannot_control_a_terminal() -> None:
    assert all(problem.isprintable() for problem in problems('"\\e[2J": 1\nprogram: ["\\e]52;c;aGk=\\a"]\n'))


def identity(text: str) -> str:
    Path("map.yaml").write_text(text, encoding="utf-8")
    return find_map("map.yaml").identity


@pytest.mark.usefixtures("folder")
def test_a_users_map_is_identified_by_its_operations() -> None:
    first = identity("title: a\nprogram:\n  - deskew\n  - pool: {box: 4, shift: 3}\n")
    assert first == identity(
        "# other words\nprogram: [{deskew: {shear: 10, position: 6}}, {pool: {shift: 3, box: 4}}]\n"
    )
    assert first.startswith("own ")
    others = [
        "program: [deskew, {pool: {box: 4, shift: 4}}]",
        "program: [{pool: {box: 4, shift: 3}}]",
        "program: [deskew, {pool: {box: 4, shift: 3}}]\nexemplars: {directions: 3, count: 4}",
        "program: [deskew, {pool: {box: 4, shift: 3}}]\nexemplars: {directions: 4, count: 4}",
    ]
    assert len({first, *map(identity, others)}) == 5


@pytest.mark.parametrize("name", [name for name in MAPS if name != "pixels"])
@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (5, 64), (300, 200), (4096, 4096)])
def test_every_shipped_map_suits_every_size(name: str, shape: tuple[int, int]) -> None:
    make_program(find_map(name), shape)
    make_program(find_map(name), shape, deskew=True)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("program: [{conv: {kernels: morlet, shift: 0}}, modulus]", "operation 2, modulus: squares up to"),
        ("program: [{conv: {kernels: [[[65794]]], shift: 0}}]", "operation 1, conv: sums up to 2^24.0: expected less"),
        (
            "program: [{pool: {gauss: 1, every: 1, shift: 0}}, {pool: {gauss: 1, every: 1, shift: 0}}]",
            "operation 2, pool",
        ),
        ("program: [modulus]", "operation 1, modulus: expected pairs of maps; received 1"),
        (
            "program: [{pool: {rows: [[1]], columns: [[1]], shift: 0}}]",
            "operation 1, pool: expected windows over 28 × 28",
        ),
        (
            "program: [relu2, {cat: [[relu2], [{cat: [[{pool: {box: 1, shift: 0}}, modulus, modulus]]}]]}]",
            "operation 2.2.1.1.3, modulus: expected pairs of maps; received 1",
        ),
    ],
)
def test_a_program_whose_sums_could_overflow_is_refused_naming_the_operation(text: str, message: str) -> None:
    Path("map.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(OutOfBounds, match=re.escape(message)):
        make_program(find_map("map.yaml"), (28, 28))
