"""Writing a page: where it may go, and its inputs, read once and compared with their manifests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.config.declarations import Config
from mnist_cli.errors import FormatError, InputError, UsageError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.output_files import check_output, check_place, write_output
from mnist_cli.pipeline.plan import State, examine_all, require_fresh
from mnist_cli.text import printable

_MARK = b"<!doctype html>"


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A page that was written.

    Attributes:
        path: the file.
        bytes: its size.
        sha256: digest of its bytes.
    """

    path: Path
    bytes: int
    sha256: str


def check_target(target: Path | None, artifacts: Artifacts, name: str) -> Path:
    """Return the file to write: `target`, which --output names, or `name` in the artifacts folder.

    Raises:
        UsageError: the target is a folder, in a missing folder, `-`, or an existing file that is not a page.
    """
    path = target or artifacts.root / name
    if target:
        check_place(target)
        check_output(target, artifacts, _MARK)
    elif path.is_dir():
        raise UsageError(f"--output {printable(path)}: expected a file to write; received a folder")
    return path


def fresh_manifests(config: Config, artifacts: Artifacts, what: str) -> dict[str, Manifest]:
    """Return the stages' manifests, all of them up to date.

    Args:
        config: the configuration that the artifacts must be up to date for.
        artifacts: the artifacts.
        what: the beginning of the message, such as "cannot write the report".

    Raises:
        InputError: nothing was run yet, or a stage is not up to date.
    """
    statuses = examine_all(config, artifacts)
    artifacts.digests.save()
    if all(status.state is State.MISSING for status in statuses.values()):
        raise InputError(f"{what}: no run yet in this folder", hint="run 'mnist run'")
    return require_fresh(statuses, InputError, what)


def write_page(path: Path, content: bytes) -> WrittenPage:
    """Publish a page as `path`.

    Raises:
        MnistError: the page cannot be written, for example because the folder is read-only.
    """
    write_output(path, content)
    return WrittenPage(path, len(content), hashlib.sha256(content).hexdigest())


def published(artifacts: Artifacts, manifests: dict[str, Manifest], kind: str) -> bytes:
    """Return the bytes of an output, read once and compared with the manifest, without using cached digests.

    Raises:
        FormatError: the file was changed after it was published.
        OSError: the file cannot be read.
    """
    path, manifest = artifacts.path(kind), manifests[artifacts.pipeline.maker(kind).name]
    content = path.read_bytes()
    received, expected = hashlib.sha256(content).hexdigest(), manifest.outputs[path.name].sha256
    if received != expected:
        raise FormatError(
            path,
            "changed after it was published",
            expected=f"SHA-256 {expected}",
            received=received,
            hint=f"run 'mnist {manifest.stage} --force'",
        )
    return content
