"""Measures the model of a kept run on the data that it was trained on, without publishing anything."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.differences import Reason
from mnist_cli.errors import InputError
from mnist_cli.formats.byte_stream import content_digest
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, new_manifest
from mnist_cli.progress import SILENT, Progress
from mnist_cli.runs.names import FOLDER, evaluation_name
from mnist_cli.runs.runs import Run
from mnist_cli.stages.stage import EVALUATION, MODEL, Job, Outcome


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a kept run.

    Attributes:
        manifest: the manifest, as if the evaluation had been published.
        content: the bytes of the metrics file.
    """

    manifest: Manifest
    content: bytes


def evaluate_run(run: Run, config: Config, artifacts: Artifacts, progress: Progress = SILENT) -> Evaluation:
    """Measure the model of a run with the evaluation stage.

    Args:
        run: the run.
        config: the configuration, with the split to measure on.
        artifacts: the artifacts, with the store that the run was trained on.
        progress: progress callback.

    Raises:
        InputError: the store is missing, damaged or has changed since, or the split is empty.
        OSError: a file cannot be read, or the temporary folder cannot be written.
    """
    stage, started = artifacts.pipeline.maker(EVALUATION), time.perf_counter()
    trainer = artifacts.pipeline.maker(MODEL)
    data = [artifacts.folder(source) / file for source, file in (name.split("/") for name in run.train.inputs)]
    given = {kind: [run.model_file] if kind == MODEL else data for kind in stage.inputs}
    with tempfile.TemporaryDirectory(prefix="mnist-eval-") as name:
        new = Path(name)
        job = Job(
            config=config,
            inputs=given,
            new=new,
            current=new,
            scratch=new / stage.scratch,
            mirrors=(),
            resume="never",
            reuse=False,
            progress=progress,
        )
        outcome = stage.run(job)
        (file,) = stage.outputs
        content = files.read_regular(new / file)
        output = OutputRecord(sha256=content_digest(new / file), bytes=len(content))
    _check_store(run, outcome)
    model = artifacts.pipeline.file(MODEL)
    inputs = {f"{trainer.name}/{model}": run.train.outputs[model].sha256, **run.train.inputs}
    manifest = new_manifest(
        stage=stage.name,
        version=stage.version,
        parameters=stage.parameters(config),
        inputs=inputs,
        outputs={file: output},
        metrics=outcome.metrics,
        runtime=outcome.runtime,
        started=started,
    )
    return Evaluation(manifest, content)


def _check_store(run: Run, outcome: Outcome) -> None:
    for digests in outcome.inputs.values():
        for (name, expected), received in zip(run.train.inputs.items(), digests, strict=True):
            if received != expected:
                raise InputError(
                    f"run {run.id} was trained on other data: {Reason(name, expected, received)}",
                    hint=f"run 'mnist runs restore {run.id}'; it says what to run first",
                )


def keep_evaluation(run: Run, evaluation: Manifest, artifacts: Artifacts) -> None:
    """Add an evaluation to the record of its run; call it while holding the mutex.

    Raises:
        InputError: the folder of the runs is a link.
        OSError: the record cannot be written.
    """
    files.refuse_links(artifacts.root / FOLDER / run.id, artifacts.root)
    files.write_json(run.folder / evaluation_name(evaluation), evaluation.document())
