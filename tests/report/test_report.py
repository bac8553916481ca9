"""`mnist report`: its figures against slow references, its page as HTML, and what it refuses."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import io
import itertools
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mnist_cli.errors import InputError
from mnist_cli.formats.history import Record, write_history
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.report import charts, figures
from mnist_cli.report.page import render
from mnist_cli.report.pictures import AGAINST, FOR, ink_image, weight_image
from mnist_cli.report.subject import Provenance, Subject
from mnist_cli.report.writing import provenance
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import STORE, Job, Outcome
from tests.support.command_line import Command, mnist
from tests.support.configs import load_config, parse_override
from tests.support.pipelines import Pipeline
from tests.support.report_subjects import TEST, make_subject

REAL_EVAL = PIPELINE.stages["eval"].run
LIMIT = 2_000_000  # bytes of the page
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The elements of a page with their attributes, its text, and what is inside scripts."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.raw: list[str] = []
        self.open: list[str] = []
        self.feed(content.decode())
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag}: an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.append(data)
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return make_subject(tmp_path_factory.mktemp("subject"))


@pytest.fixture(scope="module")
def page(subject: Subject) -> Page:
    return Page(render(subject))


def pad_data(page: Page) -> dict[str, object]:
    [data] = [json.loads(text) for text in page.raw if text.startswith("{")]
    assert isinstance(data, dict)
    return data


# Figures


def survey(probabilities: Any, labels: Any, limit: int = 9) -> figures.Survey:
    """Survey the examples in blocks of two."""
    found = figures.Survey(limit, limit)
    for start in range(0, len(labels), 2):
        found.add(probabilities[start : start + 2], labels[start : start + 2])
    return found


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_calibration_error_is_that_of_a_slow_loop(examples: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.4), examples).astype(np.float32)
    labels = random.integers(0, classes, examples).astype(np.uint8)
    found = survey(probabilities, labels).calibration
    error, counted = 0.0, []
    for m in range(15):
        confidences, hits = [], []
        for row, label in zip(probabilities, labels, strict=True):
            best = max(range(classes), key=lambda k: row[k])
            confidence = float(row[best])
            if m / 15 < confidence <= (m + 1) / 15:
                confidences.append(confidence)
                hits.append(best == label)
        if hits:
            gap = abs(sum(hits) / len(hits) - sum(confidences) / len(confidences))
            error += len(hits) / examples * gap
            counted.append((len(hits), sum(hits) / len(hits)))
    assert found.error == pytest.approx(error, abs=1e-9)
    assert [entry.count for entry in found.bins] == [count for count, _ in counted]
    assert [entry.accuracy for entry in found.bins] == pytest.approx([accuracy for _, accuracy in counted])


def test_a_model_that_is_always_sure_and_right_is_calibrated() -> None:
    found = survey(np.eye(3, dtype=np.float32), np.arange(3, dtype=np.uint8)).calibration
    assert found.error == 0
    assert [(entry.low, entry.high, entry.count) for entry in found.bins] == [(14 / 15, 1.0, 3)]


def test_the_worst_mistakes_give_the_true_label_least() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.01, 0.99]], np.float32)
    labels = np.array([1, 1, 1, 0], np.uint8)
    assert survey(probabilities, labels).mistakes.tolist() == [3, 0, 2]
    assert survey(probabilities, labels, limit=1).mistakes.tolist() == [3]


def test_the_least_certain_have_the_lowest_highest_probability() -> None:
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55], [0.4, 0.6]], np.float32)
    assert survey(probabilities, np.zeros(3, np.uint8), limit=2).uncertain.tolist() == [1, 2]


def test_examples_by_lot_are_the_same_every_time_and_none_comes_twice() -> None:
    chosen = figures.drawn_by_lot(1000, 40)
    assert chosen.tolist() == figures.drawn_by_lot(1000, 40).tolist()
    assert len(set(chosen.tolist())) == 40
    assert figures.drawn_by_lot(3, 40).tolist() == [0, 1, 2]


def test_confused_pairs_leave_out_what_is_right_and_what_never_happened() -> None:
    confusion = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    assert figures.confused_pairs(confusion, 9) == [(1, 0, 5), (0, 1, 2), (2, 1, 1)]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 12))
def test_ticks_lie_within_and_are_evenly_spaced(low: float, span: float, count: int) -> None:
    marks = charts.ticks(low, low + span, count)
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= mark <= low + span + slack for mark in marks)
    assert len(marks) <= count + 1
    assert np.ptp(np.diff(marks)) <= slack if len(marks) > 2 else True


def test_thinning_keeps_the_ends() -> None:
    assert charts.thinned(range(1000), 4) == [0, 333, 666, 999]
    assert charts.thinned([1, 2], 4) == [1, 2]


# Pictures


def opened(source: str) -> Image.Image:
    prefix, content = source.split(",")
    assert prefix == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")


def test_weights_are_red_below_zero_and_blue_above_and_nothing_at_zero() -> None:
    image = opened(weight_image(np.array([[-2.0, -1.0], [0.0, 2.0]], np.float32), 2.0))
    assert image.getpixel((0, 0)) == (*AGAINST, 255)
    assert image.getpixel((1, 1)) == (*FOR, 255)
    half, nothing = image.getpixel((1, 0)), image.getpixel((0, 1))
    assert isinstance(half, tuple)
    assert isinstance(nothing, tuple)
    assert half[:3] == AGAINST
    assert half[3] == pytest.approx(127.5, abs=2)
    assert nothing[3] == 0


def test_ink_is_as_opaque_as_the_pixel() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    alpha = np.asarray(opened(ink_image(pixels)))[..., 3]
    assert alpha.tolist() == pixels.tolist()


# The page


def test_equal_subjects_give_equal_bytes(subject: Subject, tmp_path: Path) -> None:
    assert render(subject) == render(make_subject(tmp_path))


def test_the_page_is_small_and_needs_nothing_else(subject: Subject, page: Page) -> None:
    assert len(render(subject)) < LIMIT
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, name, value[:80])
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", "".join(page.raw))


def test_the_content_security_policy_names_exactly_what_is_inlined(page: Page) -> None:
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    inlined = [text for text in page.raw if not text.startswith("{")]
    for text in inlined:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == len(inlined) == 2


def test_ids_are_unique_and_every_reference_has_its_target(page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert not [name for name, count in ids.items() if count > 1]
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(attributes.get(name, "").split()) <= set(ids)
        if (target := attributes.get("href", "")).startswith("#"):
            assert target[1:] in ids


def test_images_charts_and_the_page_have_words(page: Page) -> None:
    assert all(image["alt"] for image in page.all("img"))
    assert all(svg.get("aria-hidden") == "true" or svg.get("role") == "img" for svg in page.all("svg"))
    assert [html["lang"] for html in page.all("html")] == ["en"]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), "no level is left out"


def test_the_numbers_on_the_page_are_those_of_the_metrics(subject: Subject, page: Page) -> None:
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    low, high = subject.metrics["accuracy_interval"]
    assert f"the 95 % interval of that share is {100 * low:.2f} % to {100 * high:.2f} %" in text
    assert f"{100 * subject.metrics['accuracy']:.2f} %" in text
    for entry in subject.metrics["classes"]:
        assert f"{100 * entry['precision']:.2f} %" in text


def test_the_gallery_and_the_pad_hold_a_bounded_sample(page: Page) -> None:
    data = pad_data(page)
    images = data["images"]
    assert isinstance(images, list)
    assert len(images) <= 24 + 12 + 40 < TEST
    buttons = [button["data-load"] for button in page.all("button") if "data-load" in button]
    assert sorted(map(int, buttons)) == list(range(len(buttons)))


def test_the_pad_holds_the_bits_of_the_model_and_of_the_images(subject: Subject, page: Page) -> None:
    data = pad_data(page)
    weights = np.frombuffer(base64.b64decode(str(data["weights"])), "<f4").reshape(subject.model.weights.shape)
    np.testing.assert_array_equal(weights, subject.model.weights)
    images = data["images"]
    assert isinstance(images, list)
    for image in images:
        pixels = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8)
        np.testing.assert_array_equal(pixels, subject.store.test.inputs[image["index"]])
        assert image["label"] == subject.store.test.labels[image["index"]]


HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}\x1b[2J\u202e<!--")


def test_names_from_outside_stay_text(tmp_path: Path, page: Page) -> None:
    words = Provenance(HOSTILE[0], HOSTILE[1], ((HOSTILE[0], HOSTILE[1]),), ((HOSTILE[1], HOSTILE[0]),))
    hostile = make_subject(tmp_path, classes=HOSTILE, shape=(9, 7), dataset=HOSTILE[1], provenance=words)
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
    subject = make_subject(tmp_path, classes=tuple(f"class {k}" for k in range(40)), shape=(120, 100))
    content = render(subject)
    assert len(content) < LIMIT
    page = Page(content)
    assert "only the most frequent confusions are listed" in page.text
    assert not page.all("canvas"), "W is too large for a pad"


def test_a_history_of_many_records_is_thinned(subject: Subject) -> None:
    history = tuple(Record(step, 1.0, None, None) for step in range(1, 20_001))
    content = render(dataclasses.replace(subject, history=history))
    assert len(content) < len(render(subject)) + 40_000
    assert b"20,000" in content


def test_a_training_without_records_has_no_chart(subject: Subject) -> None:
    assert "The history holds no records." in Page(render(dataclasses.replace(subject, history=()))).text


@pytest.mark.parametrize("key", ["model_digest", "store_digest", "confusion"])
def test_metrics_of_something_else_are_refused(subject: Subject, key: str) -> None:
    wrong = "ef" * 32 if key != "confusion" else [row[::-1] for row in subject.metrics["confusion"]]
    with pytest.raises(InputError, match=r"metrics\.json is not about this model and this store"):
        render(dataclasses.replace(subject, metrics={**subject.metrics, key: wrong}))


# The command


def real_enough_train(job: Job) -> Outcome:
    """Publish a model of the store and a history, without TensorFlow."""
    store = open_store(job.input(STORE))
    random = np.random.default_rng(job.config.value("seed"))
    weights = random.normal(0, job.config.value("train.learning_rate") or 0.5, (784, 10)).astype(np.float32)
    model = Model(
        weights, np.zeros(10, np.float32), store.classes, 3, job.config.value("seed"), store.digest, store.image_shape
    )
    save_model(job.new / "model.h5", model)
    write_history(job.new / "history.jsonl", [Record(3, 1.5, 1.25, 0.5)])
    return Outcome({"steps": 3, "model_digest": model.digest}, runtime={"device": "cpu", "tensorflow": "2"})


@pytest.fixture
def finished(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A finished pipeline with a model that the report can read; its data set is what the command line is told."""
    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=real_enough_train))
    monkeypatch.setitem(PIPELINE.stages, "eval", dataclasses.replace(PIPELINE.stages["eval"], run=REAL_EVAL))
    pipeline.run("dataset=tiny", "preprocess.validation_size=10", "train.learning_rate=0.25")
    return pipeline


@pytest.fixture
def report(pipeline: Pipeline) -> Command:
    """`mnist report …` on the artifacts of `pipeline`, with the settings of its run."""
    return functools.partial(mnist, "report", "--artifacts", str(pipeline.artifacts.root))


def test_the_command_writes_the_page_and_says_what_it_is(finished: Pipeline, report: Command) -> None:
    said = report("--json").document
    content = finished.file("report.html").read_bytes()
    assert said["file"] == str(finished.file("report.html"))
    assert said["bytes"] == len(content)
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert said["accuracy"] == json.loads(finished.file("eval/metrics.json").read_bytes())["accuracy"]


def test_what_the_stages_were_told_holds_for_the_report(finished: Pipeline, report: Command) -> None:
    report()
    text = Page(finished.file("report.html").read_bytes()).text
    assert "mnist run --set=dataset=tiny --set=preprocess.validation_size=10 --set=train.learning_rate=0.25" in text


def test_the_page_can_go_elsewhere(finished: Pipeline, tmp_path: Path, report: Command) -> None:
    report("--output", str(tmp_path / "page.html"))
    report()
    assert (tmp_path / "page.html").read_bytes() == finished.file("report.html").read_bytes()


@pytest.mark.parametrize("output", ["no/such/folder/page.html", "."])
def test_an_output_that_cannot_be_is_a_mistake_on_the_command_line(
    finished: Pipeline, output: str, report: Command
) -> None:
    done = report("--output", output, code=2)
    assert "--output" in done.err


def test_without_artifacts_it_names_the_command_to_run(pipeline: Pipeline, report: Command) -> None:
    done = report(code=5)
    assert "run 'mnist run'" in done.err
    assert not pipeline.file("report.html").exists()


def test_of_a_stale_model_there_is_no_report(finished: Pipeline, report: Command) -> None:
    said = report("--set", "train.learning_rate=0.5", code=5).err
    assert "train.learning_rate 0.25 (from the command line) → 0.5" in said
    assert "run 'mnist train' and 'mnist eval'" in said
    assert not finished.file("report.html").exists()


def test_damage_that_keeps_size_and_time_is_found(finished: Pipeline, report: Command) -> None:
    path = finished.file("eval/metrics.json")
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"correct": ', b'"correct":1'))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = report(code=5)
    assert "not what was published" in done.err


def test_a_dash_is_no_name_for_the_report(
    finished: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    report("--output", "-", code=2)
    assert not Path("-").exists()


def test_a_failure_leaves_the_old_report(finished: Pipeline, report: Command) -> None:
    report()
    before = finished.file("report.html").read_bytes()
    finished.file("train/model.h5").write_bytes(b"garbage")
    report(code=5)
    assert finished.file("report.html").read_bytes() == before


# How to get it again


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("train.optimizer=adam", "train.beta_1=0.8", "train.schedule=cosine", "train.warmup_steps=10"),
        ("train.epochs=2", "train.batch_size=full", "train.ema=0.5", "eval.split=validation", "seed=7"),
    ],
    ids=["defaults", "adam", "epochs"],
)
def test_command_and_configuration_give_the_same_parameters(
    pipeline: Pipeline, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    results = pipeline.run(*settings)
    manifests = {result.stage: result.manifest for result in results}
    manifests["train"] = manifests["train"].model_copy(update={"metrics": {"model_digest": "ab" * 32}})
    found = provenance(manifests, PIPELINE)
    recorded = [manifest.parameters for manifest in manifests.values()]
    (tmp_path / "again.yaml").write_text(found.configuration, encoding="utf-8")
    by_file = load_config(tmp_path / "again.yaml").config
    assert [stage.parameters(by_file) for stage in PIPELINE.stages.values()] == recorded
    words = found.command.split()
    assert words[:2] == ["mnist", "run"]
    told = [parse_override(word.removeprefix("--set=")) for word in words[2:]]
    by_command = load_config(overrides=told).config
    assert [stage.parameters(by_command) for stage in PIPELINE.stages.values()] == recorded


def test_digests_of_hdf5_content_are_told_from_those_of_bytes(pipeline: Pipeline) -> None:
    manifests = {result.stage: result.manifest for result in pipeline.run()}
    manifests["train"] = manifests["train"].model_copy(update={"metrics": {"model_digest": "ab" * 32}})
    names = [name for name, _ in provenance(manifests, PIPELINE).digests]
    marked = [name for name in names if name.endswith(" (content)")]
    assert marked == ["preprocess/store.h5 (content)", "train/model.h5 (content)"]
    assert "eval/metrics.json" in names


@pytest.mark.parametrize(("recorded", "words"), [(False, "not needed on a CPU"), (True, "switched on")])
def test_whether_operations_are_deterministic_is_said_in_words(pipeline: Pipeline, recorded: bool, words: str) -> None:
    manifests = {result.stage: result.manifest for result in pipeline.run()}
    update = {"metrics": {"model_digest": "ab" * 32}, "runtime": {"determinism": recorded}}
    manifests["train"] = manifests["train"].model_copy(update=update)
    told = dict(provenance(manifests, PIPELINE).runtime)
    assert told["deterministic operations"] == words
    assert "determinism" not in told
