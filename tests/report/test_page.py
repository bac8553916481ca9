"""The report's page: its figures against slow references, its pictures, and its HTML."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mnist_cli
from mnist_cli.errors import InputError
from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import answers, confused_pairs
from mnist_cli.maps.portable import portable_document
from mnist_cli.pictures.colours import AGAINST, FOR
from mnist_cli.report import figures, images
from mnist_cli.report.page import Provenance, ReportData, render
from tests.support.feature_maps import made_map
from tests.support.page import Page
from tests.support.report_data import TEST, make_report_data

LIMIT = 2_000_000  # bytes of the page
LESSON = Path(mnist_cli.__file__).parent / "lesson" / "text" / "lesson.md"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return make_report_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def page(data: ReportData) -> Page:
    return Page(render(data))


def pad_data(page: Page) -> dict[str, object]:
    [data] = [json.loads(text) for text in page.raw if text.startswith("{")]
    assert isinstance(data, dict)
    return data


# Figures


def test_the_gallery_shows_the_mistakes_that_cost_most_and_the_least_certain_answers(
    data: ReportData, page: Page
) -> None:
    probabilities = data.model.probabilities(data.store.test.inputs)
    labels = data.store.test.labels
    true = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    mistakes = sorted(wrong.tolist(), key=lambda position: true[position])[:24]
    uncertain = np.argsort(probabilities.max(axis=1), kind="stable")[:12].tolist()
    words = [image["alt"] for image in page.all("img") if image.get("class") == "ink"]
    shown = [int(re.search(r"image ([\d,]+):", text)[1].replace(",", "")) for text in words]  # type: ignore[index]
    assert len(mistakes) > 5
    assert shown == mistakes + uncertain
    assert words[0].endswith(f": {labels[mistakes[0]]}, predicted as {probabilities[mistakes[0]].argmax()}")


def test_answers_come_block_by_block_and_are_those_of_the_model() -> None:
    random = np.random.default_rng(0)
    model = Model(random.normal(0, 1, (6, 3)), np.zeros(3), tuple("abc"), 1, 0, "", (2, 3))
    inputs = random.integers(0, 256, (2500, 6)).astype(np.uint8)
    labels = random.integers(0, 3, 2500).astype(np.uint8)
    blocks = list(answers(model, inputs, labels))
    assert len(blocks) == 3
    np.testing.assert_array_equal(np.concatenate([block[1] for block in blocks]), model.probabilities(inputs))
    for start, probabilities, truth in blocks:
        np.testing.assert_array_equal(truth, labels[start : start + len(probabilities)])


def test_examples_by_lot_are_the_same_every_time_and_none_comes_twice() -> None:
    chosen = images.drawn_by_lot(1000, 40)
    assert chosen.tolist() == images.drawn_by_lot(1000, 40).tolist()
    assert len(set(chosen.tolist())) == 40
    assert images.drawn_by_lot(3, 40).tolist() == [0, 1, 2]


def test_confused_pairs_leave_out_what_is_right_and_what_never_happened() -> None:
    confusion = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    assert confused_pairs(confusion, 9) == [(1, 0, 5), (0, 1, 2), (2, 1, 1)]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 12))
def test_ticks_lie_within_and_are_evenly_spaced(low: float, span: float, count: int) -> None:
    marks = figures.ticks(low, low + span, count)
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= mark <= low + span + slack for mark in marks)
    assert len(marks) <= count + 1
    assert np.ptp(np.diff(marks)) <= slack if len(marks) > 2 else True


def test_thinning_keeps_the_ends() -> None:
    assert figures.thinned(range(1000), 4) == [0, 333, 666, 999]
    assert figures.thinned([1, 2], 4) == [1, 2]


# Pictures


def opened(source: str) -> Image.Image:
    prefix, content = source.split(",")
    assert prefix == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")


def test_weights_are_red_below_zero_and_blue_above_and_nothing_at_zero() -> None:
    image = opened(images.weight_image(np.array([[-2.0, -1.0], [0.0, 2.0]]), 2.0))
    assert image.getpixel((0, 0)) == (*AGAINST, 255)
    assert image.getpixel((1, 1)) == (*FOR, 255)
    half, nothing = image.getpixel((1, 0)), image.getpixel((0, 1))
    assert isinstance(half, tuple)
    assert isinstance(nothing, tuple)
    assert half[:3] == AGAINST
    assert half[3] == pytest.approx(127.5, abs=2)
    assert nothing[3] == 0


def test_the_page_and_the_pictures_have_the_same_red_and_blue(page: Page) -> None:
    [style] = [text for text in page.raw if ":root" in text]
    for name, colour in (("--against", AGAINST), ("--for", FOR)):
        assert f"{name}: #{bytes(colour).hex()};" in style


def test_ink_is_as_opaque_as_the_pixel() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    alpha = np.asarray(opened(images.ink_image(pixels)))[..., 3]
    assert alpha.tolist() == pixels.tolist()


# The page


def test_equal_reports_have_equal_bytes(data: ReportData, tmp_path: Path) -> None:
    assert render(data) == render(make_report_data(tmp_path))


def test_the_page_is_small_and_needs_nothing_else(data: ReportData, page: Page) -> None:
    assert len(render(data)) < LIMIT
    page.check_attributes()
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", "".join(page.raw))


def test_links_lead_to_the_lesson_only_where_there_is_one(data: ReportData, page: Page, tmp_path: Path) -> None:
    assert page.text.count("(mnist lesson)") == 6
    beside = Page(render(dataclasses.replace(data, has_lesson=True)))
    beside.check_attributes("lesson.html#")
    targets = [link["href"].partition("#")[2] for link in beside.all("a") if link["href"].startswith("lesson.html")]
    assert targets == ["softmax", "evidence", "training", "evaluation", "softmax", "loss"]
    sections = re.findall(r"<!-- section: ([a-z-]+) -->", LESSON.read_text(encoding="utf-8"))
    features = make_report_data(tmp_path, feature_map=made_map("grad8"))
    of_features = Page(render(dataclasses.replace(features, has_lesson=True)))
    assert {*targets, "beyond"} <= set(sections)
    assert "lesson.html#beyond" in [link["href"] for link in of_features.all("a")]
    assert "(mnist lesson)" not in beside.text + of_features.text


def test_the_content_security_policy_names_exactly_what_is_inlined(page: Page) -> None:
    page.check_policy()


def test_ids_are_unique_and_every_reference_has_its_target(page: Page) -> None:
    page.check_references()


def test_images_charts_and_the_page_have_words(page: Page) -> None:
    assert all(image["alt"] for image in page.all("img"))
    assert all(svg.get("aria-hidden") == "true" or svg.get("role") == "img" for svg in page.all("svg"))
    assert [html["lang"] for html in page.all("html")] == ["en"]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), "no level is left out"


def test_the_numbers_on_the_page_are_those_of_the_metrics(data: ReportData, page: Page) -> None:
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    low, high = data.metrics["accuracy_interval"]
    assert f"The 95 % interval of its accuracy is {100 * low:.2f} % to {100 * high:.2f} %" in text
    assert f"{100 * data.metrics['accuracy']:.2f} %" in text
    for entry in data.metrics["classes"]:
        assert f"{100 * entry['precision']:.2f} %" in text


def test_the_gallery_and_the_pad_hold_a_bounded_sample(page: Page) -> None:
    data = pad_data(page)
    images = data["images"]
    assert isinstance(images, list)
    assert len(images) <= 24 + 12 + 40 < TEST
    buttons = [button["data-load"] for button in page.all("button") if "data-load" in button]
    assert sorted(map(int, buttons)) == list(range(len(buttons)))


def test_the_pad_holds_the_bits_of_the_model_and_of_the_images(data: ReportData, page: Page) -> None:
    pad = pad_data(page)
    weights = np.frombuffer(base64.b64decode(str(pad["weights"])), "<i4").reshape(data.model.weights.shape)
    np.testing.assert_array_equal(weights / 2**24, data.model.weights)
    images = pad["images"]
    assert isinstance(images, list)
    for image in images:
        pixels = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8)
        np.testing.assert_array_equal(pixels, data.store.test.inputs[image["index"]])
        assert image["label"] == data.store.test.labels[image["index"]]


@pytest.mark.parametrize("name", ["grad8", "scat1", "scat2"])
def test_the_page_of_a_feature_map_holds_the_map_and_stays_small(tmp_path: Path, name: str) -> None:
    made = made_map(name, deskew=True)
    data = make_report_data(tmp_path, feature_map=made)
    content = render(data)
    assert len(content) < 700_000
    page = Page(content)
    pad = pad_data(page)
    assert pad["map"] == portable_document(made)
    assert (pad["zero"], pad["step"]) == (80, 32)
    drawn = [image for image in page.all("img") if image["alt"].startswith("Weights of")]
    assert len(drawn) == 10
    assert opened(drawn[0]["src"]).size == data.model.layout.places().shape[::-1]
    assert f"{len(made):,} features" in page.text


def test_the_lines_between_grids_are_grey_and_no_weight_is(tmp_path: Path) -> None:
    data = make_report_data(tmp_path, feature_map=made_map("scat1"))
    [picture, *_] = images.weight_images(data.model)
    pixels, places = np.asarray(opened(picture["source"])), data.model.layout.places()
    assert {tuple(pixel) for pixel in pixels[places < 0]} == {(128, 128, 128, 70)}
    assert (128, 128, 128) not in {tuple(pixel[:3]) for pixel in pixels[places >= 0]}


def test_a_page_with_too_many_exemplars_has_no_pad_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_PAD_WEIGHTS", 60_000)
    data = make_report_data(tmp_path, feature_map=made_map("scat1", exemplars=40))
    page = Page(render(data))
    assert not page.all("canvas")
    assert "has no drawing pad: the model (28 × 28 pixels, 10 classes, 873 features, the weights of" in page.text
    assert len([image for image in page.all("img") if image["alt"].startswith("Weights of")]) == 10


def test_metrics_of_other_features_are_refused(tmp_path: Path) -> None:
    data = make_report_data(tmp_path, feature_map=made_map("grad8"))
    other = dataclasses.replace(data.model, feature_map=made_map("grad8", deskew=True))
    with pytest.raises(InputError, match="not measured on this model"):
        render(dataclasses.replace(data, model=other))


HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}\x1b[2J\u202e<!--")


def test_names_from_outside_stay_text(tmp_path: Path, page: Page) -> None:
    words = Provenance(HOSTILE[0], HOSTILE[1], ((HOSTILE[0], HOSTILE[1]),), ((HOSTILE[1], HOSTILE[0]),))
    hostile = make_report_data(tmp_path, classes=HOSTILE, shape=(9, 7), dataset=HOSTILE[1], provenance=words)
    content = render(hostile)
    received = Page(content)
    assert len(received.all("script")) == 2
    assert {tag for tag, _ in received.elements} <= {tag for tag, _ in page.elements}
    assert not any("onerror" in attributes for _, attributes in received.elements)
    assert HOSTILE[0] in received.text
    assert pad_data(received)["classes"] == [HOSTILE[0], HOSTILE[1], "{{ 7*7 }}\\u001b[2J\\u202e<!--"]
    assert b"\x1b" not in content
    assert "\u202e" not in content.decode()


def test_many_classes_and_large_images_still_make_a_small_page(tmp_path: Path) -> None:
    data = make_report_data(tmp_path, classes=tuple(f"class {k}" for k in range(40)), shape=(120, 100))
    content = render(data)
    assert len(content) < LIMIT
    page = Page(content)
    assert "most frequent confusions" in page.text
    assert not page.all("canvas"), "W is too large for a pad"
    assert "This page has no drawing pad" in page.text


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((256, 256), 2), ((256, 256), 16), ((64, 64), 50), ((28, 28), 256), ((1, 3000), 3)],
    ids=lambda value: str(value),
)
def test_the_page_of_the_largest_data_sets_stays_small_and_shows_every_class(
    tmp_path: Path, shape: tuple[int, int], classes: int
) -> None:
    content = render(make_report_data(tmp_path, classes=tuple(f"class {k}" for k in range(classes)), shape=shape))
    assert len(content) < LIMIT
    page = Page(content)
    weights = [image["alt"] for image in page.all("img") if image["alt"].startswith("Weights of")]
    assert len(weights) == classes
    assert len([image for image in page.all("img") if image.get("class") == "ink"]) >= 12
    assert bool(page.all("canvas")) == (shape[0] * shape[1] * classes < 225_000 and max(shape) <= 2048)


def test_of_large_images_the_pad_can_load_a_few(tmp_path: Path) -> None:
    page = Page(render(make_report_data(tmp_path, classes=("a", "b"), shape=(256, 256))))
    data = pad_data(page)
    assert isinstance(data["images"], list)
    assert 1 <= len(data["images"]) <= 3
    assert data["first"] is not None


def test_a_history_of_many_records_is_thinned(data: ReportData) -> None:
    history = tuple(Record(step, 1.0, None, None) for step in range(1, 20_001))
    content = render(dataclasses.replace(data, history=history))
    assert len(content) < len(render(data)) + 40_000
    assert b"20,000" in content


def test_a_training_without_records_has_no_chart(data: ReportData) -> None:
    assert "The training history is empty." in Page(render(dataclasses.replace(data, history=()))).text


@pytest.mark.parametrize("key", ["model_digest", "store_digest", "confusion"])
def test_metrics_of_something_else_are_refused(data: ReportData, key: str) -> None:
    wrong = "ef" * 32 if key != "confusion" else [row[::-1] for row in data.metrics["confusion"]]
    with pytest.raises(InputError, match=r"metrics\.json was not measured on this model and this store"):
        render(dataclasses.replace(data, metrics={**data.metrics, key: wrong}))
