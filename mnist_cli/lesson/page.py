"""The lesson's page: the text, its figures, and the data they compute with. Equal data give equal bytes."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

from mnist_cli.datasets import Dataset
from mnist_cli.formats.model import Model
from mnist_cli.formats.store import STEP, Store
from mnist_cli.learning.rates import decimal, rounded
from mnist_cli.lesson.examples import Examples
from mnist_cli.lesson.text import as_html, pieces
from mnist_cli.lesson.training import SEED, SETTINGS, Reference
from mnist_cli.maps.softmax import UNIT, largest
from mnist_cli.page import html
from mnist_cli.recipes import Recipe
from mnist_cli.text import isolated, printable

RATES = ("0.05", "0.5", "2", "10")
BATCHES = (1, 10, 100, "full")
_STYLES = ("base.css", "lesson.css")
_SCRIPTS = (
    "model.js",
    "drawing.js",
    "exact.js",
    "ui.js",
    "data.js",
    "evidence.js",
    "softmax.js",
    "training.js",
    "evaluation.js",
    "lesson.js",
)
_MATRIX = 26  # up to so many classes, the matrix is shown; with more, a list of the most frequent confusions
_NAME = 40  # characters of a class name, at most
_LABELS = {
    "data": "An image and its numbers",
    "one-hot": "A label as cells",
    "evidence": "The evidence of each pixel",
    "softmax": "From logits to probabilities",
    "network": "The model as a network",
    "loss": "Surprise, and the loss of an image",
    "training": "The training, step by step",
    "evaluation": "Accuracy and confusions on unseen images",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")


@dataclass(frozen=True)
class LessonData:
    """The data of a lesson.

    Attributes:
        examples: the examples in the page.
        reference: the model that `mnist train` gives for them.
        store, model, metrics: of the run that the page was made from; metrics as in metrics.json.
        origin: the data set.
        beyond: name → recipe, for recipes with a higher accuracy.
        recipe: name of the run's recipe, or empty.
    """

    examples: Examples
    reference: Reference
    store: Store
    model: Model
    metrics: Mapping[str, Any]
    origin: Dataset
    beyond: Mapping[str, Recipe] = field(default_factory=dict)
    recipe: str = ""


def render(data: LessonData) -> bytes:
    """Return the lesson as UTF-8 HTML that needs no other file and no network."""
    from markupsafe import Markup

    facts = _facts(data)
    intro, sections = _sections(data, facts)
    environment = html.environment("mnist_cli.lesson")
    return (
        environment.get_template("lesson.html.j2")
        .render(
            intro=Markup(intro),  # our own text, in which all values from outside are escaped
            sections=sections,
            origin={name: printable(getattr(data.origin, name)) for name in ("licence", "source")}
            | {"title": printable(data.origin.title or data.origin.name)},
            facts=facts,
            data=_page_data(data, facts),
            **html.inlined("mnist_cli.lesson", _STYLES, _SCRIPTS),
        )
        .encode()
    )


def _facts(data: LessonData) -> dict[str, Any]:
    """Return the values for the templates of the figures."""
    examples, classes = data.examples, data.examples.classes
    is_digits = classes == tuple("0123456789")
    is_run = _is_of_lesson(data.model, examples)
    source = (
        "These are the weights of your run." if is_run else "These are the weights at the end of the training below."
    )
    return {
        "train": len(examples.train.labels),
        "test": len(examples.test.labels),
        "shape": examples.shape,
        "full": data.store.image_shape,
        "shrunk": examples.shape != data.store.image_shape,
        "classes": len(classes),
        "names": [isolated(printable(name, _NAME)) for name in classes],
        "noun": "digit" if is_digits else "image",
        "nouns": "digits" if is_digits else "images",
        "matrix": len(classes) <= _MATRIX,
        "weights": source,
        "rates": RATES,
        "rate": str(SETTINGS.rate),
        "batches": BATCHES,
        "batch": SETTINGS.batch_size,
        "steps": data.reference.model.step,
        "digest": data.reference.model.digest,
    }


def _is_of_lesson(model: Model, examples: Examples) -> bool:
    """Tell whether a model takes the pixels that the lesson shows."""
    return model.feature_map is None and model.shape == examples.shape


def _is_of_the_tutorial(store: Store) -> bool:
    """Tell whether the text for MNIST, with its digits and its numbers, is true of the store's data."""
    counts = store.train.num_examples, store.test.num_examples
    return store.dataset == "mnist" and store.image_shape == (28, 28) and counts == (55_000, 10_000)


def _sections(data: LessonData, facts: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Return the HTML before the first section, and the sections: name, title, pieces."""
    from markupsafe import Markup

    intro = ""
    sections: list[dict[str, Any]] = []
    for piece in pieces("page" if _is_of_the_tutorial(data.store) else "other"):
        if piece.kind == "section":
            sections.append({"name": piece.content, "title": "", "pieces": []})
            continue
        if piece.kind == "figure":
            sections[-1]["pieces"].append({"figure": piece.content, "label": _LABELS[piece.content]})
            continue
        text = as_html(_filled(piece.content, data, facts))
        if not sections:
            intro += text
            continue
        section = sections[-1]
        if heading := re.match(r"<h2>(.*)</h2>", text):
            section["title"] = re.sub(r"^\d+\. ", "", heading[1])
            text = text.replace("<h2>", f'<h2 id="{section["name"]}-heading">', 1)
        section["pieces"].append({"figure": None, "html": Markup(text)})
    return intro, sections


def _filled(markdown: str, data: LessonData, facts: Mapping[str, Any]) -> str:
    """Fill the numbers of the run into the text; characters of values that are Markdown are escaped."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, finalize=lambda value: _MARKDOWN.sub(r"\\\1", str(value))
    )
    environment.filters |= {"percent": html.percent, "count": "{:,}".format}
    run = {
        "train": data.store.train.num_examples,
        "steps": data.model.step,
        "accuracy": data.metrics["accuracy"],
        "examples": data.metrics["examples"],
        "recipe": printable(data.recipe),
        "maps": data.model.feature_map is not None,
    }
    height, width = data.store.image_shape
    classes = facts["classes"]
    return environment.from_string(markdown).render(
        noun=facts["noun"],
        dataset=printable(data.store.dataset),
        classes=classes,
        digits=facts["noun"] == "digit",
        pixels=height * width,
        few=min(100, run["train"]),
        share=f"{1 / classes:.4f}".rstrip("0"),
        surprise=f"{math.log(classes):.3f}",
        height=height,
        width=width,
        run=run,
        beyond=data.beyond,
    )


def _page_data(data: LessonData, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data for the scripts: the examples, W and b of figure 3, and the numbers of the training."""
    examples, reference = data.examples, data.reference
    model = data.model if _is_of_lesson(data.model, examples) else reference.model
    integers = [np.rint(array / UNIT).astype("<i4") for array in (model.weights, model.bias)]
    weights, bias = (base64.b64encode(array.tobytes()).decode() for array in integers)
    tables = json.loads((resources.files("mnist_cli.maps") / "softmax.json").read_text(encoding="utf-8"))
    return {
        "shape": list(examples.shape),
        "classes": facts["names"],
        "noun": facts["noun"],
        "nouns": facts["nouns"],
        "train": facts["train"],
        "test": facts["test"],
        "examples": base64.b64encode(examples.packed()).decode(),
        "weights": weights,
        "bias": bias,
        "tables": {name: tables[name] for name in ("A", "B", "C", "ln")},
        "steps": reference.model.step,
        "seed": SEED,
        "rate": SETTINGS.rate,
        "batch": SETTINGS.batch_size,
        "factors": {rate: [rounded(decimal(float(rate)), STEP), rounded(decimal(float(rate)))] for rate in RATES},
        "largest": largest(math.prod(examples.shape)),
        "command": "mnist run --dataset lesson-data/dataset.yaml --validation-size 0",
        "expected": {
            "digest": reference.model.digest,
            "correct": reference.score.correct,
        },
    }
