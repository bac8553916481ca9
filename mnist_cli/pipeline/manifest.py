"""manifest.json: what a stage was run with, what it read and wrote, and how to know that it is still so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_cli import files
from mnist_cli.errors import FormatError
from mnist_cli.text import printable

Schema = Literal["mnist-manifest/1"]
SCHEMA: Schema = "mnist-manifest/1"
NAME = "manifest.json"
_SIZE_LIMIT = 1 << 20  # bytes; a manifest has about 2,000

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# A name that leads out of the stage's folder is none of ours.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
InputName = Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class OutputRecord(BaseModel):
    """A published file.

    Attributes:
        sha256: digest of its content: for HDF5 of the data in it, for any other file of its bytes.
        bytes: its size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Digest
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """The record of one finished stage.

    Attributes:
        schema: the format of this file.
        stage: the name of the stage.
        key: SHA-256 over everything that decides its outputs: stage, version, parameters, inputs and runtime.
        version: version of the stage's code; it goes up when the stage computes something else.
        parameters: the configuration keys that matter to it → values.
        overrides: the parameters that came from the command line.
        inputs: `stage/file` → SHA-256 of the content that was read.
        outputs: file → digest and size.
        metrics: what it did and measured, such as counts and accuracy.
        runtime: what can change the bits of its outputs, such as the device and TensorFlow's version.
        environment: where it ran; recorded for people, never compared.
        seconds: how long it took, in seconds of wall time.
        sha256: SHA-256 of the canonical JSON of all other fields, to detect damage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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
    sha256: str = ""

    def document(self) -> dict[str, Any]:
        """Return the manifest as it is written, with its own digest."""
        content = self.model_dump(by_alias=True, exclude={"sha256"})
        return {**content, "sha256": files.document_digest(content)}


def stage_key(
    stage: str, version: int, parameters: dict[str, Any], inputs: dict[str, str], runtime: dict[str, Any]
) -> str:
    """Return the SHA-256 of the canonical JSON of all that decides a stage's outputs, as 64 hexadecimal digits."""
    decisive = {"stage": stage, "version": version, "parameters": parameters, "inputs": inputs, "runtime": runtime}
    return files.document_digest(decisive)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Publish `manifest` at `path`."""
    files.write_json(path, manifest.document())


def read_manifest(path: Path) -> Manifest | None:
    """Read and check a manifest; None when there is none; errors as `read_sealed`."""
    return read_sealed(path, Manifest, f"a manifest ({SCHEMA})")


class _Sealed(Protocol):
    sha256: str

    @classmethod
    def model_validate(cls, obj: Any) -> Any: ...


SealedT = TypeVar("SealedT", bound=_Sealed)


def read_sealed(path: Path, kind: type[SealedT], expected: str) -> SealedT | None:
    """Read a JSON document that carries the digest of its own content; None when there is none.

    Args:
        path: the file.
        kind: the pydantic model of the document; its `sha256` is the digest of all the rest.
        expected: what the document is, for the error.

    Raises:
        FormatError: it is damaged, of another schema, or its digest is not that of its content.
        OSError: it cannot be read.
    """
    try:
        with files.open_regular(path) as file:
            text = file.read(_SIZE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(text)
        sealed: SealedT = kind.model_validate(document)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"])) or "the document"
        received = printable(detail["input"], 60)
        raise FormatError(path, f"{printable(place)} is wrong", expected=expected, received=received) from None
    except (ValueError, RecursionError):
        raise FormatError(path, "not JSON", expected=expected, received="something else") from None
    digest = files.document_digest({name: value for name, value in document.items() if name != "sha256"})
    if digest != sealed.sha256:
        raise FormatError(
            path,
            "its content was changed",
            expected=f"SHA-256 {sealed.sha256[:12]}…",
            received=f"{digest[:12]}…",
        )
    return sealed
