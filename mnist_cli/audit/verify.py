"""Reads everything again without using cached digests; and trains again, to check that the same bits come out."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.differences import Reason, differences
from mnist_cli.errors import FormatError, InputError, Interrupted, MnistError, in_one_line
from mnist_cli.export import exporting, state
from mnist_cli.export.targets import EXACT, NAMES
from mnist_cli.formats.byte_stream import content_digest
from mnist_cli.machine import environment
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import NAME, Manifest
from mnist_cli.pipeline.mutex import locked_for_reading
from mnist_cli.pipeline.plan import examine_all
from mnist_cli.pipeline.recorded import recorded_config
from mnist_cli.progress import SILENT, Progress
from mnist_cli.runs.names import FOLDER
from mnist_cli.stages.stage import MODEL, Job, Stage
from mnist_cli.text import printable


@dataclass(frozen=True, slots=True)
class Check:
    """One file, checkpoint or record of a run that was read again.

    Attributes:
        stage: the stage that it belongs to; `runs` for the record of a run, `export` for exports.
        name: name of the file, of the checkpoint, or of an input of the stage; or the id of a run.
        problem: what is wrong with it, or None.
        sha256: the current content digest of an output, or None.
        checkpoint: the folder of a checkpoint, or None.
        outdated: whether the file is fine but the stage before has published another one since.
        removed: whether it was removed, can be made again, and is not needed by the stages that have read it.
    """

    stage: str
    name: str
    problem: str | None
    sha256: str | None = None
    checkpoint: Path | None = None
    outdated: bool = False
    removed: bool = False

    @property
    def ok(self) -> bool:
        """Whether it matches its manifest."""
        return self.problem is None or self.outdated


def verify(
    artifacts: Artifacts, progress: Progress = SILENT, command: str = "mnist verify", wait: float = 0
) -> list[Check]:
    """Read every published file, checkpoint and record, and compare it with its digest, without using the cache.

    Also compare each stage's recorded inputs with what the stage before has published; an input that differs is
    outdated. A stage that never ran has nothing to check. The mutex of the folder is held meanwhile.

    Args:
        artifacts: where the files are.
        progress: progress callback.
        command: the command as typed, shown to others who find the folder locked.
        wait: seconds to wait for a run in the same folder.

    Raises:
        InputError: no stage ever ran.
        Locked: a run is going on in the folder.
    """
    checks: list[Check] = []
    manifests: dict[str, Manifest] = {}
    if artifacts.root.is_dir():
        with locked_for_reading(artifacts.root, command, wait):
            read = _inputs_read(artifacts)
            for name, stage in artifacts.pipeline.stages.items():
                progress.start(f"verify {name}", len(stage.outputs), "files")
                checks += _check_stage(stage, artifacts, manifests, read, progress)
                progress.finish()
            checks += _missed_stages(artifacts, manifests, {check.stage for check in checks})
            checks += _check_checkpoints(artifacts, progress)
            checks += _check_exports(artifacts, manifests)
            checks += _check_runs(artifacts)
    if not checks:
        raise InputError(f"{printable(artifacts.root)}: there are no artifacts to verify", hint="run 'mnist run'")
    return checks


def _inputs_read(artifacts: Artifacts) -> set[tuple[str, str]]:
    """Return `stage/file` and digest of everything that a published stage has read."""
    found: set[tuple[str, str]] = set()
    for name in artifacts.pipeline.stages:
        with contextlib.suppress(MnistError, OSError):
            manifest = artifacts.manifest(name)
            found |= set(manifest.inputs.items()) if manifest else set()
    return found


def _missed_stages(artifacts: Artifacts, manifests: dict[str, Manifest], checked: set[str]) -> Iterator[Check]:
    """Find stages that have no files left but that others were made from."""
    for name in artifacts.pipeline.stages:
        users = [user for user, found in manifests.items() if any(read.startswith(f"{name}/") for read in found.inputs)]
        if name not in checked and users:
            yield Check(name, NAME, f"missing, but {' and '.join(users)} {'depend' if users[1:] else 'depends'} on it")


def _check_checkpoints(artifacts: Artifacts, progress: Progress) -> Iterator[Check]:
    from mnist_cli.learning import checkpoint_state  # without TensorFlow, but with NumPy
    from mnist_cli.learning.checkpoint_state import newest_first

    trainer = artifacts.pipeline.maker(MODEL)
    folder = artifacts.folder(trainer.name) / trainer.scratch
    found = [checkpoint for course in checkpoint_state.courses(folder) for checkpoint in newest_first(course)]
    progress.start("verify checkpoints", len(found), "checkpoints")
    for done, checkpoint in enumerate(found, start=1):
        problem = None
        try:
            checkpoint_state.check(checkpoint)
        except checkpoint_state.Damaged as damage:
            problem = str(damage)
        name = f"{folder.name}/{checkpoint.parent.name}/{checkpoint.name}"
        yield Check(trainer.name, name, problem, checkpoint=checkpoint)
        progress.update(done)
    progress.finish()


def _check_runs(artifacts: Artifacts) -> list[Check]:
    from mnist_cli.runs.runs import read_runs

    whole, damaged = read_runs(artifacts)
    found = [Check(FOLDER, run.id, None) for run in whole]
    return [*found, *(Check(FOLDER, run.id, run.problem) for run in damaged)]


def _check_exports(artifacts: Artifacts, manifests: dict[str, Manifest]) -> Iterator[Check]:
    """Check the files of every export, and whether its model is still the published one."""
    for name in NAMES:
        stage = f"{state.FOLDER}/{name}"
        try:
            manifest = artifacts.manifest(stage)
        except (MnistError, OSError) as error:
            yield Check(state.FOLDER, f"{name}/{NAME}", _text(error))
            continue
        if manifest is None:
            continue
        yield Check(state.FOLDER, f"{name}/{NAME}", None)
        for file, record in manifest.outputs.items():
            digest = wrong = None
            try:
                digest = files.sha256_of(artifacts.folder(stage) / file)
                wrong = str(Reason("content digest", record.sha256, digest)) if digest != record.sha256 else None
            except OSError as error:
                wrong = _text(error)
            yield Check(state.FOLDER, f"{name}/{file}", wrong, digest)
        yield from (
            replace(check, stage=state.FOLDER, name=f"{name}: {check.name}")
            for check in _outdated(stage, manifest, manifests)
        )


def _check_stage(
    stage: Stage,
    artifacts: Artifacts,
    manifests: dict[str, Manifest],
    read: set[tuple[str, str]],
    progress: Progress,
) -> list[Check]:
    folder = artifacts.folder(stage.name)
    try:
        manifest = artifacts.manifest(stage.name)
    except (MnistError, OSError) as error:
        return [Check(stage.name, NAME, _text(error))]
    if manifest is None:
        if folder.exists() and not folder.is_dir():
            problem = f"expected a folder at {printable(folder)}; received a file; remove it"
            return [Check(stage.name, NAME, problem)]
        files = any((folder / name).exists() for name in stage.outputs)
        return [Check(stage.name, NAME, "missing, but the stage's files are there")] if files else []
    manifests[stage.name] = manifest
    checks = [Check(stage.name, NAME, None, removed=not artifacts.has_manifest(stage.name))]
    for done, (name, record) in enumerate(manifest.outputs.items(), start=1):
        digest = None
        is_read = (f"{stage.name}/{name}", record.sha256) in read
        if name in stage.spare and is_read and not os.path.lexists(folder / name):
            checks.append(Check(stage.name, name, None, removed=True))
            continue
        try:
            digest = content_digest(folder / name)
            wrong = str(Reason("content digest", record.sha256, digest)) if digest != record.sha256 else None
        except (MnistError, OSError) as error:
            wrong = _text(error)
        checks.append(Check(stage.name, name, wrong, digest))
        progress.update(done)
    return [*checks, *_outdated(stage.name, manifest, manifests)]


def _outdated(stage: str, manifest: Manifest, manifests: dict[str, Manifest]) -> Iterator[Check]:
    """Find recorded inputs that differ from what the stage before has now published."""
    for name, read in manifest.inputs.items():
        source, file = name.split("/")
        if source in manifests:
            published = manifests[source].outputs.get(file)
            if published is None or read != published.sha256:
                problem = str(Reason("has changed:", read, published and published.sha256))
                yield Check(stage, f"input {name}", problem, outdated=True)


@dataclass(frozen=True)
class Rerun:
    """The result of training again.

    Attributes:
        identical: whether every output has the same content digest.
        outputs: file → (recorded digest, digest now).
        differences: what has changed: parameters in the configuration, data, runtime, environment, outputs.
    """

    identical: bool
    outputs: dict[str, tuple[str, str]]
    differences: tuple[Reason, ...]


def rerun_training(config: Config, artifacts: Artifacts, progress: Progress = SILENT) -> Rerun:
    """Train again in a temporary folder with the recorded parameters, and compare the outputs bit for bit.

    Args:
        config: the current configuration; parameters that differ from the recorded ones are reported.
        artifacts: artifacts with a finished training.
        progress: progress callback.

    Raises:
        InputError: there is no finished training, or no store.
    """
    stage = artifacts.pipeline.maker(MODEL)
    manifest = artifacts.manifest(stage.name)
    if manifest is None:
        raise InputError(
            f"{printable(artifacts.folder(stage.name))}: there is no finished training",
            hint=f"run 'mnist {stage.name}'",
        )
    # In one process, however many trained it: the bits are the same.
    again = recorded_config(stage, config, manifest.parameters).replaced(stage.alone)
    bound = artifacts.pipeline.bind(config)[stage.name]
    with tempfile.TemporaryDirectory(prefix="mnist-rerun-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        job = Job(
            config=again,
            inputs=artifacts.inputs(bound),
            new=new,
            current=new,
            scratch=Path(scratch) / stage.scratch,
            mirrors=(),
            resume="never",
            reuse=False,
            progress=progress,
        )
        try:
            outcome = stage.run(job)
        except Interrupted as stop:
            stop.reached = None  # its checkpoints are removed with the folder
            raise
        digests = {name: outcome.digests.get(name) or content_digest(new / name) for name in stage.outputs}
    outputs = {name: (record.sha256, digests[name]) for name, record in manifest.outputs.items()}
    data = {f"{source}/{file}": content_digest(artifacts.folder(source) / file) for source, file in bound.files}
    found = [
        *differences(manifest.parameters, stage.parameters(config), "parameter "),
        *differences(manifest.inputs, data, "data "),
        *differences(manifest.runtime, outcome.runtime, "runtime "),
        *differences(manifest.environment, environment(), "environment "),
        *(Reason(name, old, new) for name, (old, new) in outputs.items() if old != new),
    ]
    return Rerun(all(old == new for old, new in outputs.values()), outputs, tuple(found))


def rerun_exports(config: Config, artifacts: Artifacts) -> list[Reason]:
    """Write again every export that is the same on every machine, and return the files that differ.

    Args:
        config: the configuration that the stages must be up to date for.
        artifacts: artifacts with exports of the published model; older exports are left out.

    Raises:
        InputError: a stage is not up to date.
    """
    found = []
    for status in state.examine_exports(artifacts, examine_all(config, artifacts)):
        name = status.stage.removeprefix(f"{state.FOLDER}/")
        if not (status.fresh and status.manifest and name in EXACT):
            continue
        with tempfile.TemporaryDirectory(prefix="mnist-rerun-") as scratch:
            exporting.write_again(name, config, artifacts, Path(scratch))
            now = {path.name: files.sha256_of(path) for path in Path(scratch).iterdir()}
        recorded = {file: record.sha256 for file, record in status.manifest.outputs.items()}
        found += [Reason(f"{name}/{one.what}", one.old, one.new) for one in differences(recorded, now)]
    return found


def _text(error: MnistError | OSError) -> str:
    """Return the error in one line, without the file, which the check already names."""
    text = in_one_line(error)
    return text.removeprefix(f"{printable(error.path)}: ") if isinstance(error, FormatError) else text
