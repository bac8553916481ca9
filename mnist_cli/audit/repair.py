"""Makes right what `verify` found wrong: only that, and with the parameters that it was made with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mnist_cli import files
from mnist_cli.audit.verify import Check, recorded_config
from mnist_cli.config.config import Config
from mnist_cli.config.keys import KEYS
from mnist_cli.errors import InputError, MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache, forget
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import examine_all
from mnist_cli.pipeline.registry import STAGES
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.runner import run
from mnist_cli.runs.bookkeeping import keep_record, without_record
from mnist_cli.runs.names import FOLDER
from mnist_cli.text import printable


def repair(request: Request, checks: Iterable[Check]) -> list[StageResult]:
    """Remove damaged checkpoints and records, run the stages that have wrong files, and those that read what came out.

    A stage whose outputs come out as they were causes no other to run. Files that are right are kept: of a download
    only what is wrong is fetched again.

    Args:
        request: with what to run; `as_recorded` gives its configuration and its overrides. Its stages do not matter.
        checks: what `verify` found.

    Raises:
        InputError: a stage has to run, and one that it reads from is not fresh.
        Locked: another run is at work in the folder.
        MnistError: a stage failed; what was published before is as it was.
        OSError: the artifacts folder cannot be written.
    """
    wrong = [check for check in checks if not check.ok]
    _clear_the_way(request, wrong)
    damaged = {check.stage for check in wrong if check.checkpoint is None}
    results: list[StageResult] = []
    for name in STAGES:
        if name in damaged or _reads_other(request.artifacts, name, {result.stage for result in results}):
            results += run(replace(request, stages=(name,)))
    if FOLDER in damaged:
        _record_published(request)
    return results


def as_recorded(config: Config, artifacts: Artifacts) -> tuple[Config, dict[str, Any]]:
    """Return the configuration that the artifacts were made with, and those of its keys that were typed.

    Where a manifest cannot be read, its stage's part is as in `config`.

    Raises:
        InputError: two stages were run with different values of one key.
    """
    manifests = _readable(artifacts)
    overrides: dict[str, Any] = {}
    if "train" in manifests:
        kept = ("checkpoint_every", "checkpoint_seconds", "keep_checkpoints", "tensorboard")
        train = recorded_config(config, manifests["train"].parameters).train
        train = train.model_copy(update={name: getattr(config.train, name) for name in kept})
        config = config.model_copy(update={"train": train})
    content = config.model_dump()
    recorded: dict[str, Any] = {}
    for manifest in manifests.values():
        overrides |= {path: value for path, value in manifest.overrides.items() if path in KEYS}
        for path, value in manifest.parameters.items():
            if recorded.setdefault(path, value) != value:
                raise InputError(
                    f"{manifest.stage} was run with {path} {printable(value)}, "
                    f"and a stage before it with {printable(recorded[path])}: there is no telling which one is meant",
                    hint="run 'mnist run'",
                )
            section, _, name = path.rpartition(".")
            if path in KEYS and section != "train":
                (content[section] if section else content)[name] = value
    return Config.model_validate(content), overrides


def _readable(artifacts: Artifacts) -> dict[str, Manifest]:
    manifests = {}
    for name in STAGES:
        with contextlib.suppress(MnistError, OSError):
            if found := artifacts.manifest(name):
                manifests[name] = found
    return manifests


def _clear_the_way(request: Request, wrong: list[Check]) -> None:
    """Remove damaged checkpoints, which training would stop at, damaged records, and all remembered digests."""
    from mnist_cli.runs.recording import remove_run

    with locked(request.artifacts.root, request.command, request.wait):
        forget(request.artifacts.root)
        for check in wrong:
            if check.checkpoint is not None:
                files.remove_at_once(check.checkpoint)
                request.progress.note(f"removed {check.name}, which is damaged: {check.problem}")
            elif check.stage == FOLDER:
                remove_run(request.artifacts.root, check.name)
                request.progress.note(f"removed {FOLDER}/{check.name}, which is damaged: {check.problem}")


def _record_published(request: Request) -> None:
    """Make the record of what is published again, where it was a damaged one."""
    with locked(request.artifacts.root, request.command, request.wait):
        digests = DigestCache(request.artifacts.root)
        statuses = examine_all(request.config, request.artifacts, digests)
        for manifest in without_record(request.artifacts, statuses, list(STAGES)):
            keep_record(request.artifacts, manifest, request.config.keep_runs, request.progress)
        digests.save()


def _reads_other(artifacts: Artifacts, name: str, ran: set[str]) -> bool:
    """Tell whether a stage was run with something else than what those that ran just now have published."""
    manifest = artifacts.manifest(name)
    if manifest is None:
        return False
    for source, file in STAGES[name].inputs:
        published = artifacts.manifest(source) if source in ran else None
        if published and manifest.inputs.get(f"{source}/{file}") != published.outputs[file].sha256:
            return True
    return False
