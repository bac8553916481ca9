"""On GitHub Actions, annotate errors and append a short summary of the results; elsewhere do nothing.

The formats are those of GitHub's "Workflow commands": lines such as `::error file=…,line=…::message`, and Markdown
appended to the file that $GITHUB_STEP_SUMMARY names.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cli.errors import ConfigError, Interrupted, MnistError

if TYPE_CHECKING:
    from mnist_cli.pipeline.request import StageResult
    from mnist_cli.stages.stage import Pipeline

# A problem of the configuration with its place: pipeline.yaml:14:3: …
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<text>.*)", re.DOTALL)
# Characters that Markdown or HTML would read as markup.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>&|#!~]")


def annotate_failure(error: MnistError | Interrupted) -> None:
    """On GitHub Actions, write an error as annotations on stderr and into the step's summary.

    Each problem of the configuration is annotated at its place.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true" or isinstance(error, Interrupted):
        return
    texts = error.problems if isinstance(error, ConfigError) else (error.message,)
    with suppress(OSError):
        for text in texts:
            print(_annotation(text), file=sys.stderr, flush=True)
    _append(f"**mnist failed:** {_literal(error.message)}\n\n")


def append_summary(pipeline: Pipeline, results: list[StageResult], sentence: str | None) -> str | None:
    """Append the results of the stages as Markdown to the step's summary, on GitHub Actions.

    Args:
        results: of the requested stages.
        sentence: the result in words, if there is one.

    Returns:
        Why it could not be written, or None: a missing summary must not fail the command.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return None
    return _append(_summary(pipeline, results, sentence))


def _append(text: str) -> str | None:
    """Append to the step's summary; return why that failed, or None."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"$GITHUB_STEP_SUMMARY cannot be written: {error.strerror}"
    return None


def _annotation(text: str) -> str:
    match = _PLACE.fullmatch(text)
    if match is None:
        return f"::error title=mnist::{_escaped(text)}"
    place = {"file": _in_workspace(match["file"]), "line": match["line"], "col": match["column"]}
    properties = ",".join(f"{key}={_escaped(value, in_property=True)}" for key, value in place.items())
    return f"::error title=mnist,{properties}::{_escaped(match['text'])}"


def _in_workspace(file: str) -> str:
    """Return the path relative to the root of the repository, as annotations need it."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    return os.path.relpath(file, workspace) if workspace else file


def _escaped(text: str, *, in_property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def _summary(pipeline: Pipeline, results: list[StageResult], sentence: str | None) -> str:
    lines = ["### mnist", ""]
    if sentence is not None:
        lines += [f"**{_literal(sentence)}**", ""]
    lines += ["| stage | | seconds | |", "| --- | --- | ---: | --- |"]
    for result in results:
        seconds = f"{result.manifest.seconds:.1f}" if result.ran else ""
        word = "done" if result.ran else "reused" if result.taken_from else "fresh"
        text = _literal(pipeline.summary(result.manifest.stage, result.manifest.metrics))
        lines.append(f"| {result.stage} | {word} | {seconds} | {text} |")
    return "\n".join(lines) + "\n\n"


def _literal(text: str) -> str:
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", text)
