"""The page: puts figures, charts and pictures into the template.

Equal data give equal bytes; whether a lesson lies beside the page is a part of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.errors import InputError
from mnist_cli.formats.calibration import BINS, Calibration
from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model
from mnist_cli.formats.scoring import Lowest, answers, confused_pairs
from mnist_cli.formats.store import Split, Store
from mnist_cli.page import html
from mnist_cli.report import figures, images
from mnist_cli.text import isolated, printable

_STYLES = ("base.css", "report.css")
_SCRIPTS = ("model.js", "features.js", "drawing.js", "pad.js", "pictures.js")
_MATRIX = 26  # up to so many classes, the matrix is a table; with more, a picture and a list of frequent confusions
_PAIRS = 40
_POINTS = 300  # of a curve, at most
_ROWS = 50  # of a curve's table, at most
_NAME = 40  # characters of a class name, at most
_SHORT = 4  # characters of a name that fits into a column of the matrix


@dataclass(frozen=True)
class Provenance:
    """How to get the same result again.

    Attributes:
        command: runs the pipeline with the parameters that are not the defaults.
        configuration: YAML with every parameter that affects the result.
        digests: (name, SHA-256) of inputs and outputs.
        runtime: (name, value) of what can move the bits, and of the machine.
    """

    command: str
    configuration: str
    digests: tuple[tuple[str, str], ...]
    runtime: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReportData:
    """The data of a report.

    Attributes:
        model: the model.
        store: the examples that it was trained and measured on.
        metrics: the content of metrics.json, measured with this model on this store.
        history: the records of the training.
        provenance: how to get the same result again.
        has_lesson: whether lesson.html is in the folder of the page, which then links to it.
    """

    model: Model
    store: Store
    metrics: Mapping[str, Any]
    history: tuple[Record, ...]
    provenance: Provenance
    has_lesson: bool = False


def render(data: ReportData) -> bytes:
    """Return the report as UTF-8 HTML that needs no other file and no network.

    Raises:
        InputError: the metrics are not those of this model on this store.
        FormatError: the store is damaged.
    """
    inlined = html.inlined("mnist_cli.report", _STYLES, _SCRIPTS)
    template = html.environment("mnist_cli.report").get_template("report.html.j2")
    return template.render(**_content(data), **inlined).encode()


def _content(data: ReportData) -> dict[str, Any]:
    model, store, metrics = data.model, data.store, data.metrics
    split = getattr(store, metrics["split"])
    _check(data)  # before the slow computations
    names = [isolated(printable(name, _NAME)) for name in model.classes]
    cells = images.Cells(split, len(names))
    calibration, confusion, mistakes, uncertain = _survey(model, split, cells)
    _check(data, confusion)
    examples = images.Examples(split, model.shape, names, mistakes, uncertain)
    return {
        "metrics": metrics,
        "model": model,
        "store": store,
        "dataset": printable(store.dataset),
        "noun": "digit" if model.classes == tuple("0123456789") else "class",
        "classes": names,
        "long_names": max(map(len, names)) > _SHORT,
        "interval": _interval(metrics),
        "curves": _curves(data.history),
        "weights": _weights(model),
        "confusion": _confusion(np.array(metrics["confusion"])),
        "calibration": _calibration(calibration),
        "mistakes": examples.mistakes,
        "uncertain": examples.uncertain,
        "pad": images.pad_data(model, names, examples, cells),
        "no_pad": images.why_no_pad(model),
        "provenance": data.provenance,
        "has_lesson": data.has_lesson,
    }


def _check(data: ReportData, confusion: npt.NDArray[np.int64] | None = None) -> None:
    """Refuse metrics that do not belong to this model and this store, whatever the manifests say.

    Args:
        data: the data of the report.
        confusion: int64 [K, K], counted again from the images; None: compare only digests.
    """
    model, store, metrics = data.model, data.store, data.metrics
    # With a feature map, metrics.json names the store of features, which are computed from the images again here.
    fits = metrics["model_digest"] == model.digest and (model.feature_map or metrics["store_digest"] == store.digest)
    if fits and confusion is not None:
        fits = confusion.tolist() == [list(row) for row in metrics["confusion"]]
    if not fits:
        raise InputError(
            "metrics.json was not measured on this model and this store\n"
            f"expected model {model.digest[:12]}…, store {store.digest[:12]}… and their confusion matrix; "
            f"received {printable(metrics['model_digest'])[:12]}…, {printable(metrics['store_digest'])[:12]}…",
            hint="run 'mnist eval --force'",
        )


def _survey(
    model: Model, split: Split, cells: images.Cells
) -> tuple[Calibration, npt.NDArray[np.int64], Lowest, Lowest]:
    """Return calibration, confusion matrix, the mistakes that gave the true label least, and the least certain images.

    All come from one pass over the images, since features are slow to compute. All images are offered to `cells`.
    """
    classes = len(model.bias)
    calibration, confusion = Calibration(), np.zeros((classes, classes), np.int64)
    mistakes, uncertain = Lowest(images.MISTAKES, classes), Lowest(images.UNCERTAIN, classes)
    for start, probabilities, labels in answers(model, split.inputs, split.labels):
        calibration.add(probabilities, labels)
        predicted = probabilities.argmax(axis=1)
        np.add.at(confusion, (labels, predicted), 1)
        wrong = np.flatnonzero(predicted != labels)
        cells.add(start + np.arange(len(labels)), labels, predicted)
        mistakes.add(probabilities[wrong, labels[wrong]], start + wrong, probabilities[wrong])
        uncertain.add(probabilities.max(axis=1), start + np.arange(len(labels)), probabilities)
    return calibration, confusion, mistakes, uncertain


def _interval(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the strip that shows the accuracy and its interval on a part of the axis."""
    low, high = metrics["accuracy_interval"]
    margin = max(0.3 * (high - low), 0.001)
    across = figures.Scale(max(0.0, low - margin), min(1.0, high + margin), 12, 308)
    marks = [(across(value), f"{100 * value:g} %") for value in figures.ticks(across.low, across.high, 4)]
    return {"low": across(low), "high": across(high), "at": across(metrics["accuracy"]), "ticks": marks}


def _curves(history: Sequence[Record]) -> dict[str, Any]:
    records = figures.thinned(history, _POINTS)
    table = figures.thinned(history, _ROWS)
    if not records:
        return {"charts": [], "table": []}
    losses = [
        {"name": "training loss", "points": [(record.step, record.loss) for record in records]},
        {
            "name": "validation loss",
            "points": [(r.step, r.validation_loss) for r in records if r.validation_loss is not None],
        },
    ]
    accuracy = {
        "name": "validation accuracy",
        "points": [(r.step, r.validation_accuracy) for r in records if r.validation_accuracy is not None],
    }
    drawn = [_chart("Loss", "nats", losses)]
    if accuracy["points"]:
        drawn.append(_chart("Validation accuracy", "", [accuracy], percent=True))
    return {"charts": drawn, "table": table}


def _chart(title: str, unit: str, lines: list[dict[str, Any]], *, percent: bool = False) -> dict[str, Any]:
    lines = [line for line in lines if line["points"]]
    steps = [x for line in lines for x, _ in line["points"]]
    values = [y for line in lines for _, y in line["points"]]
    spread = (max(values) - min(values)) or abs(max(values)) or 1.0
    low, high = min(values) - 0.06 * spread, max(values) + 0.06 * spread
    across = figures.Scale(min(0, *steps), max(steps), 52, 508)
    up = figures.Scale(max(0.0, low), min(1.0, high) if percent else high, 236, 14)
    for line in lines:
        line["polyline"] = figures.line(line["points"], across, up)
        line["dots"] = [(across(x), up(y)) for x, y in line["points"]] if len(line["points"]) <= 60 else []
        line["first"], line["last"] = line["points"][0][1], line["points"][-1][1]
    return {
        "title": title,
        "unit": unit,
        "lines": lines,
        "percent": percent,
        "across": [(across(value), f"{value:,.0f}") for value in figures.ticks(across.low, across.high, 5)],
        "up": [
            (up(value), f"{100 * value:g} %" if percent else f"{value:g}")
            for value in figures.ticks(up.low, up.high, 5)
        ],
    }


def _weights(model: Model) -> dict[str, Any]:
    drawn = images.weight_images(model)
    ramp = np.linspace(-1, 1, 255)[np.newaxis]
    shrunk = drawn[0]["shape"] if drawn[0]["shape"] != drawn[0]["full"] else None
    limit = float(np.abs(model.weights).max())
    return {
        "limit": limit,
        "images": drawn,
        "shrunk": shrunk,
        "full": drawn[0]["full"],
        "scale": images.weight_image(ramp, 1),
    }


def _confusion(confusion: npt.NDArray[np.int64]) -> dict[str, Any]:
    support = confusion.sum(axis=1)
    shares = confusion / np.maximum(support, 1)[:, np.newaxis]
    pairs = [(*pair, pair[2] / int(support[pair[0]])) for pair in confused_pairs(confusion, _PAIRS)]
    if len(confusion) > _MATRIX:
        return {"rows": None, "pairs": pairs, "image": images.share_image(shares)}
    # Darker means more: levels begin at a share of 0.5 %, and each is twice the one before.
    doublings = np.floor(np.log2(np.maximum(shares, 0.005) / 0.005))
    levels = np.where(shares < 0.005, 0, 1 + doublings).clip(0, 5).astype(int)
    cells = np.stack([confusion, levels], axis=2).tolist()
    rows = [
        [(count, share, level) for (count, level), share in zip(row, row_shares, strict=True)]
        for row, row_shares in zip(cells, shares.tolist(), strict=True)
    ]
    return {"rows": rows, "pairs": pairs, "image": None}


def _calibration(calibration: Calibration) -> dict[str, Any]:
    across, up = figures.Scale(0, 1, 52, 348), figures.Scale(0, 1, 310, 14)
    bins = calibration.bins
    most = max(entry.count for entry in bins)
    tall = figures.Scale(0, most, 0, 56)
    drawn = [
        {
            "entry": entry,
            "left": across(entry.low),
            "width": round(across(entry.high) - across(entry.low) - 1, 2),
            "x": across(entry.confidence),
            "y": up(entry.accuracy),
            "top": up(entry.interval[1]),
            "bottom": up(entry.interval[0]),
            "height": tall(entry.count),
        }
        for entry in bins
    ]
    marks = figures.ticks(0, 1, 5)
    return {
        "error": calibration.error,
        "bins": drawn,
        "number": BINS,
        "most": most,
        "across": [(across(value), f"{100 * value:g}") for value in marks],
        "up": [(up(value), f"{100 * value:g} %") for value in marks],
    }
