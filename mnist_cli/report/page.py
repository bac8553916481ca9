"""The page: figures, charts and pictures put into the template. Equal subjects give equal bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np

from mnist_cli.errors import InputError
from mnist_cli.formats.model import Floats
from mnist_cli.formats.scoring import score
from mnist_cli.report import charts, figures
from mnist_cli.report.examples import Examples, pad_data
from mnist_cli.report.pictures import weight_image
from mnist_cli.report.subject import Subject
from mnist_cli.text import printable, signed

_MATRIX = 26  # classes at most for which a matrix can be read; of more, the most frequent confusions are listed
_PAIRS = 40
_POINTS = 300  # of a curve at most
_ROWS = 50  # of a table of it at most
_WEIGHT_PIXELS = 500_000  # of all weight images together: what keeps the page below 2 MB
_NAME = 40  # characters of a class name at most


def render(subject: Subject) -> bytes:
    """Return the report as UTF-8 HTML that needs no other file and no network.

    Raises:
        InputError: the metrics are not those of this model on this store.
        FormatError: the store is damaged.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mnist_cli.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "short": _short, "count": "{:,}".format, "signed": _signed}
    style, script = _text("report.css"), f"(() => {{\n{_text('model.js')}\n{_text('pad.js')}}})();\n"
    # Both are ours; everything else on the page is escaped.
    inlined = {"style": Markup(style), "script": Markup(script)}
    hashes = {"style_hash": _csp_hash(style), "script_hash": _csp_hash(script)}
    return environment.get_template("report.html.j2").render(**_content(subject), **inlined, **hashes).encode()


def _content(subject: Subject) -> dict[str, Any]:
    model, store, metrics = subject.model, subject.store, subject.metrics
    split = getattr(store, metrics["split"])
    _check(subject)
    names = [printable(name, _NAME) for name in model.classes]
    examples = Examples(split, model, store.image_shape, names)
    pad = pad_data(model, examples)
    return {
        "metrics": metrics,
        "model": model,
        "store": store,
        "dataset": printable(store.dataset),
        "noun": "digit" if model.classes == tuple("0123456789") else "class",
        "classes": names,
        "interval": _interval(metrics),
        "curves": _curves(subject),
        "weights": _weights(model.weights, model.bias, store.image_shape),
        "confusion": _confusion(np.array(metrics["confusion"])),
        "calibration": _calibration(examples.calibration),
        "mistakes": examples.mistakes,
        "uncertain": examples.uncertain,
        "pad": pad,
        "provenance": subject.provenance,
    }


def _check(subject: Subject) -> None:
    """Refuse metrics that are not of this model and this store, whatever the manifests say."""
    model, metrics = subject.model, subject.metrics
    split = getattr(subject.store, metrics["split"])
    fits = (metrics["model_digest"], metrics["store_digest"]) == (model.digest, subject.store.digest)
    if fits:
        measured = score(model.weights, model.bias, split.inputs, split.labels)
        fits = measured.confusion.tolist() == [list(row) for row in metrics["confusion"]]
    if not fits:
        raise InputError(
            "metrics.json is not about this model and this store\n"
            f"expected model {model.digest[:12]}…, store {subject.store.digest[:12]}… and what they come to; "
            f"received {printable(metrics['model_digest'])[:12]}…, {printable(metrics['store_digest'])[:12]}…",
            hint="run 'mnist eval --force'",
        )


def _interval(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the strip that shows an accuracy and its interval on a piece of the axis around them."""
    low, high = metrics["accuracy_interval"]
    margin = max(0.3 * (high - low), 0.001)
    across = charts.Scale(max(0.0, low - margin), min(1.0, high + margin), 12, 308)
    marks = [(across(value), f"{100 * value:g} %") for value in charts.ticks(across.low, across.high, 4)]
    return {"low": across(low), "high": across(high), "at": across(metrics["accuracy"]), "ticks": marks}


def _curves(subject: Subject) -> dict[str, Any]:
    records = charts.thinned(subject.history, _POINTS)
    table = charts.thinned(subject.history, _ROWS)
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
    across = charts.Scale(min(0, *steps), max(steps), 52, 508)
    up = charts.Scale(max(0.0, low), min(1.0, high) if percent else high, 236, 14)
    for line in lines:
        line["polyline"] = charts.line(line["points"], across, up)
        line["dots"] = [(across(x), up(y)) for x, y in line["points"]] if len(line["points"]) <= 60 else []
        line["first"], line["last"] = line["points"][0][1], line["points"][-1][1]
    return {
        "title": title,
        "unit": unit,
        "lines": lines,
        "percent": percent,
        "across": [(across(value), f"{value:,.0f}") for value in charts.ticks(across.low, across.high, 5)],
        "up": [
            (up(value), f"{100 * value:g} %" if percent else f"{value:g}") for value in charts.ticks(up.low, up.high, 5)
        ],
    }


def _weights(weights: Floats, bias: Floats, shape: tuple[int, int]) -> dict[str, Any]:
    limit = float(np.abs(weights).max())
    shown = min(len(bias), _WEIGHT_PIXELS // len(weights))
    images = []
    for label in range(shown):
        image = weights[:, label].reshape(shape)
        places = [divmod(int(place), shape[1]) for place in (image.argmin(), image.argmax())]
        images.append(
            {
                "source": weight_image(image, limit),
                "bias": float(bias[label]),
                "lowest": (float(image.min()), *places[0]),
                "highest": (float(image.max()), *places[1]),
            }
        )
    return {"limit": limit, "images": images, "left_out": len(bias) - shown, "scale": weight_image(_ramp(), 1)}


def _ramp() -> Floats:
    return np.linspace(-1, 1, 255, dtype=np.float32)[np.newaxis]


def _confusion(confusion: Any) -> dict[str, Any]:
    support = confusion.sum(axis=1)
    if len(confusion) > _MATRIX:
        pairs = figures.confused_pairs(confusion, _PAIRS)
        return {"rows": None, "pairs": [(*pair, pair[2] / int(support[pair[0]])) for pair in pairs]}
    shares = confusion / np.maximum(support, 1)[:, np.newaxis]
    # The darker the more: shares from 0.5 % on, each step twice the one before.
    doublings = np.floor(np.log2(np.maximum(shares, 0.005) / 0.005))
    levels = np.where(shares < 0.005, 0, 1 + doublings).clip(0, 5).astype(int)
    cells = np.stack([confusion, levels], axis=2).tolist()
    rows = [
        [(count, share, level) for (count, level), share in zip(row, row_shares, strict=True)]
        for row, row_shares in zip(cells, shares.tolist(), strict=True)
    ]
    pairs = figures.confused_pairs(confusion, 3)
    return {"rows": rows, "pairs": [(*pair, pair[2] / int(support[pair[0]])) for pair in pairs]}


def _calibration(calibration: figures.Calibration) -> dict[str, Any]:
    across, up = charts.Scale(0, 1, 52, 348), charts.Scale(0, 1, 310, 14)
    most = max(entry.count for entry in calibration.bins)
    tall = charts.Scale(0, most, 0, 56)
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
        for entry in calibration.bins
    ]
    marks = charts.ticks(0, 1, 5)
    return {
        "error": calibration.error,
        "bins": drawn,
        "number": figures.BINS,
        "most": most,
        "across": [(across(value), f"{100 * value:g}") for value in marks],
        "up": [(up(value), f"{100 * value:g} %") for value in marks],
    }


def _text(name: str) -> str:
    return (resources.files("mnist_cli.report") / "templates" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return the source that lets a Content-Security-Policy pass exactly this text."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _percent(share: float | None, digits: int = 2) -> str:
    """Return 0.9201 as `92.01 %`, with a space that does not break."""
    if share is None:
        return "–"
    least = 0.1**digits / 100
    if 0 < share < least / 2:
        return f"< {least * 100:.{digits}f}\N{NO-BREAK SPACE}%"
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _signed(value: float) -> str:
    return signed(value).replace("-", "−")


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"
