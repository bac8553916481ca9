"""The report in a real browser: it opens without a network, and its pad computes what Python computes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from mnist_cli.pictures.normalize import normalize
from mnist_cli.pictures.predicting import predict
from mnist_cli.report.page import ReportData, render
from mnist_cli.text import printable
from tests.support.browser import Browser
from tests.support.report_data import make_report_data

PAD = "#pad-drawing"
ISOLATES = "\u2068\u2069"  # around names that are written from right to left
SEVEN = [(0.3, 0.25), (0.5, 0.25), (0.72, 0.25), (0.6, 0.5), (0.5, 0.8)]
STATE = """
    const state = mnistReport.examine();
    return {pixels: [...state.pixels], logits: state.logits, probabilities: state.probabilities, empty: state.empty,
            predicted: state.predicted};
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return make_report_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def page(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(render(data))
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The report, just opened; at the end the console must hold no error that the test has not read."""
    browser.prefer("light")
    browser.open(page)
    yield browser
    assert browser.messages(only_errors=True) == []


@pytest.fixture
def blank(opened: Browser) -> Browser:
    """The report with an empty pad."""
    opened.click("#pad-clear")
    assert opened.text("#pad-says") == "Nothing drawn yet: the bars show softmax(b)"
    assert not opened.find("#pad-lead").is_displayed()
    return opened


def painted(browser: Browser) -> int:
    """Return how many pixels of the evidence are coloured: as far from grey as red and blue are."""
    script = """
        const canvas = document.getElementById("pad-seen");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 0; at < data.length; at += 4) {
          const [low, high] = [Math.min(...data.slice(at, at + 3)), Math.max(...data.slice(at, at + 3))];
          count += data[at + 3] > 40 && high - low > 60;
        }
        return count;
    """
    return int(browser.run(script))


def shown_probabilities(browser: Browser) -> list[float]:
    texts = browser.run("return [...document.querySelectorAll('[data-probability]')].map(item => item.textContent)")
    return [float(text.removesuffix(" %")) / 100 for text in texts]


def normalised(ink: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.float64]:
    """Return what a drawing becomes, in 0 to 255, not rounded: areas by the integral of the ink, not by overlaps."""
    rows, columns = np.flatnonzero((ink > 0.1).any(axis=1)), np.flatnonzero((ink > 0.1).any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(round(height * 20 / 28) / len(digit), round(width * 20 / 28) / len(digit.T))
    for _axis in range(2):
        size = max(1, round(len(digit) * scale))
        integral = np.vstack([np.zeros(len(digit.T)), np.cumsum(digit, axis=0)])
        edges = np.linspace(0, len(digit), size + 1)
        at_edges = np.array([np.interp(edges, np.arange(len(integral)), column) for column in integral.T])
        digit = np.diff(at_edges) * size / len(digit)  # transposed: next the other axis, then the first one again
    result = np.zeros((height, width))
    offsets = []
    for axis, side in enumerate((height, width)):
        profile = digit.sum(axis=1 - axis)
        centre = (profile * np.arange(len(profile))).sum() / profile.sum()
        offsets.append(min(max(int(np.floor(side / 2 - centre + 0.5)), 0), side - len(profile)))
    result[offsets[0] : offsets[0] + len(digit), offsets[1] : offsets[1] + len(digit.T)] = 255 * digit / digit.max()
    return result


def test_the_page_opens_from_a_file_without_errors_and_without_the_network(opened: Browser) -> None:
    assert opened.run("return location.protocol") == "file:"
    opened.draw(PAD, SEVEN)
    opened.click("#pad-random")
    assert opened.messages() == []
    assert opened.requests_to_the_network() == []


def test_the_security_policy_refuses_the_network_even_to_the_page_itself(opened: Browser) -> None:
    script = """
        const done = arguments[arguments.length - 1];
        fetch("http://127.0.0.1:9/").then(() => done("sent"), error => done(error.name));
    """
    assert opened.driver.execute_async_script(script) == "TypeError"
    assert any("Content Security Policy" in message for message in opened.messages())


@pytest.mark.parametrize("kind", ["mouse", "pen", "touch"])
def test_a_drawn_digit_gets_probabilities_and_evidence(blank: Browser, kind: str) -> None:
    assert painted(blank) == 0
    blank.draw(PAD, SEVEN, kind)
    state = blank.run(STATE)
    assert sum(state["probabilities"]) == pytest.approx(1, abs=1e-12)
    assert sum(shown_probabilities(blank)) == pytest.approx(1, abs=0.006)
    assert blank.text("#pad-says").startswith(f"{state['predicted']}, ")
    assert painted(blank) > 500


def test_evidence_and_bias_add_up_to_the_logit(blank: Browser) -> None:
    blank.draw(PAD, SEVEN)
    script = """
        const {model, evidence} = mnistReport;
        const {pixels, logits} = mnistReport.examine();
        return logits.map((logit, k) => [evidence(model, pixels, k).reduce((a, b) => a + b) + model.bias[k], logit]);
    """
    for total, logit in blank.run(script):
        assert total == pytest.approx(logit, abs=1e-9)
    texts = [blank.text(f"#pad-{name}") for name in ("for", "against", "bias", "logit")]
    in_favour, against, bias, logit = (float(text.replace("−", "-")) for text in texts)
    assert in_favour + against + bias == pytest.approx(logit, abs=0.021)


def drawn(browser: Browser, shape: tuple[int, int] = (28, 28)) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return the ink in [0, 1] that becomes an image, of a small drawing enlarged, and that image, [*shape]."""
    ink = browser.run(
        "const ink = mnistReport.enlarged(); return {at: [...ink.at], height: ink.height, width: ink.width}"
    )
    pixels = np.array(browser.run(STATE)["pixels"], np.uint8)
    return np.array(ink["at"], np.float32).reshape(ink["height"], ink["width"]), pixels.reshape(shape)


def test_what_is_seen_is_the_drawing_normalised_as_mnist_is(blank: Browser, data: ReportData) -> None:
    blank.draw(PAD, [(0.1, 0.15), (0.35, 0.2), (0.3, 0.55)])
    ink, pixels = drawn(blank)
    assert 20 < np.count_nonzero(pixels) < 400
    np.testing.assert_allclose(pixels, normalised(ink.astype(np.float64), 28, 28), atol=0.51)
    in_python = data.model.probabilities(pixels.reshape(1, -1))[0]
    np.testing.assert_allclose(blank.run(STATE)["probabilities"], in_python, atol=1e-5)


@pytest.mark.parametrize("points", [SEVEN, [(0.2, 0.5), (0.8, 0.5)], [(0.05, 0.05), (0.2, 0.95)]])
def test_the_page_and_mnist_predict_normalise_alike(blank: Browser, points: list[tuple[float, float]]) -> None:
    blank.draw(PAD, points)
    ink, pixels = drawn(blank)
    np.testing.assert_allclose(pixels, normalize(ink, (28, 28)).astype(float), atol=1)


@pytest.mark.parametrize("share", [1.0, 0.22])
def test_mnist_predict_reads_the_saved_drawing_as_the_pad_does(blank: Browser, data: ReportData, share: float) -> None:
    blank.draw(PAD, [(0.5 + (x - 0.5) * share, 0.5 + (y - 0.5) * share) for x, y in SEVEN])
    saved = blank.run("return mnistReport.pad.picture().toDataURL('image/png')").partition(",")[2]
    answer = predict(Image.open(io.BytesIO(base64.b64decode(saved))), data.model)
    np.testing.assert_allclose(answer.probabilities[0], blank.run(STATE)["probabilities"], atol=0.01)


def test_where_a_digit_is_drawn_does_not_matter(blank: Browser) -> None:
    def looks(points: list[tuple[float, float]]) -> npt.NDArray[np.float64]:
        blank.click("#pad-clear")
        blank.draw(PAD, points)
        return np.array(blank.run(STATE)["pixels"], float).reshape(28, 28)

    here = looks(SEVEN)
    there = looks([(x - 0.2, y + 0.1) for x, y in SEVEN])
    assert np.abs(here - there).mean() < 4


def test_loaded_images_get_what_python_gives_them(opened: Browser, data: ReportData) -> None:
    images = opened.run("return mnistReport.data.images.map(({index}) => index)")
    for position in [*range(5), *range(len(images) - 5, len(images))]:
        opened.run("mnistReport.loadImage(arguments[0])", position)
        state = opened.run(STATE)
        pixels = data.store.test.inputs[images[position]]
        assert state["pixels"] == pixels.tolist()
        assert state["predicted"] == data.model.predict(pixels)[0]
        np.testing.assert_allclose(state["probabilities"], data.model.probabilities(pixels)[0], atol=1e-5)
        assert f"test image {images[position]:,}, label" in opened.text("#pad-loaded")


def test_one_click_loads_an_image_of_the_gallery(opened: Browser, data: ReportData) -> None:
    opened.click("[data-load='3']")
    index = opened.run("return mnistReport.data.images[3].index")
    assert opened.run(STATE)["pixels"] == data.store.test.inputs[index].tolist()
    assert opened.run("return document.activeElement.id") == "pad-drawing"


def test_the_first_stroke_on_a_loaded_image_starts_a_new_drawing(opened: Browser) -> None:
    loaded = opened.run(STATE)["pixels"]
    opened.draw(PAD, SEVEN)
    over_the_image = opened.run(STATE)["pixels"]
    assert opened.text("#pad-loaded") == ""
    opened.draw(PAD, [(0.2, 0.9), (0.8, 0.9)])
    assert opened.run(STATE)["pixels"] != over_the_image, "the second one goes on"
    opened.click("#pad-undo")
    opened.click("#pad-undo")
    assert opened.run(STATE)["pixels"] == loaded
    opened.click("#pad-clear")
    opened.draw(PAD, SEVEN)
    assert opened.run(STATE)["pixels"] == over_the_image


def test_a_small_drawing_keeps_the_width_of_the_pen(blank: Browser) -> None:
    blank.draw(PAD, SEVEN)
    large = np.array(blank.run(STATE)["pixels"], float)
    blank.click("#pad-clear")
    blank.draw(PAD, [(0.3 + 0.22 * x, 0.6 + 0.22 * y) for x, y in SEVEN])
    small = np.array(blank.run(STATE)["pixels"], float)
    assert abs(large.sum() / small.sum() - 1) < 0.15
    assert np.abs(large - small).mean() < 12
    ink = blank.run("return mnistReport.ink().at.reduce((sum, value) => sum + value)")
    enlarged = blank.run("return mnistReport.enlarged().at.reduce((sum, value) => sum + value)")
    assert enlarged > 1.5 * ink, "the pad shows what was drawn"


def test_undo_takes_back_strokes_clearing_and_images(blank: Browser) -> None:
    blank.draw(PAD, SEVEN)
    one = blank.run(STATE)["pixels"]
    blank.draw(PAD, [(0.2, 0.9), (0.8, 0.9)])
    two = blank.run(STATE)["pixels"]
    assert one != two
    blank.click("#pad-clear")
    assert blank.run(STATE)["empty"]
    blank.click("#pad-undo")
    assert blank.run(STATE)["pixels"] == two
    blank.click("#pad-undo")
    assert blank.run(STATE)["pixels"] == one


def test_any_class_can_be_asked_for_its_evidence(opened: Browser) -> None:
    predicted = opened.run(STATE)["predicted"]
    other = (predicted + 1) % 10
    opened.click(f"[data-class='{other}'] input")
    assert opened.text("#pad-class") == str(other)
    assert not opened.find("#pad-follow").is_selected()
    bias = opened.run("return mnistReport.model.bias[arguments[0]]", other)
    assert float(opened.text("#pad-bias").replace("−", "-")) == pytest.approx(bias, abs=0.0051)
    opened.click("#pad-follow")
    assert opened.text("#pad-class") == str(predicted)


def test_on_an_empty_pad_b_and_its_softmax_stand(blank: Browser, data: ReportData) -> None:
    expected = data.model.probabilities(np.zeros(784, np.uint8))[0]
    np.testing.assert_allclose(shown_probabilities(blank), expected, atol=6e-4)
    assert [blank.text(f"#pad-{name}") for name in ("for", "against")] == ["0.00", "0.00"]
    assert blank.text("#pad-bias") == blank.text("#pad-logit") == "+0.20"


def test_logits_and_exponentials_stand_beside_the_bars(blank: Browser) -> None:
    blank.draw(PAD, SEVEN)
    logits = np.array(blank.run(STATE)["logits"])
    texts = blank.run("return [...document.querySelectorAll('[data-logit]')].map(each => each.textContent)")
    np.testing.assert_allclose([float(text.replace("−", "-")) for text in texts], logits, atol=0.0051)
    texts = blank.run("return [...document.querySelectorAll('[data-power]')].map(each => each.textContent)")
    powers = [float(text.replace("−", "-")) for text in texts]
    np.testing.assert_allclose(powers, np.exp(logits - logits.max()), rtol=0.5, atol=6e-4)


def test_why_not_another_class_is_the_difference_of_the_two(opened: Browser, data: ReportData) -> None:
    state = opened.run(STATE)
    predicted, other = state["predicted"], (state["predicted"] + 3) % 10
    opened.run(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))",
        opened.find("#pad-other"),
        other,
    )
    assert opened.text("#pad-class") == f"{predicted} against {other}"
    difference = state["logits"][predicted] - state["logits"][other]
    assert float(opened.text("#pad-logit").replace("−", "-")) == pytest.approx(difference, abs=0.0051)
    pixels = np.array(state["pixels"]) / 255
    parts = pixels * (data.model.weights[:, predicted] - data.model.weights[:, other])
    assert float(opened.text("#pad-for")) == pytest.approx(parts[parts > 0].sum(), abs=0.0051)


def test_the_true_label_of_a_loaded_image_is_marked(opened: Browser) -> None:
    opened.run("mnistReport.loadImage(2)")
    label = opened.run("return mnistReport.data.images[2].label")
    marked = "return [...document.querySelectorAll('.truth')].map(mark => !mark.hidden)"
    assert opened.run(marked) == [k == label for k in range(10)]
    opened.draw(PAD, SEVEN)
    assert opened.run(marked) == [False] * 10


def test_a_cell_of_the_matrix_opens_its_images(opened: Browser, data: ReportData) -> None:
    confusion = np.array(data.metrics["confusion"])
    label, predicted = (int(place) for place in np.unravel_index(confusion.argmax(), confusion.shape))
    assert label == predicted, "those read right, too"
    np.fill_diagonal(confusion, 0)
    for true, read in ((label, predicted), np.unravel_index(confusion.argmax(), confusion.shape)):
        count = data.metrics["confusion"][true][read]
        opened.click(f"[data-cell='{true}-{read}']")
        assert opened.becomes(f"return document.querySelectorAll('#cell-images canvas').length === {min(12, count)}")
        few = "12 of " if count > 12 else ""
        assert opened.text("#cell-title") == f"{few}{count} images of {true} read as {read}, in four greys"
    rows = opened.run("return mnistReport.data.cells.rows")
    assert all(data.store.test.labels[position] == true for true, _, position in rows)


def test_of_more_images_than_fit_the_title_says_how_many_are_shown(opened: Browser) -> None:
    opened.run("const button = document.querySelector('[data-cell]'); button.dataset.count = 1023; button.click();")
    assert opened.becomes("return document.querySelector('#cell-images canvas')")
    shown = opened.run("return document.querySelectorAll('#cell-images canvas').length")
    assert opened.text("#cell-title").startswith(f"{shown} of 1,023 images of 0 read as ")


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_the_whole_cell_of_the_matrix_is_the_button(opened: Browser, width: int) -> None:
    script = """
        return [...document.querySelectorAll("[data-cell]")].map(button => {
          const [inner, outer] = [button, button.parentElement].map(each => each.getBoundingClientRect());
          return [inner.width, inner.height, outer.width - inner.width, outer.height - inner.height];
        });
    """
    boxes = np.array(at_size(opened, width, 844, script))
    assert boxes[:, :2].min() >= 24
    assert boxes[:, 2:].max() < 1


@pytest.mark.parametrize("event", ["pointermove", "pointerdown"])
def test_a_weight_under_the_pointer_is_shown_for_every_class(opened: Browser, data: ReportData, event: str) -> None:
    opened.run(
        "const picture = document.querySelector('.weights img'); const box = picture.getBoundingClientRect();"
        "picture.dispatchEvent(new PointerEvent(arguments[0], {bubbles: true,"
        "clientX: box.left + 10.5 / 28 * box.width, clientY: box.top + 3.5 / 28 * box.height}))",
        event,
    )
    text = opened.text("#weights-pixel")
    assert text.startswith("Row 3, column 10: 0 ")
    weights = [float(part.split()[1].replace("−", "-")) for part in text.partition(": ")[2].split(", ")]
    np.testing.assert_allclose(weights, data.model.weights[3 * 28 + 10], atol=0.0051)


def test_arrow_keys_walk_over_the_weights(opened: Browser, data: ReportData) -> None:
    opened.run("document.querySelector('.weights').focus()")
    opened.keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT)
    assert opened.text("#weights-pixel").startswith("Row 12, column 13: 0 ")
    opened.keys(*[Keys.ARROW_RIGHT] * 20)
    text = opened.text("#weights-pixel")
    assert text.startswith("Row 12, column 27: 0 "), "it stays inside"
    weights = [float(part.split()[1].replace("−", "-")) for part in text.partition(": ")[2].split(", ")]
    np.testing.assert_allclose(weights, data.model.weights[12 * 28 + 27], atol=0.0051)


def test_forced_colours_keep_the_levels_of_the_matrix_and_the_text_of_charts(opened: Browser) -> None:
    forced = {"features": [{"name": "forced-colors", "value": "active"}]}
    opened.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", forced)
    script = """
        const style = selector => getComputedStyle(document.querySelector(selector));
        const levels = ["td.level0", "td[class^=level]:not(.level0)", "td.diagonal"];
        return [levels.map(level => style(level).backgroundColor), style(".tick").fill, style("body").color];
    """
    try:
        backgrounds, fill, text = opened.run(script)
    finally:
        opened.prefer("light")
    assert len(set(backgrounds)) == 3
    assert fill == text


def at_size(browser: Browser, width: int, height: int, script: str) -> object:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        return browser.run(f"scrollTo(0, 0); {script}")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_pad_is_above_the_fold(opened: Browser) -> None:
    bottom = at_size(opened, 1440, 900, "return document.getElementById('pad-drawing').getBoundingClientRect().bottom")
    assert isinstance(bottom, int | float)
    assert bottom <= 900


def test_on_a_phone_pad_and_answer_are_on_the_first_screen(opened: Browser) -> None:
    script = """
        const box = id => document.getElementById(id).getBoundingClientRect();
        return [box("result").top, box("pad-drawing").top, box("pad-drawing").bottom, box("pad-says").top,
                box("pad-says").bottom];
    """
    places = at_size(opened, 390, 844, script)
    assert isinstance(places, list)
    assert places == sorted(places), "the headline, the pad, the answer"
    assert places[1] < 300
    assert places[-1] <= 844


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_of_the_header_is_lost_beside_the_pad(opened: Browser, width: int) -> None:
    script = """
        const top = name => document.querySelector(name).getBoundingClientRect().top;
        return ["h1", ".lede", ".figures", "#weights"].map(top).concat(top("#draw"));
    """
    tops = at_size(opened, width, 844, script)
    assert isinstance(tops, list)
    assert tops[:4] == sorted(tops[:4])
    assert (tops[4] < tops[1]) == (width == 390), "the pad comes before the text on a phone only"


def test_on_a_phone_the_answer_stands_under_the_pad(opened: Browser) -> None:
    script = """
        const bottom = element => element.getBoundingClientRect().bottom;
        const last = [...document.querySelectorAll("[data-class]")].at(-1);
        return bottom(last) - bottom(document.getElementById("pad-drawing"));
    """
    distance = at_size(opened, 390, 844, script)
    assert isinstance(distance, int | float)
    assert 0 < distance < 844 - 358, "the pad and all ten bars fit on the screen together"


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_text_of_charts_and_matrix_is_at_least_11_pixels(opened: Browser, width: int) -> None:
    script = """
        const charts = [...document.querySelectorAll(".chart .tick")].map(text =>
          parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getBoundingClientRect().width /
          text.ownerSVGElement.viewBox.baseVal.width);
        const cells = [...document.querySelectorAll(".matrix :is(td, small)")];
        return Math.min(...charts, ...cells.map(cell => parseFloat(getComputedStyle(cell).fontSize)));
    """
    smallest = at_size(opened, width, 844, script)
    assert isinstance(smallest, int | float)
    assert smallest >= 11


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(opened: Browser, axe: str, scheme: str, width: int) -> None:
    opened.prefer(scheme)
    assert opened.violations(axe, width) == []


def test_the_pad_can_be_used_with_keys_alone(blank: Browser) -> None:
    blank.run("document.getElementById('pad-drawing').focus()")
    blank.keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.SPACE, *[Keys.ARROW_DOWN] * 5, Keys.SPACE, Keys.ARROW_RIGHT)
    line = blank.run(STATE)
    assert not line["empty"]
    assert "Pen up. The model says" in blank.run("return document.getElementById('pad-status').textContent")
    blank.keys(*[Keys.ARROW_RIGHT] * 3)
    assert blank.run(STATE)["pixels"] == line["pixels"], "a lifted pen draws nothing"
    blank.undo()
    assert blank.run(STATE)["empty"]
    blank.keys(Keys.SPACE, Keys.ARROW_RIGHT, Keys.SPACE, Keys.DELETE)
    assert blank.run(STATE)["empty"]
    blank.keys(Keys.TAB)
    assert blank.run("return document.activeElement.id") != "pad-drawing", "the pad does not hold the focus"


def test_dark_mode_is_dark_and_the_pad_follows(blank: Browser) -> None:
    blank.draw(PAD, SEVEN)
    ink_and_paper = """
        const canvas = document.getElementById("pad-drawing");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const ink = data[data.findIndex((value, at) => at % 4 === 3 && value > 200) - 1];
        const paper = Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]);
    """
    assert blank.becomes(ink_and_paper + "return ink < 60 && paper > 240")
    blank.prefer("dark")
    assert blank.becomes(ink_and_paper + "return ink > 200 && paper < 40")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_width_needs_scrolling_sideways(opened: Browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    opened.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert opened.run("return document.documentElement.scrollWidth") <= width
    finally:
        opened.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


HOSTILE = "</script><img src=x onerror=document.title='broken'>"


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ((40, 24), ("circle", "square", "triangle", "pentagon", "star")),
        ((16, 16), ("no", "yes")),
        ((21, 14), ("ankle boot", HOSTILE, "<b>bag</b>")),
        ((12, 60), ("😀 smile", "שלום עולם", "a name of one hundred characters " * 3)),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value[0], int) else "",
)
def test_a_pad_of_any_shape_and_names_computes_what_python_computes(
    browser: Browser, tmp_path: Path, shape: tuple[int, int], classes: tuple[str, ...]
) -> None:
    data = make_report_data(tmp_path, classes=classes, shape=shape)
    path = tmp_path / "#report?.html"
    path.write_bytes(render(data))
    browser.open(path)
    browser.click("#pad-clear")
    browser.draw(PAD, SEVEN)
    for canvas in ("#pad-drawing", "#pad-seen"):
        size = browser.find(canvas).size
        assert size["width"] / size["height"] == pytest.approx(shape[1] / shape[0], rel=0.1)
        assert size["height"] <= 425
    ink, pixels = drawn(browser, shape)
    np.testing.assert_allclose(pixels, normalize(ink, shape).astype(float), atol=1)
    state = browser.run(STATE)
    np.testing.assert_allclose(state["probabilities"], data.model.probabilities(pixels.ravel())[0], atol=1e-5)
    assert browser.text("#pad-class").strip(ISOLATES) == printable(classes[state["predicted"]], 40)
    assert browser.run("return document.title") != "broken"
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.messages() == []
    assert browser.requests_to_the_network() == []


def test_of_many_classes_the_predicted_one_is_in_view(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(render(make_report_data(tmp_path, classes=tuple(f"class {k}" for k in range(60)))))
    browser.open(path)
    for index in range(5):
        browser.run("mnistReport.loadImage(arguments[0])", index)
        assert browser.run("""
            const list = document.querySelector(".list").getBoundingClientRect();
            const row = document.querySelector(".predicted").getBoundingClientRect();
            return list.height < 460 && row.top >= list.top - 1 && row.bottom <= list.bottom + 1;
        """)
