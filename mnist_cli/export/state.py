"""The state of exports, and their files that a lock can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mnist_cli import files
from mnist_cli.differences import Reason
from mnist_cli.errors import MnistError, in_one_line
from mnist_cli.export.targets import EXACT, NAMES
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import NAME, Manifest
from mnist_cli.pipeline.plan import StageStatus, State
from mnist_cli.text import printable

FOLDER = "export"
# It goes up when a target writes other bytes for the same model.
VERSION = 2


def locked_outputs(name: str, manifest: Manifest) -> dict[str, str]:
    """Return `TARGET/FILE` → SHA-256 of an export's files, as a lock names them."""
    return {f"{name}/{file}": record.sha256 for file, record in manifest.outputs.items()}


def locked_exports(artifacts: Artifacts, statuses: Mapping[str, StageStatus]) -> dict[str, str]:
    """Return `TARGET/FILE` → SHA-256 of the up-to-date exports whose bytes are the same on every machine."""
    found: dict[str, str] = {}
    for status in examine_exports(artifacts, statuses):
        name = status.stage.removeprefix(f"{FOLDER}/")
        if status.fresh and status.manifest and name in EXACT:
            found |= locked_outputs(name, status.manifest)
    return found


def examine_exports(artifacts: Artifacts, statuses: Mapping[str, StageStatus]) -> list[StageStatus]:
    """Return the status of each existing export, in the order of the targets.

    Args:
        artifacts: where the exports are.
        statuses: stage → status.
    """
    found = (examine_export(f"{FOLDER}/{name}", artifacts, statuses) for name in NAMES)
    return [status for status in found if status]


def examine_export(name: str, artifacts: Artifacts, statuses: Mapping[str, StageStatus]) -> StageStatus | None:
    """Compare an export, such as `export/web`, with what it would be made from now; None if there is no export."""
    folder = artifacts.folder(name)
    try:
        manifest = artifacts.manifest(name)
    except (MnistError, OSError) as error:
        text = in_one_line(error) if isinstance(error, MnistError) else error.strerror
        return StageStatus(name, State.CORRUPT, (Reason(f"{NAME}: {printable(text)}"),), None)
    if manifest is None:
        return None
    damaged = tuple(_damage(folder, manifest))
    if damaged:
        return StageStatus(name, State.CORRUPT, damaged, manifest)
    return _compared(name, manifest, statuses)


def _compared(name: str, manifest: Manifest, statuses: Mapping[str, StageStatus]) -> StageStatus:
    if manifest.version != VERSION:
        return StageStatus(name, State.STALE, (Reason("its version", manifest.version, VERSION),), manifest)
    changed, waiting = [], []
    for read, digest in manifest.inputs.items():
        stage, _, file = read.partition("/")
        status = statuses.get(stage)
        if status is None or not status.fresh or status.manifest is None:
            waiting.append(stage)
        elif (published := status.manifest.outputs[file].sha256) != digest:
            changed.append(Reason(f"input {file}", digest, published))
    if changed:
        return StageStatus(name, State.STALE, tuple(changed), manifest)
    if waiting:
        return StageStatus(name, State.PENDING, (Reason(f"waits for {' and '.join(waiting)}"),), manifest)
    return StageStatus(name, State.FRESH, (), manifest)


def _damage(folder: Path, manifest: Manifest) -> Iterator[Reason]:
    for file, record in manifest.outputs.items():
        try:
            digest = files.sha256_of(folder / file)
        except OSError as error:
            yield Reason(f"{file}: cannot be read: {error.strerror}")
        else:
            if digest != record.sha256:
                yield Reason(file, record.sha256, digest)
