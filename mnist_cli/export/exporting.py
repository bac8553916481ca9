"""Publishes an export of up-to-date artifacts in artifacts/export/TARGET, with a manifest like a stage's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.differences import Reason
from mnist_cli.errors import InputError, NotAsLocked
from mnist_cli.export.state import FOLDER, VERSION, examine_export, locked_outputs
from mnist_cli.export.target import Target, versions
from mnist_cli.export.targets import find_target
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import NAME, Manifest, OutputRecord, new_manifest, write_manifest
from mnist_cli.pipeline.plan import examine_all, require_fresh
from mnist_cli.progress import SILENT, Progress
from mnist_cli.stages.stage import EVALUATION, MODEL, STORE, Pipeline

if TYPE_CHECKING:
    from mnist_cli.formats.model import Model


@dataclass(frozen=True)
class Exported:
    """An export that is up to date.

    Attributes:
        path: the file; for a SavedModel, `saved_model.pb` in its folder.
        manifest: its manifest; `metrics["verified"]` is the result of the verification, or null.
        unverified: why it could not be verified, or an empty text.
        made: whether it was written by this call.
    """

    path: Path
    manifest: Manifest
    unverified: str
    made: bool


def export(
    config: Config,
    artifacts: Artifacts,
    target: Target,
    *,
    force: bool = False,
    promised: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> Exported:
    """Write, verify and publish the model for a target; call it while holding the mutex.

    Args:
        config: the configuration that all stages must be up to date for.
        artifacts: artifacts with a finished training and evaluation.
        target: the target.
        force: whether to write the export again if it is up to date.
        promised: `TARGET/FILE` → SHA-256 in a lock file.
        progress: progress callback.

    Raises:
        InputError: an artifact is missing, stale or corrupt, a package is missing, or the model cannot be exported.
        GateFailed: the file's predictions differ from the model's by more than its format explains.
        NotAsLocked: the file differs from the lock.
        OSError: the file cannot be written.
    """
    statuses = examine_all(config, artifacts)
    artifacts.digests.save()
    manifests = require_fresh(statuses, InputError, "cannot export")
    name, unverified = stage_name(target), target.runtime()
    _publish(artifacts, name)  # finish a killed export, if its files were complete
    artifacts.recover(name)
    before = examine_export(name, artifacts, statuses)
    if before and before.fresh and before.manifest and not force and _is_verified(before.manifest, unverified):
        _check_promise(target, before.manifest, promised)
        return Exported(artifacts.folder(name) / target.file, before.manifest, unverified, made=False)
    started = time.perf_counter()
    new = artifacts.begin(name)
    try:
        metrics = _make(target, config, artifacts, manifests, new, progress)
        manifest = _manifest(target, artifacts, manifests, new, metrics, started)
        _check_promise(target, manifest, promised)
        write_manifest(new / NAME, manifest)
    except BaseException:
        artifacts.discard(name)
        raise
    _publish(artifacts, name)
    return Exported(artifacts.folder(name) / target.file, manifest, unverified, made=True)


def _publish(artifacts: Artifacts, name: str) -> None:
    """Move complete new files into place; remove old folders first, since a folder cannot replace another one."""
    folder = artifacts.folder(name)
    new = folder / ".new"
    if not (new / NAME).is_file():
        return
    for inner in new.iterdir():
        if inner.is_dir():
            files.remove(folder / inner.name, artifacts.root)
    artifacts.commit(name)


def stage_name(target: Target) -> str:
    """Return the name of an export among the stages."""
    return f"{FOLDER}/{target.name}"


def write_again(name: str, config: Config, artifacts: Artifacts, folder: Path) -> None:
    """Write an export again into an empty folder, from up-to-date artifacts, without publishing it.

    Args:
        name: name of the target.
        config: the configuration that all stages must be up to date for.
        artifacts: artifacts with a finished training and evaluation.
        folder: the folder for the files.

    Raises:
        InputError: as `export`.
    """
    manifests = require_fresh(examine_all(config, artifacts), InputError, f"cannot export to {name} again")
    _write(find_target(name), config, artifacts, manifests, folder)


def _write(
    target: Target, config: Config, artifacts: Artifacts, manifests: Mapping[str, Manifest], folder: Path
) -> tuple[Model, str]:
    """Write the files of a target; return the model and the split that it was evaluated on."""
    from mnist_cli.datasets import find_dataset
    from mnist_cli.export.about import about, check_exportable
    from mnist_cli.formats.model import load_model

    model = load_model(artifacts.path(MODEL))
    check_exportable(model)
    target.check()
    metrics = json.loads(artifacts.path(EVALUATION).read_bytes())
    parameters = _unusual(artifacts.pipeline, manifests)
    dataset = find_dataset(config.value("dataset"))
    target.write(model, about(model, dataset, metrics, parameters), folder)
    return model, metrics["split"]


def _unusual(pipeline: Pipeline, manifests: Mapping[str, Manifest]) -> dict[str, Any]:
    """Return the parameters of all stages that differ from their defaults."""
    plain = pipeline.declarations.defaults().values()
    given = {path: value for found in manifests.values() for path, value in found.parameters.items()}
    return {path: value for path, value in given.items() if path not in plain or plain[path] != value}


def _make(
    target: Target,
    config: Config,
    artifacts: Artifacts,
    manifests: Mapping[str, Manifest],
    new: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write and verify an export; return the metrics for its manifest."""
    from mnist_cli.export.verification import verify_export
    from mnist_cli.formats.store import open_store

    progress.start(f"{FOLDER}: write {target.name}", None, "")
    model, split = _write(target, config, artifacts, manifests, new)
    progress.finish()
    if target.runtime():
        return {"model_digest": model.digest, "verified": None}
    images = getattr(open_store(artifacts.path(STORE)), split).inputs.reshape(-1, *model.shape)
    # Computed again, since the store of features may have been removed by `clean`.
    rows = model.rows(images)
    progress.start(f"{FOLDER}: verify {target.name}", None, "")
    found = verify_export(target, new / target.file, model, images, rows, split)
    progress.finish()
    return {"model_digest": model.digest, "verified": found.document()}


def _manifest(
    target: Target,
    artifacts: Artifacts,
    manifests: Mapping[str, Manifest],
    new: Path,
    metrics: dict[str, Any],
    started: float,
) -> Manifest:
    outputs = {
        path.relative_to(new).as_posix(): OutputRecord(sha256=files.sha256_of(path), bytes=path.stat().st_size)
        for path in sorted(new.rglob("*"))
        if path.is_file()
    }
    return new_manifest(
        stage=stage_name(target),
        version=VERSION,
        parameters={"to": target.name},
        inputs=dict(_inputs(artifacts, manifests)),
        outputs=outputs,
        metrics=metrics,
        runtime={} if target.exact else versions((*target.needs, *target.packages)),
        started=started,
    )


def _inputs(artifacts: Artifacts, manifests: Mapping[str, Manifest]) -> Iterator[tuple[str, str]]:
    """Yield the files that an export depends on, with their content digests."""
    for kind in (MODEL, EVALUATION):
        stage, file = artifacts.pipeline.maker(kind).name, artifacts.pipeline.file(kind)
        yield f"{stage}/{file}", manifests[stage].outputs[file].sha256


def _is_verified(manifest: Manifest, unverified: str) -> bool:
    """Tell whether an export has been verified, or still cannot be."""
    return bool(manifest.metrics.get("verified")) or bool(unverified)


def _check_promise(target: Target, manifest: Manifest, promised: Mapping[str, str] | None) -> None:
    found = locked_outputs(target.name, manifest) if target.exact else {}
    wrong = [Reason(name, (promised or {}).get(name, digest), digest) for name, digest in found.items()]
    wrong = [reason for reason in wrong if reason.old != reason.new]
    if wrong:
        lines = "\n".join(map(str, wrong))
        documents = [
            {"stage": FOLDER, "what": one.what, "old": one.old, "new": one.new, "text": one.text} for one in wrong
        ]
        raise NotAsLocked(
            f"the {target.name} file differs from the lock file; it was not published\n{lines}",
            differences=documents,
            hint="if the change is intended, run 'mnist lock'",
        )


def copy(exported: Exported, target: Target, output: Path) -> None:
    """Copy a published export to the path of --output: the file, or the folder of a SavedModel."""
    if not target.is_folder:
        files.write_bytes(output, exported.path.read_bytes())
        return
    for file in exported.manifest.outputs:
        (output / file).parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(output / file, (exported.path.parent / file).read_bytes())
