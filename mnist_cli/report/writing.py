"""Collects the data of a report: up-to-date artifacts and, from their manifests, how to reproduce them."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli import files
from mnist_cli.config.declarations import Config, nested
from mnist_cli.config.template import yaml_value
from mnist_cli.page.writing import WrittenPage, check_target, fresh_manifests, published, write_page
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import is_of_content
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.stages.stage import EVALUATION, HISTORY, MODEL, STORE
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.report.page import Provenance, ReportData
    from mnist_cli.runs.runs import Run
    from mnist_cli.stages.stage import Pipeline

NAME = "report.html"
_LESSON = "lesson.html"  # the name that mnist lesson gives it


def write_report(
    config: Config, artifacts: Artifacts, target: Path | None = None, run: Run | None = None
) -> tuple[WrittenPage, dict[str, Any]]:
    """Write the report on the artifacts, or on a kept run.

    It links to the lesson if lesson.html is in the folder it is written to; else it names the command. Equal artifacts
    give equal bytes as long as that is the same.

    Args:
        config: the configuration that the artifacts must be up to date for.
        artifacts: artifacts with a finished training and evaluation; for a run, with the data that it was trained on.
        target: the file to write; None: `report.html` in the artifacts folder, or `report-ID.html` for a run.
        run: the kept run to measure and report on, or None.

    Returns:
        The page, and the content of metrics.json that it shows.

    Raises:
        InputError: the model or its evaluation is missing, stale or corrupt, or they do not fit together.
        UsageError: the target is a folder, in a missing folder, `-`, or an existing file that is not a report.
        MnistError: the report cannot be written.
    """
    path = check_target(target, artifacts, f"report-{run.id}.html" if run else NAME)
    from mnist_cli.report.page import render

    data = _of_run(run, config, artifacts) if run else _of_published(config, artifacts)
    lesson = path.with_name(_LESSON)
    data = dataclasses.replace(data, has_lesson=lesson != path and lesson.is_file())
    return write_page(path, render(data)), dict(data.metrics)


def _of_published(config: Config, artifacts: Artifacts) -> ReportData:
    manifests = fresh_manifests(config, artifacts, "cannot write the report")
    history, metrics = (published(artifacts, manifests, kind) for kind in (HISTORY, EVALUATION))
    return _report_data(artifacts, manifests, artifacts.path(MODEL), history, metrics)


def _of_run(run: Run, config: Config, artifacts: Artifacts) -> ReportData:
    from mnist_cli.runs.evaluating import evaluate_run

    evaluation = evaluate_run(run, config, artifacts)
    made = (evaluation.manifest, run.train)
    manifests = {manifest.stage: manifest for manifest in made}
    for name in reversed(artifacts.pipeline.stages):  # the stages that they were made from, back to the first
        sources = {read.split("/")[0] for manifest in manifests.values() for read in manifest.inputs}
        if name in sources and name not in manifests and (found := artifacts.manifest(name)):
            manifests[name] = found
    manifests = {name: manifests[name] for name in artifacts.pipeline.stages if name in manifests}
    history = files.read_regular(run.folder / artifacts.pipeline.file(HISTORY))
    return _report_data(artifacts, manifests, run.model_file, history, evaluation.content)


def _report_data(
    artifacts: Artifacts, manifests: dict[str, Manifest], model: Path, history: bytes, metrics: bytes
) -> ReportData:
    from mnist_cli.formats.history import parse_history
    from mnist_cli.formats.model import load_model
    from mnist_cli.formats.store import open_store
    from mnist_cli.report.page import ReportData

    return ReportData(
        model=load_model(model),
        store=open_store(artifacts.path(STORE)),
        metrics=json.loads(metrics),
        history=parse_history(history),
        provenance=provenance(manifests, artifacts.pipeline),
    )


def provenance(manifests: dict[str, Manifest], pipeline: Pipeline) -> Provenance:
    """Return how to reproduce what these manifests, one of each stage, record."""
    from mnist_cli.report.page import Provenance

    parameters: dict[str, Any] = {}
    for manifest in manifests.values():
        parameters |= manifest.parameters
    digests = [
        (f"{stage}/{name}{' (content)' if is_of_content(name) else ''}", record.sha256)
        for stage, manifest in manifests.items()
        for name, record in manifest.outputs.items()
    ]
    training = manifests[pipeline.maker(MODEL).name]
    digests.append(("W and b", str(training.metrics["model_digest"])))
    runtime = {**training.environment, **training.runtime}
    return Provenance(
        command=_command(parameters, pipeline),
        configuration=_yaml(parameters),
        digests=tuple(digests),
        runtime=tuple((printable(name), printable(value)) for name, value in runtime.items()),
    )


def _command(parameters: dict[str, Any], pipeline: Pipeline) -> str:
    """Return the command line for these parameters, for use without a pipeline.yaml."""
    defaults: dict[str, Any] = {}
    for stage in pipeline.stages.values():
        defaults |= stage.parameters(pipeline.declarations.defaults())
    typed = {path: value for path, value in parameters.items() if path not in defaults or defaults[path] != value}
    return shlex.join(["mnist", "run", *(f"--set={path}={yaml_value(value)}" for path, value in typed.items())])


def _yaml(parameters: dict[str, Any]) -> str:
    lines = []
    for section, values in sorted(nested(parameters).items(), key=lambda item: item[0] != ""):
        indent = "  " if section else ""
        lines += [f"{section}:"] if section else []
        lines += [f"{indent}{name}: {yaml_value(value)}" for name, value in values.items()]
    return "\n".join(lines)
