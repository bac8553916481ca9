"""The feature map in a real browser: the same bytes and the same logits as Python, and the evidence of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_cli import page
from mnist_cli.maps.feature_map import FeatureMap
from mnist_cli.maps.portable import portable_document
from mnist_cli.pictures.predicting import evidence
from mnist_cli.report.page import ReportData, render
from tests.support.browser import Browser
from tests.support.feature_maps import drawn_lines, made_map
from tests.support.report_data import make_report_data

SCRIPT = Path(page.__file__).parent / "templates" / "features.js"
PAD = "#pad-drawing"
SEVEN = [(0.3, 0.25), (0.5, 0.25), (0.72, 0.25), (0.6, 0.5), (0.45, 0.8)]
STATE = """
    const {pixels, inputs, seen, logits, predicted} = mnistReport.examine();
    return {pixels: [...pixels], inputs: [...inputs], seen: [...seen.at], logits, predicted};
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return make_report_data(tmp_path_factory.mktemp("data"), feature_map=made_map("scat1", deskew=True))


@pytest.fixture(scope="module")
def report(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(render(data))
    return path


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Browser]:
    browser.prefer("light")
    browser.open(report)
    yield browser
    assert browser.messages(only_errors=True) == []


def in_the_browser(browser: Browser, made: FeatureMap, images: npt.NDArray[np.uint8]) -> Any:
    """Return the features of images, and what the rest of the program sees, as the script alone computes them."""
    browser.driver.get("about:blank")
    script = """
        const [map, images] = [mapOf(JSON.parse(arguments[0])), JSON.parse(arguments[1])];
        return images.map(image => [[...featuresOf(map, image)], [...seenBy(map, image).at]]);
    """
    rows = images.reshape(len(images), -1).tolist()
    return browser.run(SCRIPT.read_text(encoding="utf-8") + script, *map(json.dumps, (portable_document(made), rows)))


WINDOWS = {"rows": [[1] * 30, [2] * 30], "columns": [[3] * 44], "shift": 8}
OTHER_OPS: list[list[tuple[str, dict[str, Any]]]] = [
    [("conv", {"kernels": [[[1]], [[-2]]], "shift": 1}), ("relu2", {}), ("pool", {"box": 5, "shift": 4})],
    [("deskew", {"position": 3, "shear": 5}), ("pool", WINDOWS)],
]


@pytest.mark.parametrize("deskew", [False, True], ids=["as they are", "deskewed"])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("grad8", (28, 28)),
        ("scat1", (28, 28)),
        ("scat2", (28, 28)),
        ("scat1", (16, 16)),
        ("scat2", (40, 24)),
        ("grad8", (21, 14)),
        ("grad8", (90, 131)),  # shrunk to 30 × 44
        ("own", (90, 131)),
    ],
    ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value)),
)
def test_the_script_makes_the_bytes_that_python_makes(
    browser: Browser, name: str, shape: tuple[int, int], deskew: bool
) -> None:
    made = made_map(name, shape, deskew=deskew and name != "own", program=OTHER_OPS if name == "own" else None)
    images = drawn_lines(8, shape, seed=3)
    features, seen = zip(*in_the_browser(browser, made, images), strict=True)
    np.testing.assert_array_equal(np.array(features, np.uint8), made.rows(images))
    np.testing.assert_array_equal(np.array(seen, np.uint8), made.seen(images).reshape(len(images), -1))
    assert len(np.unique(made.rows(images))) > 50, "a test of more than blank images"


def test_exemplars_are_the_bytes_that_python_makes(browser: Browser) -> None:
    made = made_map("scat1", deskew=True, exemplars=30)
    images = drawn_lines(8, made.shape, seed=3)
    features, _ = zip(*in_the_browser(browser, made, images), strict=True)
    np.testing.assert_array_equal(np.array(features, np.uint8), made.rows(images))


def test_the_pad_of_a_model_with_exemplars_computes_what_python_computes(browser: Browser, tmp_path: Path) -> None:
    data = make_report_data(tmp_path, feature_map=made_map("grad8", exemplars=30))
    (tmp_path / "report.html").write_bytes(render(data))
    browser.open(tmp_path / "report.html")
    state = browser.run(STATE)
    pixels = np.array(state["pixels"], np.uint8)
    assert state["logits"] == data.model.logits(pixels)[0].tolist()
    cells = """
        const {model, data, evidence, cellsOf} = mnistReport;
        return [...cellsOf(data.grid, evidence(model, mnistReport.examine().inputs, 3))];
    """
    assert browser.run(cells) == data.model.layout.cells(evidence(data.model, pixels, 3)).ravel().tolist()
    assert browser.messages() == []


def test_a_drawing_gets_the_logits_that_python_gives_it(opened: Browser, data: ReportData) -> None:
    opened.click("#pad-clear")
    opened.draw(PAD, SEVEN)
    state = opened.run(STATE)
    pixels = np.array(state["pixels"], np.uint8)
    assert np.count_nonzero(pixels) > 50
    assert state["inputs"] == data.model.rows(pixels)[0].tolist()
    assert state["seen"] == data.model.seen(pixels.reshape(28, 28)).ravel().tolist()
    assert state["logits"] == data.model.logits(pixels)[0].tolist(), "to the bit"


def test_an_image_of_the_split_gets_the_logits_that_python_gives_it(opened: Browser, data: ReportData) -> None:
    positions = opened.run("return mnistReport.data.images.map(({index}) => index)")
    for index in (0, len(positions) - 1):
        opened.run("mnistReport.loadImage(arguments[0])", index)
        assert opened.run(STATE)["logits"] == data.model.logits(data.store.test.inputs[positions[index]])[0].tolist()


def test_cells_and_parts_and_bias_add_up_to_the_logit(opened: Browser, data: ReportData) -> None:
    opened.click("#pad-clear")
    opened.draw(PAD, SEVEN)
    script = """
        const {model, data, evidence, cellsOf, byMap} = mnistReport;
        const {inputs, logits} = mnistReport.examine();
        const add = values => values.reduce((sum, value) => sum + value, 0);
        return logits.map((logit, k) => {
          const terms = evidence(model, inputs, k);
          return [logit, ...[cellsOf(data.grid, terms), byMap(data.grid, terms).flat()].map(
            values => add(values) + model.bias[k])];
        });
    """
    for logit, of_cells, of_parts in opened.run(script):
        assert of_cells == of_parts == logit


def test_cells_and_parts_are_those_of_python(opened: Browser, data: ReportData) -> None:
    values = np.random.default_rng(0).integers(-999, 999, len(data.model.weights)).astype(float)
    script = """
        const {data, cellsOf, byMap} = mnistReport;
        const values = Float64Array.from(arguments[0]);
        return [[...cellsOf(data.grid, values)], byMap(data.grid, values)];
    """
    cells, parts = opened.run(script, values.tolist())
    assert cells == data.model.layout.cells(values).ravel().tolist()
    assert parts == [sums.tolist() for _, sums in data.model.layout.by_map(values)]


def test_the_page_shows_the_evidence_of_each_part(opened: Browser) -> None:
    opened.click("#pad-clear")
    opened.draw(PAD, SEVEN)
    names = opened.run("return [...document.querySelectorAll('#pad-parts dt')].map(item => item.textContent)")
    assert names == ["pool", "conv → modulus → pool", "pool → conv → modulus → pool"]
    texts = opened.run("return [...document.querySelectorAll('#pad-parts dd')].map(item => item.textContent)")
    sums = [float(text.replace("−", "-")) for text in texts[::2]]
    bias, logit = (float(opened.text(f"#pad-{name}").replace("−", "-")) for name in ("bias", "logit"))
    assert sum(sums) + bias == pytest.approx(logit, abs=0.03)
    assert opened.run("return document.querySelectorAll('#pad-parts i').length") == 17
    assert opened.run("return document.documentElement.scrollWidth <= innerWidth")


def test_why_not_another_class_is_the_difference_by_cell_and_by_part(opened: Browser, data: ReportData) -> None:
    state = opened.run(STATE)
    predicted, other = state["predicted"], (state["predicted"] + 3) % 10
    opened.run(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))",
        opened.find("#pad-other"),
        other,
    )
    shown = {name: float(opened.text(f"#pad-{name}").replace("−", "-")) for name in ("for", "against", "bias", "logit")}
    parts = opened.run(
        "return [...document.querySelectorAll('#pad-parts dt + dd')].map(item => item.textContent.replace('−', '-'))"
    )
    opened.run("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('change'))", opened.find("#pad-other"))
    difference = state["logits"][predicted] - state["logits"][other]
    assert shown["logit"] == pytest.approx(difference, abs=0.0051)
    pixels = np.array(state["pixels"], np.uint8)
    terms = evidence(data.model, pixels, predicted) - evidence(data.model, pixels, other)
    cells = data.model.layout.cells(terms)
    assert shown["for"] == pytest.approx(cells[cells > 0].sum(), abs=0.0051)
    assert shown["against"] == pytest.approx(cells[cells < 0].sum(), abs=0.0051)
    np.testing.assert_allclose(
        [float(text) for text in parts], [sums.sum() for _, sums in data.model.layout.by_map(terms)], atol=0.0051
    )


def test_the_first_stroke_and_the_cells_of_the_matrix_are_as_those_of_pixels(opened: Browser, data: ReportData) -> None:
    confusion = np.array(data.metrics["confusion"])
    np.fill_diagonal(confusion, 0)
    label, predicted = (int(place) for place in np.unravel_index(confusion.argmax(), confusion.shape))
    opened.click(f"[data-cell='{label}-{predicted}']")
    count = min(12, confusion[label, predicted])
    assert opened.becomes(f"return document.querySelectorAll('#cell-images canvas').length === {count}")
    opened.draw(PAD, SEVEN)
    drawn = opened.run(STATE)["logits"]
    opened.click("#pad-clear")
    assert opened.text("#pad-says") == "Nothing drawn yet: the bars are those of an empty image"
    opened.draw(PAD, SEVEN)
    assert opened.run(STATE)["logits"] == drawn


def test_a_stroke_takes_less_than_the_time_of_a_frame(opened: Browser) -> None:
    script = """
        const {pixels} = mnistReport.examine();
        const times = Array.from({length: 40}, () => {
          const start = performance.now();
          mnistReport.featuresOf(mnistReport.map, pixels);
          return performance.now() - start;
        });
        return Math.min(...times);
    """
    assert opened.run(script) < 15  # milliseconds; the fastest, as other processes may be at work
