"""The lesson in a real browser: each figure is operated, and its numbers are those of Python."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from mnist_cli.formats.scoring import score, wilson_interval
from mnist_cli.lesson.page import LessonData, render
from tests.support.browser import Browser
from tests.support.lesson_data import STEPS, make_lesson_data, trained

SEVEN = [(0.3, 0.25), (0.5, 0.25), (0.72, 0.25), (0.6, 0.5), (0.5, 0.8)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LessonData:
    return make_lesson_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def page(data: LessonData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "lesson.html"
    path.write_bytes(render(data))
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The lesson, just opened; at the end the console must be empty, and no network request was made."""
    browser.prefer("light")
    browser.open(page)
    assert browser.becomes("return Boolean(window.mnistLesson)")
    yield browser
    # Chromium advises those who read a canvas back, as only these tests do.
    assert [message for message in browser.messages() if "willReadFrequently" not in message] == []
    assert browser.requests_to_the_network() == []


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").removesuffix("%").strip())


def set_range(browser: Browser, selector: str, value: float) -> None:
    """Move a slider, as a person does; the value is rounded to one of its steps."""
    browser.run(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        browser.find(selector),
        value,
    )


def test_a_click_on_an_example_shows_its_numbers(opened: Browser, data: LessonData) -> None:
    opened.click("#data-examples li:nth-child(3) button")
    image = data.examples.test.inputs[2]
    shown = opened.run("return document.getElementById('data-numbers').textContent").split()
    np.testing.assert_allclose([float(text) for text in shown], image / 255, atol=0.006)
    assert opened.text("#data-chosen") == f"unseen digit 3, label {data.examples.test.labels[2]}"
    opened.click("#data-more")
    opened.click("#data-examples li:nth-child(1) button")
    assert opened.text("#data-chosen").startswith("unseen digit 31,")


def test_the_image_is_flattened_and_folded_back(opened: Browser) -> None:
    painted = """
        const canvas = document.getElementById("data-strip");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height / 2);
        return data.some(Boolean);
    """
    assert opened.run(painted)
    opened.click("#data-flatten")
    assert opened.becomes(f"return !(() => {{{painted}}})()"), "all pixels lie in one row at the bottom"
    assert "One row of 784 numbers" in opened.text("#data-flat")
    opened.click("#data-flatten")
    assert opened.becomes(painted)


def test_the_label_is_one_cell_of_ten_and_a_drawing_gets_one(opened: Browser, data: LessonData) -> None:
    def cells() -> list[str]:
        found = opened.run("return [...document.querySelectorAll('#hot-cells b')].map(cell => cell.textContent)")
        assert isinstance(found, list)
        return found

    label = int(data.examples.test.labels[0])
    assert cells() == ["1" if k == label else "0" for k in range(10)]
    opened.draw("#evidence-pad", SEVEN)
    assert cells() == ["?"] * 10
    opened.click("#hot-cells label:nth-child(8) input")
    assert cells() == ["1" if k == 7 else "0" for k in range(10)]
    assert "labelled 7" in opened.text("#loss-hand")
    opened.draw("#evidence-pad", [(0.4, 0.55), (0.65, 0.55)])
    assert cells() == ["1" if k == 7 else "0" for k in range(10)], "one more stroke leaves the label"
    opened.draw("#training-pad", SEVEN)
    assert cells() == ["?"] * 10, "a drawing on the other pad is another one"


def test_the_label_of_an_example_cannot_be_changed(opened: Browser) -> None:
    label = opened.run("return mnistLesson.hand.label")
    opened.click(f"#hot-cells label:nth-child({(label + 1) % 10 + 1})")
    assert opened.run("return mnistLesson.hand.label") == label
    assert not opened.find("#hot-cells input").is_enabled()


@pytest.mark.parametrize("other", [None, 2])
def test_evidence_adds_up_to_the_logit_to_the_last_digit(opened: Browser, data: LessonData, other: int | None) -> None:
    opened.click("#data-examples li:nth-child(5) button")
    opened.click("#evidence-weights li:nth-child(10) button")
    opened.run(
        "const list = document.getElementById('evidence-against'); list.value = arguments[0];"
        "list.dispatchEvent(new Event('change'))",
        "" if other is None else other,
    )
    pixels = data.examples.test.inputs[4]
    logits = data.model.logits(pixels)[0]
    expected = logits[9] - (0 if other is None else logits[other])
    parts = [number(opened.text(f"#evidence-{name}")) for name in ("for", "minus", "bias", "logit")]
    assert parts[3] == pytest.approx(expected, abs=5.1e-5)
    assert round(1e4 * (parts[0] + parts[1] + parts[2] - parts[3])) == 0
    exact = opened.text("#evidence-exact").partition(": ")[2].rstrip(".")
    left, right = exact.split(" = ")
    whole = [Fraction(int(text)) for text in left.replace(",", "").replace(" − ", " -").replace(" + ", " ").split()]
    weights = data.model.weights[:, 9] - (0 if other is None else data.model.weights[:, other])
    bias = data.model.bias[9] - (0 if other is None else data.model.bias[other])
    total = sum(int(q) * int(w) for q, w in zip(pixels, weights * 2**24, strict=True)) + 255 * int(bias * 2**24)
    assert sum(whole) == int(right.replace(",", "").replace("−", "-")) == total
    assert opened.text("#evidence-class") == ("9" if other is None else f"9 against {other}")


def test_the_sliders_of_softmax_move_shares_and_odds(opened: Browser) -> None:
    def shares() -> list[float]:
        texts = opened.run(
            "return [...document.querySelectorAll('#softmax-rows .share')].map(each => each.textContent)"
        )
        return [number(text) / 100 for text in texts]

    logits = np.array([2.0, 1.0, -1.0])
    np.testing.assert_allclose(shares(), np.exp(logits) / np.exp(logits).sum(), atol=6e-4)
    set_range(opened, "#softmax-rows li:nth-child(3) input", 3.5)
    logits[2] = 3.5
    np.testing.assert_allclose(shares(), np.exp(logits) / np.exp(logits).sum(), atol=6e-4)
    opened.click("#softmax-rows li:nth-child(2) button")
    assert f"times {math.e:.4f}" in opened.text("#softmax-text")
    opened.click("#softmax-ten")
    assert len(shares()) == 10


def test_where_the_exponentials_overflow_shares_bars_and_odds_stay(opened: Browser) -> None:
    bars = "return [...document.querySelectorAll('#softmax-rows .track span')].map(bar => bar.style.transform)"
    before = opened.run(bars)
    opened.click("#softmax-huge")
    assert opened.text("#softmax-sum") == "∞"
    assert "Subtract the maximum" in opened.text("#softmax-text")
    assert opened.text("#softmax-rows li:nth-child(1) .share") == "70.5 %"
    assert opened.run(bars) == before
    opened.click("#softmax-rows li:nth-child(1) button")
    assert "The odds of 0 went from 2.394 to 6.508: times 2.7183, which is e." in opened.text("#softmax-text")
    set_range(opened, "#softmax-rows li:nth-child(3) input", -12)
    opened.click("#softmax-rows li:nth-child(3) button")
    assert "times 2.7183, which is e." in opened.text("#softmax-text")
    assert "NaN" not in opened.text("#softmax-rows") + opened.text("#softmax-text").replace("not a number", "")
    opened.click("#softmax-shift")
    assert opened.text("#softmax-sum") not in ("∞", "NaN")


def test_the_softmax_figure_takes_the_logits_of_the_current_image(opened: Browser, data: LessonData) -> None:
    opened.click("#softmax-hand")
    texts = opened.run("return [...document.querySelectorAll('#softmax-rows .share')].map(each => each.textContent)")
    expected = data.model.probabilities(data.examples.test.inputs[0])[0]
    np.testing.assert_allclose([number(text) / 100 for text in texts], expected, atol=6e-4)


def test_the_surprise_is_minus_the_logarithm_and_the_loss_that_of_the_image(opened: Browser, data: LessonData) -> None:
    set_range(opened, "#loss-share", 0)
    assert opened.text("#loss-surprise") == f"−ln 0.001 = {-math.log(0.001):.3f}"
    set_range(opened, "#loss-share", 100)
    assert opened.text("#loss-surprise") == "−ln 1.000 = 0.000"
    share = data.model.probabilities(data.examples.test.inputs[0])[0][data.examples.test.labels[0]]
    assert opened.text("#loss-hand").endswith(f"= {-math.log(share):.4f}.")


def test_the_formula_breaks_at_1000_and_the_logits_do_not(opened: Browser) -> None:
    assert opened.text("#loss-naive") == "e^z = ∞, 1; y = NaN, 0; −ln y₂ = ∞"
    assert opened.text("#loss-safe").endswith("= 1000")
    opened.run("arguments[0].value = 2; arguments[0].dispatchEvent(new Event('input'))", opened.find("#loss-first"))
    for name in ("naive", "safe"):
        assert number(opened.text(f"#loss-{name}").rpartition("= ")[2]) == pytest.approx(
            math.log(1 + math.e**2), abs=6e-4
        )


def finished(browser: Browser, step: int) -> bool:
    return browser.becomes(f"return mnistLesson.film.trainer.steps === {step} && mnistLesson.film.goal <= {step}")


def test_the_training_ends_with_the_bits_of_python(opened: Browser, data: LessonData) -> None:
    opened.click("#training-end")
    assert finished(opened, STEPS)
    assert opened.text("#training-digest") == data.reference.model.digest
    assert "got the same bits" in opened.text("#training-verdict")
    measured = data.reference.score
    assert number(opened.text("#training-accuracy")) == pytest.approx(100 * measured.accuracy, abs=0.051)
    matrix = opened.run("return [...document.querySelectorAll('#matrix button')].map(cell => Number(cell.textContent))")
    assert matrix == measured.confusion.ravel().tolist()
    low, high = wilson_interval(measured.correct, measured.examples)
    assert f"interval {100 * low:.1f} % to {100 * high:.1f} %" in opened.text("#accuracy-text")


@pytest.mark.parametrize(
    ("rate", "batch", "steps"), [("0.05", "1", 40), ("2", "10", 30), ("10", "100", 12), ("0.5", "full", 4)]
)
def test_other_rates_and_batches_give_the_bits_of_python_too(
    opened: Browser, data: LessonData, rate: str, batch: str, steps: int
) -> None:
    opened.click(f"input[name=training-rate][value='{rate}']")
    opened.click(f"input[name=training-batch][value='{batch}']")
    set_range(opened, "#training-slider", steps)
    assert finished(opened, steps)
    size = len(data.examples.train.labels) if batch == "full" else int(batch)
    expected = trained(data.examples, steps=steps, batch=size, rate=Fraction(rate))
    assert opened.text("#training-digest") == expected.digest
    losses = opened.run("return [...mnistLesson.film.losses.subarray(0, arguments[0])]", steps)
    np.testing.assert_allclose(losses, np.array(expected.losses) / size / 2**20, rtol=1e-12)
    command = opened.text("#training-command")
    assert f" --steps {steps}" in command
    assert (f"--batch-size {batch}" in command) == (batch != "100")


def test_the_film_plays_pauses_steps_and_goes_back(opened: Browser, data: LessonData) -> None:
    opened.click("#training-play")
    assert opened.becomes("return mnistLesson.film.trainer.steps > 5")
    opened.click("#training-play")
    paused = opened.run("return mnistLesson.film.trainer.steps")
    assert opened.text("#training-play") == "Play"
    opened.click("#training-next")
    assert finished(opened, paused + 1)
    set_range(opened, "#training-slider", 3)
    assert finished(opened, 3)
    assert opened.text("#training-digest") == trained(data.examples, steps=3).digest
    opened.click("#training-back")
    assert finished(opened, 0)
    assert opened.text("#training-digest") == "–"
    assert opened.text("#training-verdict").startswith("Nothing is trained yet.")
    assert "--steps" not in opened.text("#training-command")
    assert number(opened.text("#training-limit")) == 0
    opened.find("#training-slider").send_keys(Keys.ARROW_RIGHT)
    assert finished(opened, 1)


def test_no_digest_stands_beside_a_step_that_is_not_its_own(opened: Browser) -> None:
    assert opened.text("#training-digest") == "–"
    opened.run("""
        window.seen = [];
        mnistLesson.film.watchers.push(() => seen.push([mnistLesson.film.goal > mnistLesson.film.trainer.steps,
            document.getElementById("training-digest").textContent,
            document.getElementById("accuracy-text").getAttribute("aria-live")]));
    """)
    set_range(opened, "#training-slider", 40)
    assert finished(opened, 40)
    opened.click("#training-play")
    assert opened.becomes("return mnistLesson.film.trainer.steps > 45")
    opened.click("#training-play")
    seen = opened.run("return seen")
    assert len(seen) > 3
    for is_running, digest, live in seen:
        assert (digest == "–", live) == ((True, "off") if is_running else (False, None))


def test_the_pad_is_wired_to_the_weights_of_the_moment(opened: Browser, data: LessonData) -> None:
    set_range(opened, "#training-slider", 20)
    assert finished(opened, 20)
    opened.draw("#training-pad", SEVEN)
    pixels = np.array(opened.run("return [...mnistLesson.hand.pixels]"), float)
    model = trained(data.examples, steps=20)
    logits = (pixels / 255 @ model.weights + model.bias) / 2**24
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    texts = opened.run(
        "return [...document.querySelectorAll('#training-answers .share')].map(each => each.textContent)"
    )
    np.testing.assert_allclose([number(text) / 100 for text in texts], shares, atol=6e-4)
    assert opened.run("return document.getElementById('training-status').textContent").startswith("After 20 steps")
    assert opened.text("#gradient-text").startswith("A drawing without a label")
    opened.click("#hot-cells label:nth-child(1) input")
    assert f"add {1 - shares[0]:.2f} times this image to the weights of 0" in opened.text("#gradient-text")


def test_the_gradient_of_a_digit_that_is_right_and_sure_is_said_to_be_next_to_nothing(opened: Browser) -> None:
    opened.click("#training-end")
    assert finished(opened, STEPS)
    texts = opened.run("""
        const {take, parts, data, film} = mnistLesson;
        film.trainer.V.forEach((value, index, weights) => weights[index] = 20 * value);
        return Array.from({length: data.test}, (_, row) => {
            take(parts.test.inputs.subarray(784 * row, 784 * row + 784), parts.test.labels[row], "x");
            return document.getElementById("gradient-text").textContent;
        });
    """)
    assert not any("add 0.00 times" in text for text in texts)
    assert any("next to nothing to change" in text for text in texts)


def test_a_drawing_on_one_pad_stands_on_the_other_too(opened: Browser) -> None:
    ink = """
        const canvas = document.getElementById("evidence-pad");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value) => sum + value, 0);
    """
    before = opened.run(ink)
    opened.draw("#training-pad", SEVEN)
    assert opened.run(ink) != before
    opened.click("#evidence-clear")
    assert not opened.run("return mnistLesson.hand.pixels.some(Boolean)")


def test_a_cell_of_the_matrix_opens_its_images(opened: Browser, data: LessonData) -> None:
    opened.click("#training-end")
    assert finished(opened, STEPS)
    confusion = score(
        data.reference.model.weights, data.reference.model.bias, data.examples.test.inputs, data.examples.test.labels
    ).confusion
    label, answer = (int(place[0]) for place in np.nonzero(confusion))
    opened.click(f"[data-cell='{label}-{answer}']")
    assert opened.text("#cell-title") == f"{label} read as {answer}: {confusion[label, answer]}"
    images = opened.run("return document.querySelectorAll('#cell-images button').length")
    assert images == min(60, confusion[label, answer])
    opened.click("#cell-images button")
    assert opened.run("return mnistLesson.hand.label") == label


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_needs_scrolling_sideways(opened: Browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    opened.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert opened.run("return document.documentElement.scrollWidth") <= width
    finally:
        opened.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(opened: Browser, axe: str, scheme: str, width: int) -> None:
    opened.prefer(scheme)
    assert opened.violations(axe, width) == []


def test_dark_mode_is_dark_and_the_pictures_follow(opened: Browser) -> None:
    corner = """
        const canvas = document.querySelector("#data-examples canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data[data.findIndex((value, at) => at % 4 === 3 && value > 100) - 1] > 200;
    """
    assert not opened.run(corner)
    opened.prefer("dark")
    assert opened.becomes(corner)


def test_a_page_that_prefers_dark_is_printed_with_dark_ink(opened: Browser) -> None:
    opened.prefer("dark")
    opened.run("""
        const inks = () => ["#data-examples canvas", "#data-strip", "#evidence-pad", "#training-pad"].map(name => {
            const canvas = document.querySelector(name);
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data[data.findIndex((value, at) => at % 4 === 3 && value > 100) - 1];
        });
        window.inks = inks;
        addEventListener("beforeprint", () => window.printed = inks());
    """)
    assert opened.becomes("return inks().every(value => value > 200)")
    opened.driver.execute_cdp_cmd("Page.printToPDF", {})
    assert max(opened.run("return printed")) < 60
    assert min(opened.run("return inks()")) > 200


def test_of_many_classes_the_predicted_one_is_in_view_and_all_bars_begin_in_line(
    browser: Browser, axe: str, tmp_path: Path
) -> None:
    names = tuple("class " + "i" * (1 + k % 7) for k in range(30))
    path = tmp_path / "lesson.html"
    path.write_bytes(render(make_lesson_data(tmp_path, shape=(10, 8), classes=names)))
    browser.prefer("light")
    browser.open(path)
    assert browser.becomes("return Boolean(window.mnistLesson)")
    for row in range(0, 100, 9):
        browser.run(
            "const {take, parts} = mnistLesson; take(parts.test.inputs.subarray(80 * arguments[0],"
            "80 * arguments[0] + 80), parts.test.labels[arguments[0]], 'x')",
            row,
        )
        assert browser.run("""
            const row = document.querySelector("#evidence-answers .predicted").getBoundingClientRect();
            const box = document.querySelector(".answers-box").getBoundingClientRect();
            return row.top >= box.top - 1 && row.bottom <= box.bottom + 1;
        """)
    left = "return new Set([...document.querySelectorAll('#evidence-answers .track')].map(bar => bar.offsetLeft)).size"
    assert browser.run(left) == 1
    assert browser.violations(axe, 1440) == []


@pytest.mark.parametrize(
    ("shape", "classes"), [((12, 30), ("no", "yes")), ((10, 8), tuple(f"name {k}" for k in range(40)))]
)
def test_other_shapes_and_classes_compute_what_python_computes(
    browser: Browser, tmp_path: Path, shape: tuple[int, int], classes: tuple[str, ...]
) -> None:
    data = make_lesson_data(tmp_path, shape=shape, classes=classes)
    path = tmp_path / "lesson.html"
    path.write_bytes(render(data))
    browser.open(path)
    assert browser.becomes("return Boolean(window.mnistLesson)")
    browser.click("#training-end")
    assert finished(browser, STEPS)
    assert browser.text("#training-digest") == data.reference.model.digest
    browser.draw("#evidence-pad", SEVEN)
    if len(classes) > 26:
        browser.click("#pairs button")
        assert " read as " in browser.text("#cell-title")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.messages() == []
