"""Repairs what `verify` found damaged, and only that, with the recorded parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mnist_cli import files
from mnist_cli.audit.verify import Check
from mnist_cli.config.declarations import Config
from mnist_cli.errors import InputError, MnistError
from mnist_cli.export.state import FOLDER as EXPORTS
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import State, examine_all
from mnist_cli.pipeline.recorded import recorded_config
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.runner import run
from mnist_cli.runs.names import FOLDER
from mnist_cli.stages.stage import upstream
from mnist_cli.text import printable


def repair(request: Request, checks: Iterable[Check]) -> list[StageResult]:
    """Remove damaged checkpoints and records, run the stages with damaged files, and those that read changed outputs.

    A stage whose outputs come out unchanged causes no other stage to run. Undamaged files are kept: of a download,
    only damaged files are fetched again.

    Args:
        request: the request to run, with the configuration and overrides of `as_recorded`; its stages are ignored.
        checks: the result of `verify`.

    Raises:
        InputError: a stage has to run, and one that it reads from is not up to date.
        Locked: another run is in progress in the folder.
        MnistError: a stage failed; what was published before is unchanged.
        OSError: the artifacts folder cannot be written.
    """
    wrong = [check for check in checks if not check.ok]
    _clear_the_way(request, wrong)
    damaged = {check.stage for check in wrong if check.checkpoint is None}
    damaged |= _needed_again(request, damaged)
    results: list[StageResult] = []
    for name in request.artifacts.pipeline.stages:
        if name in damaged or _reads_other(request.artifacts, name, {result.stage for result in results}):
            results += run(replace(request, stages=(name,)))
    if FOLDER in damaged:
        _record_published(request)
    return results


def as_recorded(config: Config, artifacts: Artifacts) -> tuple[Config, dict[str, Any]]:
    """Return the configuration that the artifacts were made with, and its command-line overrides.

    If a manifest cannot be read, its stage's part is taken from `config`.

    Raises:
        InputError: two stages were run with different values of one key.
    """
    overrides: dict[str, Any] = {}
    recorded: dict[str, Any] = {}
    for name, manifest in _readable(artifacts).items():
        overrides |= {path: value for path, value in manifest.overrides.items() if path in config.values()}
        for path, value in manifest.parameters.items():
            if recorded.setdefault(path, value) != value:
                raise InputError(
                    f"{path}: expected one value; {name} was run with {printable(value)}, a stage before it with "
                    f"{printable(recorded[path])}",
                    hint="run 'mnist run'",
                )
        config = recorded_config(artifacts.pipeline.stages[name], config, manifest.parameters)
    return config, overrides


def _readable(artifacts: Artifacts) -> dict[str, Manifest]:
    manifests = {}
    for name in artifacts.pipeline.stages:
        with contextlib.suppress(MnistError, OSError):
            if found := artifacts.manifest(name):
                manifests[name] = found
    return manifests


def _clear_the_way(request: Request, wrong: list[Check]) -> None:
    """Remove damaged checkpoints, at which training would stop, damaged records, and all cached digests."""
    from mnist_cli.runs.recording import remove_run

    with locked(request.artifacts.root, request.command, request.wait):
        request.artifacts.digests.forget()
        for check in wrong:
            if check.checkpoint is not None:
                files.remove_atomically(check.checkpoint, request.artifacts.root)
                request.progress.note(f"removed the damaged {check.name}: {check.problem}")
            elif check.stage == EXPORTS:
                export = request.artifacts.folder(f"{EXPORTS}/{check.name.partition('/')[0]}")
                if export.is_dir():
                    files.remove(export, request.artifacts.root)
                    request.progress.note(f"removed the damaged export {check.name}; 'mnist export' makes it again")
            elif check.stage == FOLDER:
                remove_run(request.artifacts.root, check.name)
                request.progress.note(f"removed the damaged {FOLDER}/{check.name}: {check.problem}")


def _record_published(request: Request) -> None:
    """Make the record of the published run again, after a damaged one was removed."""
    statuses = examine_all(request.config, request.artifacts)
    fresh = tuple(name for name, status in statuses.items() if status.fresh)
    if fresh:
        run(replace(request, stages=fresh, finished=lambda _result: None))  # makes missing records when it settles


def _needed_again(request: Request, damaged: set[str]) -> set[str]:
    """Return the stages whose files were removed but are needed to make the damaged ones again."""
    statuses = examine_all(request.config, request.artifacts)
    bound = request.artifacts.pipeline.bind(request.config)
    found = upstream(bound, [name for name in bound if name in damaged])
    return {name for name in found if statuses[name].state in (State.MISSING, State.INCOMPLETE)}


def _reads_other(artifacts: Artifacts, name: str, ran: set[str]) -> bool:
    """Tell whether a stage's recorded inputs differ from what the stages that ran just now have published."""
    manifest = artifacts.manifest(name)
    if manifest is None:
        return False
    for read, digest in manifest.inputs.items():
        source, file = read.split("/")
        published = artifacts.manifest(source) if source in ran else None
        if published and digest != published.outputs[file].sha256:
            return True
    return False
