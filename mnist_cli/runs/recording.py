"""Makes the records of runs, and removes the oldest: after a stage was published, and under the lock."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mnist_cli import files
from mnist_cli.errors import MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, read_manifest
from mnist_cli.pipeline.sealed import read_sealed
from mnist_cli.runs.names import FOLDER, RUN_NAME, evaluation_name, is_recorded, run_id, run_ids
from mnist_cli.runs.runs import RunRecord, is_evaluation_of, published_id
from mnist_cli.stages.stage import EVALUATION, MODEL


def record(artifacts: Artifacts, manifest: Manifest, keep: int) -> str | None:
    """Record a training, or an evaluation, that was just published; call it under the lock.

    Args:
        artifacts: where it was published; its `root` has the runs.
        manifest: of the stage that was published; other stages are nothing to record.
        keep: how many runs stay; the oldest go.

    Returns:
        The id of the run, or None when there was nothing to record (any more).

    Raises:
        MnistError: what is published is damaged.
        OSError: the record cannot be written; there is none then, or the one from before.
    """
    train = artifacts.manifest(artifacts.pipeline.maker(MODEL).name)
    if train is None:
        return None
    is_training = manifest.stage == train.stage
    is_evaluation = manifest.stage == artifacts.pipeline.maker(EVALUATION).name
    if not (is_evaluation or (is_training and manifest.key == train.key)):
        return None
    root, name = artifacts.root, run_id(train.key)
    folder = root / FOLDER / name
    if is_training or not is_recorded(root, train, train):
        _record_training(artifacts, train, folder)
    if is_evaluation and is_evaluation_of(manifest, train):
        files.write_json(folder / evaluation_name(manifest), manifest.document())
    _prune(root, keep, {name, published_id(artifacts)})
    return name


def _record_training(artifacts: Artifacts, train: Manifest, folder: Path) -> None:
    """Make the record in a temporary folder, which then takes the place of the one before."""
    temporary = folder.with_name(f"{files.TEMPORARY_PREFIX}{folder.name}")
    folder.parent.mkdir(exist_ok=True)
    for leftover in folder.parent.glob(f"{files.TEMPORARY_PREFIX}*"):  # of a process that was killed
        files.remove(leftover)
    temporary.mkdir()
    try:
        _write(artifacts, train, temporary)
        if folder.exists():
            for path in folder.glob("eval-*.json"):
                if _holds_for(path, train):
                    path.replace(temporary / path.name)
            remove_run(artifacts.root, folder.name)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    files.sync_folder(folder.parent)


def _holds_for(evaluation: Path, train: Manifest) -> bool:
    """Tell whether what was measured earlier was measured of the same bits; of a damaged file nobody knows."""
    try:
        manifest = read_manifest(evaluation)
    except MnistError:
        return False
    return manifest is not None and is_evaluation_of(manifest, train)


def _write(artifacts: Artifacts, train: Manifest, folder: Path) -> None:
    """Write what a training gave, and run.json after it."""
    written = {}
    for name in train.outputs:
        source = artifacts.folder(train.stage) / name
        content = files.read_regular(source)
        files.write_bytes(folder / name, content)
        written[name] = OutputRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    data: dict[str, Any] = {}
    for stage in itertools.takewhile(lambda name: name != train.stage, artifacts.pipeline.stages):
        if made := artifacts.manifest(stage):
            data |= made.parameters
    record = RunRecord(created=_now(), data=data, train=train.sealed(), files=written)
    files.write_json(folder / RUN_NAME, record.document())


def remove_run(root: Path, name: str) -> None:
    """Remove one run; killed meanwhile, it is gone or whole. Call it under the lock.

    Raises:
        OSError: it cannot be removed.
    """
    files.remove_at_once(root / FOLDER / name)


def _prune(root: Path, keep: int, protected: Collection[str | None]) -> None:
    names = run_ids(root)
    if len(names) <= keep:
        return
    oldest_first = sorted((name for name in names if name not in protected), key=lambda name: _age(root, name))
    for name in oldest_first[: len(names) - keep]:
        remove_run(root, name)


def _age(root: Path, name: str) -> str:
    """Return when a run was created; a damaged one comes before all others."""
    try:
        found = read_sealed(root / FOLDER / name / RUN_NAME, RunRecord, "the record of a run")
    except (MnistError, OSError):
        return ""
    return found.created if found else ""


def _now() -> str:
    seconds, rest = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
