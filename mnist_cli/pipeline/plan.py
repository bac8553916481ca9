"""Which stages have to run, and why: the one planner behind `status`, `--dry-run`, `run` and the stage commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mnist_cli.config.config import Config
from mnist_cli.errors import MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.registry import STAGES, Stage
from mnist_cli.text import printable

_INPUT = "input "
_UNUSED = "(not used)"


class State(StrEnum):
    """How a stage's artifacts stand, worst first."""

    MISSING = "missing"  # it has never run
    INCOMPLETE = "incomplete"  # it was interrupted, or an output is gone
    CORRUPT = "corrupt"  # an output or the manifest is not what was written
    STALE = "stale"  # it would be run with something else now
    PENDING = "pending"  # it depends on a stage that has to run first
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a stage is not fresh.

    Attributes:
        what: a configuration key, an input, a file or a fact.
        old: the value it was run with; both None where nothing changed its value.
        new: the value it would be run with now.
        note: more about the old value, such as where it came from.
    """

    what: str
    old: Any = None
    new: Any = None
    note: str = ""

    @property
    def text(self) -> str:
        """The reason in words."""
        what = printable(self.what, 1000)
        if self.old is None and self.new is None:
            return what
        return f"{what} {_short(self.old)}{self.note} → {_short(self.new)}"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage's state, the reasons for it, and its manifest if that can be read."""

    stage: str
    state: State
    reasons: tuple[Reason, ...]
    manifest: Manifest | None

    @property
    def fresh(self) -> bool:
        """Whether there is nothing to do."""
        return self.state is State.FRESH

    @property
    def key(self) -> str | None:
        """The key in its manifest."""
        return self.manifest.key if self.manifest else None

    def why(self) -> str:
        """Return the reasons in a line, without those that follow from others.

        Of several inputs it says only that they changed; and where the optimizer or the schedule changed, parameters
        that came and went with it are left out. `reasons` has them all.
        """
        inputs = [reason for reason in self.reasons if reason.what.startswith(_INPUT)]
        others = [reason for reason in self.reasons if reason not in inputs]
        is_another = any(reason.what in ("train.optimizer", "train.schedule") for reason in others)
        main = [reason for reason in others if not is_another or _UNUSED not in (reason.old, reason.new)]
        told = [*map(str, main), *(map(str, inputs) if len(inputs) < 2 else [f"{len(inputs)} inputs changed"])]
        return "; ".join(told)


def examine_all(config: Config, artifacts: Artifacts, digests: DigestCache) -> dict[str, StageStatus]:
    """Return the status of every stage, in pipeline order."""
    statuses: dict[str, StageStatus] = {}
    for name, stage in STAGES.items():
        statuses[name] = examine(stage, config, artifacts, digests, statuses)
    return statuses


def examine(
    stage: Stage, config: Config, artifacts: Artifacts, digests: DigestCache, upstream: dict[str, StageStatus]
) -> StageStatus:
    """Compare what a stage was run with to what it would be run with now.

    Args:
        stage: the one to look at.
        config: the configuration as it is now.
        artifacts: where the files are.
        digests: of the files below `artifacts`.
        upstream: the status of every stage that it reads from.
    """
    try:
        manifest = artifacts.manifest(stage.name)
    except (MnistError, OSError) as error:
        return StageStatus(stage.name, State.CORRUPT, (_problem("manifest.json", error),), None)
    if manifest is None:
        found = _traces(stage, artifacts)
        state = State.INCOMPLETE if found else State.MISSING
        return StageStatus(stage.name, state, (Reason(found or "never run"),), None)
    missing = [name for name in manifest.outputs if not (artifacts.folder(stage.name) / name).is_file()]
    if missing or set(manifest.outputs) != set(stage.outputs):
        reasons = tuple(Reason(f"{name} is missing") for name in missing) or (Reason("its list of files changed"),)
        return StageStatus(stage.name, State.INCOMPLETE, reasons, manifest)
    if damaged := tuple(_damage(stage, manifest, artifacts, digests)):
        return StageStatus(stage.name, State.CORRUPT, damaged, manifest)
    if changed := tuple(changes(stage, manifest, config, upstream)):
        return StageStatus(stage.name, State.STALE, changed, manifest)
    waiting = [name for name in dict(stage.inputs) if not upstream[name].fresh]
    if waiting:
        return StageStatus(stage.name, State.PENDING, (Reason(f"waits for {' and '.join(waiting)}"),), manifest)
    return StageStatus(stage.name, State.FRESH, (), manifest)


def _traces(stage: Stage, artifacts: Artifacts) -> str:
    """Say what an interrupted run left behind, or return an empty text."""
    folder = artifacts.folder(stage.name)
    scratch = folder / stage.scratch
    if scratch.is_dir() and (names := sorted(path.name for path in scratch.iterdir() if path.name[0] != ".")):
        return f"interrupted; {stage.scratch}/{printable(names[-1])} is there to go on from"
    if any((folder / name).exists() for name in stage.outputs):
        return "files without a manifest"
    return ""


def _damage(stage: Stage, manifest: Manifest, artifacts: Artifacts, digests: DigestCache) -> Iterator[Reason]:
    for name, record in manifest.outputs.items():
        try:
            digest = digests.digest(artifacts.folder(stage.name) / name)
        except (MnistError, OSError) as error:
            yield _problem(name, error)
        else:
            if digest != record.sha256:
                yield Reason(name, record.sha256, digest)


def changes(stage: Stage, manifest: Manifest, config: Config, upstream: dict[str, StageStatus]) -> Iterator[Reason]:
    """Give what a stage would be run with now, where that is not what its manifest says; arguments as `examine`."""
    if manifest.version != stage.version:
        yield Reason(f"the {stage.name} stage's version", manifest.version, stage.version)
    now = stage.parameters(config)
    for path in dict.fromkeys([*manifest.parameters, *now]):
        old, new = manifest.parameters.get(path), now.get(path)
        if old != new:
            note = " (from the command line)" if path in manifest.overrides else ""
            yield Reason(path, _or_unused(old), _or_unused(new), note)
    for name, new in stage.runtime(config).items():
        old = manifest.runtime.get(name)
        if new is not None and old != new:
            yield Reason(f"runtime {name}", _or_unused(old), new)
    for source, file in stage.inputs:
        source_manifest = upstream[source].manifest
        if source_manifest is None or not upstream[source].fresh:
            continue  # pending says it already, and what it will be is not known
        old, new = manifest.inputs.get(f"{source}/{file}"), source_manifest.outputs[file].sha256
        if old != new:
            yield Reason(f"{_INPUT}{file}", _or_unused(old), new)


def _problem(name: str, error: MnistError | OSError) -> Reason:
    if isinstance(error, MnistError):
        text = printable(in_one_line(error))
        return Reason(text if name in text else f"{name}: {text}")
    return Reason(f"{printable(error.filename or name)}: cannot be read: {error.strerror}")


def _or_unused(value: Any) -> Any:
    return _UNUSED if value is None else value


def _short(value: Any) -> str:
    text = printable(value)
    is_digest = len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
    return f"{text[:12]}…" if is_digest else text
