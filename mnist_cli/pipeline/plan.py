"""Which stages have to run, and why: the one planner behind `status`, `--dry-run`, `run` and the stage commands."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from mnist_cli.config.declarations import Config
from mnist_cli.differences import Reason, differences
from mnist_cli.errors import MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.stages.stage import BoundStage, Stage
from mnist_cli.text import printable

_INPUT = "input "
_REMOVED = Reason("its files were removed and are not needed")


class State(StrEnum):
    """The state of a stage's artifacts, worst first."""

    MISSING = "missing"  # the stage has never run
    INCOMPLETE = "incomplete"  # it was interrupted, or an output is gone
    CORRUPT = "corrupt"  # an output or the manifest was damaged or changed
    STALE = "stale"  # parameters, inputs, version or runtime have changed since
    PENDING = "pending"  # it depends on a stage that has to run first
    UNNEEDED = "unneeded"  # its files were removed, and the stages that read them are up to date
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage's state, the reasons for it, and its manifest if it can be read."""

    stage: str
    state: State
    reasons: tuple[Reason, ...]
    manifest: Manifest | None

    @property
    def fresh(self) -> bool:
        """Whether there is nothing to do."""
        return self.state in (State.FRESH, State.UNNEEDED)

    @property
    def key(self) -> str | None:
        """The key in its manifest."""
        return self.manifest.key if self.manifest else None

    def why(self, between: str = "; ") -> str:
        """Return the reasons, joined by `between`, without those that follow from others.

        Several changed inputs are only counted; `reasons` has them all.
        """
        inputs = [reason for reason in self.reasons if reason.what.startswith(_INPUT)]
        main = [reason for reason in self.reasons if reason not in inputs and not reason.follows]
        return between.join(
            [*map(str, main), *(map(str, inputs) if len(inputs) < 2 else [f"{len(inputs)} inputs changed"])]
        )


def examine_all(config: Config, artifacts: Artifacts) -> dict[str, StageStatus]:
    """Return the status of every active stage, in pipeline order."""
    bound = artifacts.pipeline.bind(config)
    needed: set[str] = set()
    while True:
        statuses: dict[str, StageStatus] = {}
        for name, stage in bound.items():
            statuses[name] = examine(stage, config, artifacts, statuses, is_needed=name in needed)
        missed = {name for name, status in statuses.items() if status.state is State.UNNEEDED} - {
            name for name in bound if _are_readers_fresh(name, bound, statuses)
        }
        if not missed:
            return statuses
        needed |= missed  # a stage that reads their files has to run


def _are_readers_fresh(name: str, bound: Mapping[str, BoundStage], statuses: Mapping[str, StageStatus]) -> bool:
    readers = [reader for reader, stage in bound.items() if name in stage.sources]
    return bool(readers) and all(statuses[reader].fresh for reader in readers)


def require_fresh(statuses: Mapping[str, StageStatus], refusal: type[MnistError], what: str) -> dict[str, Manifest]:
    """Return the stages' manifests, or refuse unless all stages are up to date.

    Args:
        statuses: stage → status.
        refusal: the class of the error to raise.
        what: the beginning of the message, such as "cannot lock".

    Raises:
        MnistError: a `refusal` that lists the state and the reasons of every stage that is not up to date.
    """
    waiting = [status for status in statuses.values() if not status.fresh]
    if waiting:
        lines = [f"{status.stage} is {status.state}: {status.why()}" for status in waiting]
        names = ", ".join(status.stage for status in waiting)
        raise refusal("\n".join([f"{what}: {names} not up to date", *lines]), hint="run 'mnist run'")
    return {name: status.manifest for name, status in statuses.items() if status.manifest}


def examine(
    bound: BoundStage,
    config: Config,
    artifacts: Artifacts,
    upstream: dict[str, StageStatus],
    *,
    is_needed: bool = True,
) -> StageStatus:
    """Compare what a stage was run with to what it would be run with now.

    Args:
        bound: the stage, with its inputs.
        config: the current configuration.
        artifacts: where the files are.
        upstream: the status of every stage that it reads from.
        is_needed: whether all its files have to exist, even those that can be made again.
    """
    stage = bound.stage
    spare = frozenset() if is_needed else stage.spare
    try:
        manifest = artifacts.manifest(stage.name)
    except (MnistError, OSError) as error:
        return StageStatus(stage.name, State.CORRUPT, (_problem("manifest.json", error),), None)
    if manifest is None or (is_needed and not artifacts.has_manifest(stage.name)):
        found = _traces(stage, artifacts)
        state = State.INCOMPLETE if found else State.MISSING
        return StageStatus(stage.name, state, (Reason(found or "never run"),), None)
    missing = [name for name in manifest.outputs if not (artifacts.folder(stage.name) / name).is_file()]
    if set(missing) - spare or set(manifest.outputs) != set(stage.outputs):
        reasons = tuple(Reason(f"{name} is missing") for name in missing) or (Reason("its list of files changed"),)
        return StageStatus(stage.name, State.INCOMPLETE, reasons, manifest)
    if damaged := tuple(_damage(stage, manifest, artifacts, missing)):
        return StageStatus(stage.name, State.CORRUPT, damaged, manifest)
    if changed := tuple(changes(bound, manifest, config, upstream)):
        return StageStatus(stage.name, State.STALE, changed, manifest)
    waiting = [name for name in bound.sources if not upstream[name].fresh]
    if waiting:
        return StageStatus(stage.name, State.PENDING, (Reason(f"waits for {' and '.join(waiting)}"),), manifest)
    if missing:
        return StageStatus(stage.name, State.UNNEEDED, (_REMOVED,), manifest)
    return StageStatus(stage.name, State.FRESH, (), manifest)


def _traces(stage: Stage, artifacts: Artifacts) -> str:
    """Describe what an interrupted run left behind; empty if it left nothing."""
    folder = artifacts.folder(stage.name)
    if left_over := stage.left_over(folder / stage.scratch) if stage.left_over else _newest(folder / stage.scratch):
        return f"interrupted; can resume from {printable(left_over)}"
    if any((folder / name).exists() for name in stage.outputs):
        return "files without a manifest"
    return ""


def _newest(scratch: Path) -> str | None:
    names = sorted(path.name for path in scratch.iterdir() if path.name[0] != ".") if scratch.is_dir() else []
    return f"{scratch.name}/{names[-1]}" if names else None


def _damage(stage: Stage, manifest: Manifest, artifacts: Artifacts, missing: Collection[str]) -> Iterator[Reason]:
    for name, record in manifest.outputs.items():
        if name in missing:
            continue
        try:
            digest = artifacts.digests.digest(artifacts.folder(stage.name) / name)
        except (MnistError, OSError) as error:
            yield _problem(name, error)
        else:
            if digest != record.sha256:
                yield Reason(name, record.sha256, digest)


def changes(
    bound: BoundStage, manifest: Manifest, config: Config, upstream: dict[str, StageStatus]
) -> Iterator[Reason]:
    """Yield every difference between what the manifest records and what the stage would be run with now.

    Arguments as for `examine`.
    """
    stage = bound.stage
    if manifest.version != stage.version:
        yield Reason(f"the {stage.name} stage's version", manifest.version, stage.version)
    yield from _parameters(stage, manifest, config)
    now = {name: value for name, value in stage.runtime(config).items() if value is not None}
    yield from differences({name: manifest.runtime.get(name) for name in now}, now, "runtime ")
    yield from _inputs(bound, manifest, upstream)


def _inputs(bound: BoundStage, manifest: Manifest, upstream: dict[str, StageStatus]) -> Iterator[Reason]:
    names = [f"{source}/{file}" for source, file in bound.files]
    gone = [name for name in manifest.inputs if name not in names]
    for old, new in itertools.zip_longest(gone, [name for name in names if name not in manifest.inputs]):
        yield Reason("input", old, new)  # another stage writes what this one reads
    for name, (source, file) in zip(names, bound.files, strict=True):
        published = upstream[source].manifest
        if name not in manifest.inputs or published is None or not upstream[source].fresh:
            continue  # the outputs of a stage that is not up to date are not known yet
        if manifest.inputs[name] != published.outputs[file].sha256:
            yield Reason(f"{_INPUT}{file}", manifest.inputs[name], published.outputs[file].sha256)


def _parameters(stage: Stage, manifest: Manifest, config: Config) -> Iterator[Reason]:
    found = list(differences(manifest.parameters, stage.parameters(config)))
    changed = {reason.what for reason in found}
    owners = {declared.path: declared.of for declared in stage.settings.parameters()}
    for reason in found:
        note = " (from the command line)" if reason.what in manifest.overrides else ""
        # A parameter that appeared or disappeared because another one, such as the optimizer, changed.
        follows = None in (reason.old, reason.new) and owners.get(reason.what) in changed
        yield replace(reason, note=note, follows=follows)


def _problem(name: str, error: MnistError | OSError) -> Reason:
    if isinstance(error, MnistError):
        text = printable(in_one_line(error))
        return Reason(text if name in text else f"{name}: {text}")
    return Reason(f"{printable(error.filename or name)}: cannot be read: {error.strerror}")
