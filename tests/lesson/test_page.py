"""The lesson's page: its HTML, its policy, its size, and the one text of page and document."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.datasets import Dataset
from mnist_cli.lesson.page import LessonData, render
from mnist_cli.lesson.text import as_html, pieces
from mnist_cli.recipes import Recipe
from tests.support.lesson_data import make_lesson_data
from tests.support.page import Page

LIMIT = 1_500_000  # bytes of the page
STEPS = 20  # of the reference; the page of a small one is like that of a long one
HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}\x1b[2J\u202e<!--")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LessonData:
    return make_lesson_data(tmp_path_factory.mktemp("data"), steps=STEPS)


@pytest.fixture(scope="module")
def page(data: LessonData) -> Page:
    return Page(render(data))


def page_data(page: Page) -> dict[str, object]:
    [found] = [json.loads(text) for text in page.raw if text.startswith("{")]
    assert isinstance(found, dict)
    return found


def test_equal_data_give_equal_bytes(data: LessonData, tmp_path: Path) -> None:
    assert render(data) == render(make_lesson_data(tmp_path, steps=STEPS))


def test_the_page_needs_nothing_else(page: Page) -> None:
    page.check_attributes()
    scripts = [text for text in page.raw if not text.startswith("{")]
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", "".join(scripts))


def test_the_security_policy_names_exactly_what_is_inlined(page: Page) -> None:
    page.check_policy()


def test_ids_are_unique_and_every_reference_has_its_target(page: Page) -> None:
    page.check_references()


def test_it_teaches_the_seven_ideas_in_the_order_of_the_tutorial(page: Page) -> None:
    sections = [section["id"] for section in page.all("section")]
    assert sections == ["data", "one-hot", "evidence", "softmax", "loss", "training", "evaluation", "beyond"]
    assert [f"{number}. " in page.text for number in range(1, 8)] == [True] * 7
    assert len(page.all("figure")) == 8


def test_the_numbers_and_the_licence_are_those_of_the_run(page: Page) -> None:
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "trained on 300 images of bars for 7 steps and got 91.54 % of 120 test images right" in text
    assert "licence: CC0 (https://example.org/)" in text
    assert "300 + 120 of them are packed into this page" in text


def test_what_gets_further_stands_in_the_last_section(data: LessonData, page: Page) -> None:
    assert "grad*8*" not in page.text
    changed = LessonData(**{**vars(data), "beyond": {"grad*8*": Recipe("x", 0.982, 9, "it sees <strokes>")}})
    assert "grad*8*: 98.20\N{NO-BREAK SPACE}%; x. It sees <strokes>." in Page(render(changed)).text


def test_the_recipe_of_the_run_is_named_and_marked(data: LessonData, page: Page) -> None:
    assert "of the recipe" not in page.text
    recipes = {"one": Recipe("x", 0.98, 9, "y"), "two": Recipe("x", 0.99, 9, "z")}
    text = Page(render(LessonData(**{**vars(data), "beyond": recipes, "recipe": "two"}))).text
    assert "a run of the recipe two that trained on 300 images" in text
    assert "Z. Your run was by this recipe." in text
    assert text.count("Your run was by this recipe.") == 1


def test_the_text_of_other_data_has_their_numbers_and_no_digits(tmp_path: Path) -> None:
    text = Page(render(make_lesson_data(tmp_path, steps=STEPS, shape=(40, 24), classes=("a", "b", "c")))).text
    for wrong in (
        "784",
        "a digit",
        "ten digits",
        "(55000",
        "like a 3",
        "a 9",
        "in twelve",
        "blue ring",
        "MNIST is",
        "7,850",
    ):
        assert wrong not in text, wrong
    for right in ("x [960], W [960, 3], b [3]", "(300, 960) float32", "2,883 numbers", "ln 3 = 1.099", "# 0.3333"):
        assert right in text


def test_the_text_of_mnist_is_that_of_the_document(data: LessonData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cli.lesson.page._is_of_the_tutorial", lambda store: True)
    text = " ".join(Page(render(data)).text.split())
    for piece in (
        "looks like a 3",
        "x [784], W [784, 10], b [10]",
        "one digit in twelve is wrong",
        "a zero is a blue ring",
    ):
        assert piece in text


def test_the_page_shows_the_weights_of_the_run_where_they_are_of_its_pixels(data: LessonData, page: Page) -> None:
    weights = np.frombuffer(base64.b64decode(str(page_data(page)["weights"])), "<i4")
    np.testing.assert_array_equal(weights.reshape(784, 10) / 2**24, data.model.weights)
    other = LessonData(**{**vars(data), "model": data.reference.model})
    assert page_data(Page(render(other)))["weights"] != page_data(page)["weights"]


@pytest.mark.parametrize(
    ("shape", "classes", "counts"),
    [((200, 200), 2, (800, 100)), ((28, 28), 47, (6000, 1000)), ((12, 12), 256, (300, 256))],
    ids=str,
)
def test_the_page_of_any_data_set_is_small(
    tmp_path: Path, shape: tuple[int, int], classes: int, counts: tuple[int, int]
) -> None:
    names = tuple(f"class {k}" for k in range(classes))
    data = make_lesson_data(tmp_path, steps=1, classes=names, shape=shape, counts=counts)
    content = render(data)
    assert len(content) < LIMIT
    assert (f'data-cell="{classes - 1}-0"' in content.decode()) == (classes <= 26)


def test_names_from_outside_stay_text(tmp_path: Path, page: Page) -> None:
    data = make_lesson_data(tmp_path, steps=1, classes=HOSTILE, shape=(9, 7))
    origin = Dataset("x", {}, (), HOSTILE, title=HOSTILE[0], licence=HOSTILE[1], source="javascript:alert(1)")
    content = render(LessonData(**{**vars(data), "origin": origin}))
    received = Page(content)
    assert len(received.all("script")) == 2
    assert {tag for tag, _ in received.elements} <= {tag for tag, _ in page.elements}
    assert not any("onerror" in attributes for _, attributes in received.elements)
    assert b"\x1b" not in content
    assert "\u202e" not in content.decode()


def test_marks_choose_what_a_reader_gets() -> None:
    for reader, other in (("docs", "page"), ("page", "docs")):
        text = "\n".join(piece.content for piece in pieces(reader) if piece.kind == "text")
        assert "<!--" not in text
        assert text != "\n".join(piece.content for piece in pieces(other) if piece.kind == "text")
        assert ("$ mnist run" in text) == (reader == "docs")
    assert next(piece.content for piece in pieces("page") if piece.kind == "section") == "data"


def test_markdown_cannot_bring_tags() -> None:
    assert as_html("a <b>b</b> **c**") == "<p>a &lt;b&gt;b&lt;/b&gt; <strong>c</strong></p>\n"


def test_formulas_are_marked_code_can_be_scrolled_and_a_percent_sign_stays_with_its_number() -> None:
    assert '<pre class="formula"><code>y = xW' in as_html("text\n\n    y = xW\n")
    assert '<pre tabindex="0"><code class' in as_html("```python\ny\n```\n")
    assert as_html("get 97 %") == "<p>get 97\N{NO-BREAK SPACE}%</p>\n"
