"""Kept runs: parameters, metrics, digests, history and model of each finished training.

    artifacts/runs/<id>/run.json           time, data, and the manifest of the training
                        model.h5           as published; its predictions can be computed again on any split
                        history.jsonl
                        eval-<split>.json  the manifest of an evaluation of that model, one for each split

The id of a run is the first digits of its training's key, so repeating a training gives the same run. Records are
made from published files, for people who compare; whether a stage is up to date does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mnist_cli import files
from mnist_cli.errors import FormatError, MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Digest, FileName, Manifest, OutputRecord, read_manifest
from mnist_cli.pipeline.sealed import Sealed, read_sealed
from mnist_cli.runs.names import FOLDER, RUN_NAME, evaluated_split, find_id, run_id, run_ids
from mnist_cli.stages.stage import MODEL
from mnist_cli.text import printable

Schema = Literal["mnist-run/1"]
SCHEMA: Schema = "mnist-run/1"


class RunRecord(Sealed):
    """The content of run.json.

    Attributes:
        schema: the format of this file.
        created: when the training was published, UTC, such as 2026-11-23T21:28:40.123456Z.
        data: the parameters of the stages before the training → values.
        images: content digest of the store of images that the run was made from; None in older records.
        train: the manifest of the training.
        files: the other files of the record → SHA-256 of their bytes, and size.
        sha256: SHA-256 of the canonical JSON of all other fields, which detects damage.
    """

    schema_: Annotated[Schema, Field(alias="schema")] = SCHEMA
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
    data: dict[str, Any]
    images: Digest | None = None
    train: Manifest
    files: dict[FileName, OutputRecord]


@dataclass(frozen=True)
class Run:
    """One run, read and verified.

    Attributes:
        id: the first digits of the training's key.
        folder: the folder of its record.
        model_file: the file of its model.
        record: the content of run.json.
        evaluations: split → manifest of the evaluation of its model.
    """

    id: str
    folder: Path
    model_file: Path
    record: RunRecord
    evaluations: dict[str, Manifest]

    @property
    def train(self) -> Manifest:
        """The manifest of its training."""
        return self.record.train

    @property
    def parameters(self) -> dict[str, Any]:
        """The configuration keys that decided the run, with their values: first of the data, then of training."""
        return self.record.data | self.train.parameters

    @property
    def images(self) -> str | None:
        """The content digest of the store of images that it was trained on, directly or through features."""
        return self.record.images or next(iter(self.train.inputs.values()), None)


@dataclass(frozen=True, slots=True)
class DamagedRun:
    """A record that cannot be used, and the reason."""

    id: str
    problem: str


def read_runs(artifacts: Artifacts) -> tuple[list[Run], list[DamagedRun]]:
    """Read every run of an artifacts folder; return the undamaged ones, oldest first, and the damaged ones, by id."""
    whole, damaged = [], []
    for name in run_ids(artifacts.root):
        try:
            whole.append(read_run(artifacts, name))
        except (MnistError, OSError) as error:
            damaged.append(DamagedRun(name, printable(in_one_line(error))))
    return sorted(whole, key=lambda run: (run.record.created, run.id)), damaged


def read_run(artifacts: Artifacts, name: str) -> Run:
    """Read and check every file of one run.

    Raises:
        FormatError: a file is missing, or was changed after it was written.
        OSError: a file cannot be read.
    """
    folder = artifacts.root / FOLDER / name
    record = read_sealed(folder / RUN_NAME, RunRecord, f"the record of a run ({SCHEMA})")
    if record is None:
        raise _damaged(folder, f"{RUN_NAME} is missing", "the record of a run", "none")
    if run_id(record.train.key) != name or not record.train.is_whole:
        raise _damaged(folder, "it is the record of another training", name, run_id(record.train.key))
    for file, stated in record.files.items():
        path = folder / file
        digest = files.sha256_of(path) if path.is_file() else "no such file"
        if digest != stated.sha256:
            raise _damaged(path, "changed after it was written", f"SHA-256 {stated.sha256[:12]}…", digest[:12])
    model = folder / artifacts.pipeline.file(MODEL)
    return Run(name, folder, model, record, dict(_evaluations(folder, record.train)))


def _evaluations(folder: Path, train: Manifest) -> Iterator[tuple[str, Manifest]]:
    for path in sorted(folder.glob("eval-*.json")):
        manifest = read_manifest(path)
        assert manifest is not None, "glob has just found it"
        if not is_evaluation_of(manifest, train):
            raise _damaged(path, "not of this run", "an evaluation of its model", "one of another model")
        yield evaluated_split(manifest), manifest


def _damaged(path: Path, problem: str, expected: str, received: str) -> FormatError:
    return FormatError(path, problem, expected=expected, received=received, hint="run 'mnist runs rm' with its id")


def find_run(artifacts: Artifacts, name: str) -> Run:
    """Return the run for an id, a model's digest, `latest`, `previous` or `published`.

    The beginning of an id or digest is enough.

    Raises:
        UsageError: `name` is the beginning of several runs.
        InputError: there is no such run, or it is damaged.
        OSError: it cannot be read.
    """
    return read_run(artifacts, find_id(name, artifacts.root, models_of(artifacts), published_id(artifacts)))


def models_of(artifacts: Artifacts) -> dict[str, str]:
    """Return id → digest of the model, for all undamaged runs, oldest first."""
    return {run.id: str(run.train.metrics.get("model_digest", "")) for run in read_runs(artifacts)[0]}


def published_id(artifacts: Artifacts) -> str | None:
    """Return the id of the published training, or None if there is none or it cannot be read."""
    try:
        train = artifacts.manifest(artifacts.pipeline.maker(MODEL).name)
    except (MnistError, OSError):
        return None
    return run_id(train.key) if train else None


def is_evaluation_of(evaluation: Manifest, train: Manifest) -> bool:
    """Tell whether an evaluation measured the model of a training."""
    outputs = {f"{train.stage}/{name}": record.sha256 for name, record in train.outputs.items()}
    read = {name: digest for name, digest in evaluation.inputs.items() if name in outputs}
    return bool(read) and all(outputs[name] == digest for name, digest in read.items())
