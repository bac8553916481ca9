"""One line about what each stage found out, from its manifest."""

from __future__ import annotations

from typing import Any

from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.text import file_size, plural, printable


def summary(manifest: Manifest) -> str:
    """Return what a stage's manifest says, in a line; a metric that is not there is left out."""
    try:
        return _SUMMARIES[manifest.stage](manifest.metrics)
    except (KeyError, TypeError, ValueError):  # the manifest of another version of this tool
        return ""


def percent(fraction: float) -> str:
    """Return 0.9201 as `92.01 %`."""
    return f"{100 * fraction:.2f} %"


def short(loss: float) -> str:
    """Return a loss as people read it: `0.3094`, `2.55e+29`."""
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.3g}"


def accuracy_sentence(metrics: dict[str, Any]) -> str:
    """Return the result of an evaluation with its 95 % interval and its counts."""
    low, high = metrics["accuracy_interval"]
    return (
        f"{metrics['split']} accuracy {percent(metrics['accuracy'])} "
        f"({metrics['correct']:,} of {plural(metrics['examples'], 'image')}; "
        f"95 % interval {percent(low)} to {percent(high)})"
    )


def _fetch(metrics: dict[str, Any]) -> str:
    sources = dict.fromkeys(file["source"] for file in metrics["files"])
    origin = "generated" if list(sources) == ["generated"] else f"verified ({', '.join(map(printable, sources))})"
    return f"{plural(len(metrics['files']), 'file')}, {file_size(metrics['bytes'])}, {origin}"


def _preprocess(metrics: dict[str, Any]) -> str:
    return (
        f"{metrics['train']:,} training, {metrics['validation']:,} validation "
        f"and {plural(metrics['test'], 'test image')}"
    )


def _train(metrics: dict[str, Any]) -> str:
    model_step = metrics.get("model_step", metrics["steps"])
    chosen = f", the best at {model_step:,}" if model_step != metrics["steps"] else ""
    accuracy = metrics["validation_accuracy"]
    validated = "" if accuracy is None else f", validation accuracy {percent(accuracy)}"
    return (
        f"{plural(metrics['steps'], 'step')}{chosen}, loss {short(metrics['loss'])}{validated}, "
        f"model {metrics['model_digest'][:12]}"
    )


def _evaluate(metrics: dict[str, Any]) -> str:
    return (
        f"{metrics['split']} accuracy {percent(metrics['accuracy'])}, cross-entropy {short(metrics['cross_entropy'])}"
    )


_SUMMARIES = {"fetch": _fetch, "preprocess": _preprocess, "train": _train, "eval": _evaluate}
