"""manifest.json: what a stage was run with, what it read and wrote, and how to check that this still holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnist_cli import files
from mnist_cli.machine import environment
from mnist_cli.pipeline.sealed import Sealed, read_sealed

Schema = Literal["mnist-manifest/1"]
SCHEMA: Schema = "mnist-manifest/1"
NAME = "manifest.json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# No name may lead out of the stage's folder. An export may have files in a subfolder.
FileName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)?[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
InputName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*/[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class OutputRecord(BaseModel):
    """A published file.

    Attributes:
        sha256: digest of its content; see mnist_cli/pipeline/digests.py.
        bytes: its size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Digest
    bytes: Annotated[int, Field(ge=0)]


class Manifest(Sealed):
    """The record of one finished stage.

    Attributes:
        schema: the format of this file.
        stage: the name of the stage.
        key: SHA-256 over everything that decides its outputs: stage, version, parameters, inputs and runtime.
        version: version of the stage's code; it goes up when the stage's outputs change.
        parameters: the configuration keys that count for the stage → values.
        overrides: the parameters that came from the command line.
        inputs: `stage/file` → SHA-256 of the content that was read.
        outputs: file → digest and size.
        metrics: what it counted and measured, such as examples and accuracy.
        runtime: what can change the bits of its outputs, such as the device and TensorFlow's version.
        environment: where it ran; recorded for people, never compared.
        seconds: how long it took, in seconds of wall time.
        sha256: SHA-256 of the canonical JSON of all other fields, which detects damage.
    """

    schema_: Annotated[Schema, Field(alias="schema")] = SCHEMA
    stage: str
    key: Digest
    version: int
    parameters: dict[str, Any]
    overrides: dict[str, Any]
    inputs: dict[InputName, Digest]
    outputs: dict[FileName, OutputRecord]
    metrics: dict[str, Any]
    runtime: dict[str, Any]
    environment: dict[str, Any]
    seconds: Annotated[float, Field(ge=0)]


def stage_key(
    stage: str, version: int, parameters: dict[str, Any], inputs: dict[str, str], runtime: dict[str, Any]
) -> str:
    """Return the SHA-256 of the canonical JSON of all that decides a stage's outputs, as 64 hexadecimal digits."""
    decisive = {"stage": stage, "version": version, "parameters": parameters, "inputs": inputs, "runtime": runtime}
    return files.document_digest(decisive)


def new_manifest(
    *,
    stage: str,
    version: int,
    parameters: dict[str, Any],
    inputs: dict[str, str],
    outputs: dict[str, OutputRecord],
    metrics: dict[str, Any],
    runtime: dict[str, Any],
    started: float,
    overrides: dict[str, Any] | None = None,
) -> Manifest:
    """Return the record of a stage that has just finished on this machine.

    Args:
        stage, version, parameters, inputs, outputs, metrics, runtime: as in `Manifest`.
        started: `time.perf_counter` when the stage began.
        overrides: as in `Manifest`; none by default.
    """
    return Manifest(
        stage=stage,
        key=stage_key(stage, version, parameters, inputs, runtime),
        version=version,
        parameters=parameters,
        overrides=overrides or {},
        inputs=inputs,
        outputs=outputs,
        metrics=metrics,
        runtime=runtime,
        environment=environment(),
        seconds=round(time.perf_counter() - started, 3),
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Publish `manifest` at `path`."""
    files.write_json(path, manifest.document())


def read_manifest(path: Path) -> Manifest | None:
    """Read and check a manifest; return None if there is none; raises as `read_sealed`."""
    return read_sealed(path, Manifest, f"a manifest ({SCHEMA})")
