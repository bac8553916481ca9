"""`mnist plot`: pictures that open, say what they should and come out the same again."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.text import Text

from mnist_cli.cli.drawing import probability_bars
from mnist_cli.formats.history import Record, write_history
from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.pictures.colours import AGAINST, FOR, NEITHER, diverging, over_drawing
from mnist_cli.pictures.mistakes import worst_mistakes
from mnist_cli.pictures.terminal import Drawing, Screen, half_blocks, shades, signs
from tests.support.command_line import mnist
from tests.support.data import write_small_store
from tests.support.feature_maps import made_map
from tests.support.report_data import make_report_data
from tests.support.stages import evaluate

SUBJECTS = ["weights", "confusion", "calibration", "history", "mistakes"]
CLASSES = ("0", "$1$", "two", "[/x]", "ö", "字", "6", "7", "8", "9\x1b")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a store, a model that knows nothing, its metrics and a history."""
    for name in ("fetch", "preprocess", "train", "eval"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "manifest.json").touch()
    store = write_small_store(tmp_path / "artifacts/preprocess/store.h5", classes=CLASSES)
    weights = np.random.default_rng(0).normal(0, 0.1, (784, 10))
    model = tmp_path / "artifacts/train/model.h5"
    save_model(model, Model(weights, np.zeros(10), CLASSES, 1, 0, "", (28, 28)))
    evaluate(model, store, tmp_path / "artifacts/eval")
    records = [Record(100, 0.6, 0.5, 0.8), Record(200, 0.4, 0.3, 0.9)]
    write_history(tmp_path / "artifacts/train/history.jsonl", records)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", SUBJECTS)
def test_every_plot_is_a_picture_in_the_artifacts_folder(folder: Path, what: str) -> None:
    done = mnist("plot", what, "--json")
    assert json.loads(done.out) == {"plot": what, "file": f"artifacts/plots/{what}.png"}
    assert done.err == ""
    with Image.open(folder / "artifacts/plots" / f"{what}.png") as image:
        image.load()
        assert min(image.size) > 300


@pytest.mark.parametrize("what", SUBJECTS)
def test_an_svg_is_well_formed(folder: Path, what: str) -> None:
    mnist("plot", what, "--output", "plot.SVG")
    assert ElementTree.parse("plot.SVG").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_text_in_an_svg_is_text_and_a_png_has_the_resolution_that_is_asked_for(folder: Path) -> None:
    mnist("plot", "history", "-o", "plot.svg")
    assert "Validation accuracy" in "".join(ElementTree.parse("plot.svg").getroot().itertext())
    sizes = []
    for dpi in ("50", "100"):
        mnist("plot", "history", "-o", "plot.png", "--dpi", dpi)
        with Image.open("plot.png") as image:
            sizes.append(image.size[0])
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("what", SUBJECTS)
def test_the_same_plot_has_the_same_bytes(folder: Path, what: str, ending: str) -> None:
    for name in ("first", "second"):
        mnist("plot", what, "--output", f"{name}.{ending}")
    assert Path(f"first.{ending}").read_bytes() == Path(f"second.{ending}").read_bytes()


def test_weights_are_red_where_negative_and_blue_where_positive(folder: Path) -> None:
    weights = np.zeros((784, 2))
    weights[:392, 0], weights[392:, 0] = -1, 1
    (folder / "artifacts/preprocess/store.h5").unlink()
    save_model(folder / "artifacts/train/model.h5", Model(weights, np.zeros(2), ("a", "b"), 1, 0, "", (28, 28)))
    mnist("plot", "weights")
    pixels = np.asarray(Image.open("artifacts/plots/weights.png").convert("RGB"))
    left = pixels[:, : pixels.shape[1] // 2]
    red_rows, blue_rows = (np.flatnonzero((left == colour).all(axis=2).sum(axis=1) > 50) for colour in (AGAINST, FOR))
    assert len(red_rows) > 50
    assert len(blue_rows) == pytest.approx(len(red_rows), abs=2)
    assert red_rows.max() < blue_rows.min()
    right = pixels[:, pixels.shape[1] // 2 : pixels.shape[1] * 3 // 4]
    nearly_white = abs(right.astype(int) - NEITHER).max(axis=2) <= 2  # the map's 256 colours have none in the middle
    assert nearly_white.sum() > 5000


def test_the_scale_goes_from_red_over_white_to_blue() -> None:
    assert diverging(np.array([-2, -1, 0, 1, 2.0]), 1).tolist() == [
        list(c) for c in (AGAINST, AGAINST, NEITHER, FOR, FOR)
    ]


def test_evidence_colours_what_it_speaks_of_and_leaves_the_drawing_grey() -> None:
    against, none, speaks_for = over_drawing(np.array([[-1.0, 0, 1]]), np.array([[255, 255, 255]], np.uint8))[
        0
    ].tolist()
    assert against[0] > 200 > against[2]
    assert none[0] == none[1] == none[2] > 0
    assert speaks_for[2] > 200 > speaks_for[0]


def test_half_blocks_hold_two_rows_each() -> None:
    image = np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]], np.uint8)
    assert half_blocks(image) == [
        "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m",
        "\x1b[38;2;7;8;9;48;2;0;0;0m▀\x1b[0m",
    ]


def test_characters_say_sign_and_size() -> None:
    values = np.array([[-3, -1.5, -0.1, 0.1, 1.5, 3]])
    assert signs(values, 3, values != 0) == ["-- - · · +++"]
    assert signs(values, 3, values > 0) == ["       · +++"]
    assert shades(np.array([[0, 255]], np.uint8)) == ["  @@"]


def test_drawings_stand_beside_each_other_as_far_as_there_is_room() -> None:
    drawings = [(title, Drawing([title * 2], 2)) for title in "abc"]
    assert Screen(6, in_colour=False).side_by_side(drawings) == ["a   b", "aa  bb", "", "c", "cc", ""]
    assert Screen(6, in_colour=False).side_by_side([]) == []


def test_a_title_that_is_longer_than_its_drawing_is_cut_where_the_next_one_begins() -> None:
    drawings = [("😀 smile", Drawing(["aa"], 2)), ("שלום", Drawing(["bb"], 2))]
    assert Screen(14, in_colour=False).side_by_side(drawings) == ["😀 smi  שלום", "aa      bb", ""]


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("shape", [(64, 64), (40, 24), (1, 3000), (3000, 1), (256, 256)])
def test_an_image_of_any_size_fits_the_screen(shape: tuple[int, int], in_colour: bool) -> None:
    screen = Screen(80, in_colour)
    image = np.full(shape, 200, np.uint8)
    for drawing in (screen.ink(image), screen.weights(image / 255, 1.0), screen.evidence(image / 255, image)):
        assert 1 <= len(drawing.lines) <= 64
        assert drawing.width <= 80
        assert {cell_len(Text.from_ansi(line).plain) for line in drawing.lines} == {drawing.width}


def test_a_shrunk_drawing_shows_means() -> None:
    image = np.array([[0, 255, 255, 255], [0, 255, 255, 255]], np.uint8)
    assert Screen(4, in_colour=False).ink(image).lines == ["++@@"]


def test_the_mistakes_with_the_least_probability_of_the_label_come_first() -> None:
    # The logits of the last two are (5, 0, 4) and (3, 0, 0): the second one is surer, and gives its label more.
    model = Model(np.eye(3) * 5, np.zeros(3), tuple("abc"), 1, 0, "", (1, 3))
    wrong_ones = np.array([[0, 100, 0], [255, 0, 204], [153, 0, 0]], np.uint8)
    pixels = np.concatenate([wrong_ones[:1], np.repeat([[255, 0, 0]], 1500, axis=0), wrong_ones[1:]]).astype(np.uint8)
    labels = np.array([0] * 1501 + [1, 2], np.uint8)
    found, wrong = worst_mistakes(model, pixels, labels, 2)
    assert wrong == 3
    assert [(mistake.index, mistake.label, mistake.prediction) for mistake in found] == [(1501, 1, 0), (1502, 2, 0)]
    assert found[0].probability < found[1].probability


@pytest.mark.parametrize("what", SUBJECTS)
def test_every_plot_can_be_shown_in_the_terminal(folder: Path, what: str) -> None:
    text = mnist("plot", what, "--show").out
    assert len(text.splitlines()) > 2
    assert "\x1b" not in text
    assert not (folder / "artifacts/plots").exists()


def test_the_history_is_a_curve_above_its_numbers(folder: Path) -> None:
    lines = mnist("plot", "history", "--show").out.splitlines()
    assert lines[0] == "training loss"
    curves = [line for line in lines if any("\u2800" < character <= "\u28ff" for character in line)]
    assert len(curves) >= 4
    assert lines.index(curves[-1]) < next(number for number, line in enumerate(lines) if "accuracy" in line)


def test_the_calibration_has_a_line_for_each_bin_with_the_share_that_is_right(folder: Path) -> None:
    title, _, *lines, legend = mnist("plot", "calibration", "--show").out.splitlines()
    store, model = open_store(folder / "artifacts/preprocess/store.h5"), load_model(folder / "artifacts/train/model.h5")
    probabilities = model.probabilities(store.test.inputs)
    right, sure = probabilities.argmax(axis=1) == store.test.labels, probabilities.max(axis=1)
    expected, error = [], 0.0
    for low in np.arange(15) / 15:
        inside = (low < sure) & (sure <= low + 1 / 15)
        if inside.any():
            mean, share = sure[inside].mean(), right[inside].mean()
            expected.append([f"{inside.sum():,}", f"{100 * mean:.1f}", f"{100 * share:.1f}"])
            error += inside.mean() * abs(share - mean)
    assert [re.findall(r"[\d.,]+", line)[2:5] for line in lines] == expected
    assert title == f"test: expected calibration error {100 * error:.2f} % over {len(sure):,} images"
    assert legend.startswith("█ right")


@pytest.mark.parametrize(
    ("what", "missing", "hint"),
    [
        ("weights", "train/model.h5", "mnist train"),
        ("confusion", "eval/metrics.json", "mnist eval"),
        ("history", "train/history.jsonl", "mnist train"),
        ("mistakes", "preprocess/store.h5", "mnist preprocess"),
        ("calibration", "preprocess/store.h5", "mnist preprocess"),
    ],
)
def test_what_is_missing_or_damaged_exits_with_5_and_names_the_command(
    folder: Path, what: str, missing: str, hint: str
) -> None:
    (folder / "artifacts" / missing).write_bytes(b'{"step": "x"}')
    done = mnist("plot", what, code=5)
    assert f"run '{hint}" in done.err
    (folder / "artifacts" / missing).unlink()
    done = mnist("plot", what, code=5)
    assert f"hint: run '{hint}'" in done.err


@pytest.mark.parametrize("where", [[], ["--show"]], ids=["file", "terminal"])
def test_the_confusion_of_another_model_is_not_drawn(folder: Path, where: list[str]) -> None:
    weights = np.random.default_rng(1).normal(0, 0.1, (784, 10)).astype(np.float64)
    save_model(
        folder / "artifacts/train/model.h5", Model(weights, np.zeros(10, np.float64), CLASSES, 1, 0, "", (28, 28))
    )
    done = mnist("plot", "confusion", *where, code=5)
    assert "the evaluation is of another model" in done.err
    assert "hint: run 'mnist eval'" in done.err
    assert done.out == ""
    assert not (folder / "artifacts/plots").exists()


@pytest.mark.parametrize(
    "arguments",
    [["everything"], ["weights", "-o", "a.jpg"], ["weights", "-o", "png"], ["weights", "-o", "-"],
     ["weights", "--show", "-o", "a.png"], ["weights", "--show", "--json"],
     ["history", "--split", "train"]],
)  # fmt: skip
def test_what_cannot_be_asked_exits_with_2(folder: Path, arguments: list[str]) -> None:
    done = mnist("plot", *arguments, code=2)
    if "-o" in arguments and "--show" not in arguments:
        assert "ends in .png, .svg or .pdf" in done.err


def test_a_folder_that_is_not_there_is_an_error_that_names_the_picture(folder: Path) -> None:
    done = mnist("plot", "weights", "-o", "nowhere/a.png", code=1)
    assert "error: nowhere/a.png: No such file or directory" in done.err


def test_a_history_without_validation_and_a_model_without_mistakes_are_drawn(folder: Path) -> None:
    write_history(folder / "artifacts/train/history.jsonl", [Record(1, 2.3, None, None)])
    store = write_small_store(folder / "artifacts/preprocess/store.h5", test=0, classes=CLASSES)
    assert store.exists()
    assert "--split test: that split is empty" in mnist("plot", "calibration", code=2).err
    for what in ("history", "mistakes"):
        mnist("plot", what)
        assert Image.open(io.BytesIO((folder / f"artifacts/plots/{what}.png").read_bytes())).size[0] > 300


NAMES = (
    "<b>bag</b>",
    "😀 smile",
    "שלום עולם",
    "a name of one hundred characters, which goes on and on " * 2,
    "ankle boot",
)
LETTERS = tuple(f"letter {k}" for k in range(47))
KINDS: dict[str, tuple[tuple[int, int], tuple[str, ...], str | None]] = {
    "40x24": ((40, 24), ("circle", "square", "triangle", "pentagon", "star"), None),
    "16x16": ((16, 16), ("no", "yes"), None),
    "names": ((12, 60), NAMES, None),
    "47 classes": ((28, 28), LETTERS, None),
    "256 classes": ((64, 64), tuple(f"class {k}" for k in range(256)), None),
    "scat1 of 40x24": ((40, 24), ("circle", "square", "triangle", "pentagon", "star"), "scat1"),
    "scat2, 47 classes": ((28, 28), LETTERS, "scat2"),
    "grad8, 256 classes": ((90, 131), tuple(f"class {k}" for k in range(256)), "grad8"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The current folder, with artifacts of a data set of this kind."""
    shape, classes, name = KINDS[request.param]
    made = tmp_path / "made"
    made.mkdir()
    feature_map = made_map(name, shape, deskew=True) if name else None
    data = make_report_data(made, shape=shape, classes=classes, feature_map=feature_map)
    for name, target in (("store.h5", "preprocess"), ("model.h5", "train"), ("eval/metrics.json", "eval")):
        folder = tmp_path / "artifacts" / target
        folder.mkdir(parents=True)
        (made / name).rename(folder / Path(name).name)
    write_history(tmp_path / "artifacts/train/history.jsonl", data.history)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return str(request.param)


COMMANDS = [
    ["show", "3"],
    ["predict", "--index", "3", "--show", "--explain"],
    *(["plot", what, "--show"] for what in ("weights", "calibration", "mistakes")),
]


def test_the_terminal_shows_any_data_set_in_80_columns(kind: str) -> None:
    for command in COMMANDS:
        for line in mnist(*command).out.splitlines():
            assert cell_len(line) <= 80 or ":" in line, (command, line)  # a sentence may be longer
    text = mnist("plot", "confusion", "--show").out
    is_matrix = kind in ("40x24", "16x16", "scat1 of 40x24")
    assert ("true ↓ predicted →" in text) == is_matrix
    assert ("most frequent confusions among" in text) != is_matrix
    assert len(text.splitlines()) < 25


def test_every_plot_of_any_data_set_is_a_picture_of_bearable_size(kind: str) -> None:
    for what in SUBJECTS:
        mnist("plot", what)
        with Image.open(f"artifacts/plots/{what}.png") as image:
            assert min(image.size) > 200
            assert max(image.size) < 6000


def test_of_many_classes_the_likeliest_ten_and_the_label_get_a_bar() -> None:
    probabilities = np.arange(1.0, 101)[::-1] / 5050
    printed = probability_bars([f"class {k}" for k in range(100)], probabilities.tolist(), 77, 80)
    assert [line.split(" %")[0].split()[1] for line in printed[:-1]] == [*map(str, range(10)), "77"]
    shown = sum(float(line.split(" %")[0].split()[-1]) for line in printed)
    assert shown == pytest.approx(100, abs=0.1)
    assert printed[-1].endswith("for the other 89 classes")
