"""Makes the records of runs after a stage was published, and removes them; always while holding the mutex."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

from mnist_cli import files, system
from mnist_cli.errors import MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, read_manifest
from mnist_cli.pipeline.sealed import read_sealed
from mnist_cli.runs.names import FOLDER, RUN_NAME, evaluation_name, run_id, run_ids
from mnist_cli.runs.runs import RunRecord, is_evaluation_of, published_id
from mnist_cli.stages.stage import EVALUATION, MODEL, STORE


def record(artifacts: Artifacts, manifest: Manifest) -> str | None:
    """Record a training or an evaluation that was just published; call it while holding the mutex.

    Args:
        artifacts: where it was published; its `root` has the runs.
        manifest: the manifest of the stage that was published; other stages are not recorded.

    Returns:
        The id of the run, or None if there was nothing to record, or not any more.

    Raises:
        InputError: the folder of the runs, or of this run, is a link.
        MnistError: the published files are damaged.
        OSError: the record cannot be written; then there is no record, or the earlier one.
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
    files.refuse_links(folder, root)
    recorded = _read(folder)
    if is_training or recorded is None or recorded.train.outputs != train.outputs:
        _record_training(artifacts, train, folder)
    if is_evaluation and is_evaluation_of(manifest, train):
        files.write_json(folder / evaluation_name(manifest), manifest.document())
    return name


def _record_training(artifacts: Artifacts, train: Manifest, folder: Path) -> None:
    """Make the record in a temporary folder; if there is one already, bring it up to date."""
    if folder.is_dir():
        _write(artifacts, train, folder)
        return
    folder.parent.mkdir(exist_ok=True)
    files.sweep(folder.parent)  # remove what a killed process left
    temporary = files.temporary_beside(folder)
    temporary.mkdir()
    try:
        _write(artifacts, train, temporary)
        files.remove(folder, artifacts.root)  # a file of that name is not a record
        system.replace(temporary, folder)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary, artifacts.root)
        raise
    files.sync_folder(folder.parent)


def _write(artifacts: Artifacts, train: Manifest, folder: Path) -> None:
    """Write a training's outputs, then run.json; evaluations of the same bits stay.

    After a kill in between, the folder has no run.json, and the next run finishes the record; or it has the earlier
    run.json and the files that it describes. Evaluations are never moved.
    """
    written = {}
    for name in train.outputs:
        content = files.read_regular(artifacts.folder(train.stage) / name)
        written[name] = OutputRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        if not (folder / name).is_file() or files.sha256_of(folder / name) != written[name].sha256:
            files.remove(folder / RUN_NAME, folder)
            files.sync_folder(folder)
            files.write_bytes(folder / name, content)
    for path in folder.glob("eval-*.json"):
        if not _holds_for(path, train):
            files.remove(path, folder)
    before = _made_before(artifacts, train)
    data = {path: value for made in before for path, value in made.parameters.items()}
    images = artifacts.pipeline.maker(STORE)
    shown = next(
        (made.outputs[artifacts.pipeline.file(STORE)].sha256 for made in before if made.stage == images.name), None
    )
    record = RunRecord(created=_now(), data=data, images=shown, train=train.sealed(), files=written)
    files.write_json(folder / RUN_NAME, record.document())


def _made_before(artifacts: Artifacts, train: Manifest) -> list[Manifest]:
    """Return the manifests of the stages that a training read from, directly or not, in pipeline order."""
    wanted = {name.partition("/")[0] for name in train.inputs}
    found: list[Manifest] = []
    for stage in reversed(artifacts.pipeline.stages):
        if stage in wanted and (made := artifacts.manifest(stage)):
            wanted |= {name.partition("/")[0] for name in made.inputs}
            found.insert(0, made)
    return found


def _holds_for(evaluation: Path, train: Manifest) -> bool:
    """Tell whether an earlier evaluation measured the same bits; False if its file is damaged."""
    try:
        manifest = read_manifest(evaluation)
    except MnistError:
        return False
    return manifest is not None and is_evaluation_of(manifest, train)


def remove_run(root: Path, name: str) -> None:
    """Remove one run, at once: after a kill it is gone or complete. Call it while holding the mutex.

    Raises:
        InputError: the folder of the runs is a link.
        OSError: the run cannot be removed.
    """
    files.remove_atomically(root / FOLDER / name, root)


def surplus(artifacts: Artifacts, keep: int) -> list[str]:
    """Return the ids of the runs beyond the `keep` newest, oldest first, without the published one."""
    root, names, published = artifacts.root, run_ids(artifacts.root), published_id(artifacts)
    if len(names) <= keep:
        return []

    def age(name: str) -> str:  # damaged runs come first
        found = _read(root / FOLDER / name)
        return found.created if found else ""

    return sorted((name for name in names if name != published), key=age)[: len(names) - keep]


def _read(folder: Path) -> RunRecord | None:
    """Read the record in a folder; None if it is missing or damaged."""
    try:
        return read_sealed(folder / RUN_NAME, RunRecord, "the record of a run")
    except (MnistError, OSError):
        return None


def _now() -> str:
    seconds, rest = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
