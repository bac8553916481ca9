"""Runs stages: under the lock, and only those that are not fresh."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection

from mnist_cli.errors import InputError, Locked
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.execution import execute
from mnist_cli.pipeline.manifest import NAME
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import StageStatus, State, examine, examine_all
from mnist_cli.pipeline.registry import STAGES, upstream
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.workers import assist, excuse_workers_of, share_of_training
from mnist_cli.runs.bookkeeping import keep_record, without_record
from mnist_cli.runs.names import FOLDER
from mnist_cli.text import printable


def run(request: Request) -> list[StageResult]:
    """Bring the requested stages up to date.

    Returns:
        One result for each requested stage, in order; none on a worker that trains together with a chief elsewhere.

    Raises:
        ConfigError: several workers are to train, and other stages are requested too.
        InputError: a stage that comes before the first requested one is not fresh, or a folder stands where a file
            is to be.
        NotAsLocked: a stage would not be run, or did not come out, as promised.
        Locked: another run is at work in the folder.
        NothingToTrain: on a worker whose chief has nothing to train.
        MnistError: a stage failed; what was published before is as it was.
        OSError: the artifacts folder cannot be read or written.
    """
    if request.promise:
        request.promise.check_before(request.config, [*_upstream_names(request), *request.stages])
    share = share_of_training(request)
    if share != "worker":
        _tidy(request)
    digests = DigestCache(request.artifacts.root)
    statuses = examine_all(request.config, request.artifacts, digests)
    # Without a lock: a run that finds nothing to do needs no write access and waits for nobody.
    is_fresh = all(statuses[name].fresh and not request.insists(name) for name in request.stages)
    if share != "worker" and is_fresh:
        digests.save()
        _check_upstream(request, statuses)
        if without_record(request.artifacts, statuses, request.stages):
            # Where another run is at work, or nothing may be written, the next one does it.
            with contextlib.suppress(Locked, OSError), locked(request.artifacts.root, request.command):
                _complete_records(request, statuses)
        results = [_fresh_result(request, statuses[name]) for name in request.stages]
        if share == "chief":
            excuse_workers_of(request)
        return results
    if share == "worker":  # whether there is something to train, the chief decides
        _require_fresh(request, statuses)
        assist(request)
        return []
    if not request.artifacts.root.is_dir():
        _require_fresh(request, statuses)  # before a folder is made for nothing
    with locked(request.artifacts.root, request.command, request.wait):
        return run_locked(request)


def run_locked(request: Request) -> list[StageResult]:
    """Bring the requested stages up to date, for a caller that holds the lock; results and errors as `run`."""
    _recover(request.artifacts)
    digests = DigestCache(request.artifacts.root)
    try:
        return _run_in_order(request, digests)
    finally:
        digests.save()


def _tidy(request: Request) -> None:
    """Finish or undo what a killed run left, also where there is nothing to do; a run at work is left alone."""
    if request.artifacts.are_untidy(STAGES):
        with contextlib.suppress(Locked, OSError), locked(request.artifacts.root, request.command):
            _recover(request.artifacts)


def _recover(artifacts: Artifacts) -> None:
    for name in (*STAGES, FOLDER):  # the folder of the runs is swept like that of a stage
        artifacts.recover(name)


def _require_fresh(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Refuse to build on something that is not what the configuration says."""
    for stage in upstream(STAGES[request.stages[0]]):
        status = statuses[stage.name]
        if not status.fresh:
            parameters = stage.parameters(request.config)
            told = [f" --set {path}={value}" for path, value in request.overrides.items() if path in parameters]
            raise InputError(
                f"'{request.stages[0]}' needs '{stage.name}', and that is {status.state}: {status.why()}",
                hint=f"run 'mnist {stage.name}{''.join(told)}', or 'mnist run' for everything that is needed",
            )


def _require_places(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Refuse at once what would fail only when the stages before have run, or at the end of a long training."""
    for name in request.stages:
        if statuses[name].fresh and not request.insists(name):
            continue
        stage, folder = STAGES[name], request.artifacts.folder(name)
        for place in (folder, folder / stage.scratch):
            if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(place))
        for file in (folder / output for output in (*stage.outputs, NAME)):
            if file.is_dir() and not file.is_symlink():  # a link would be replaced, and what it names left alone
                raise InputError(
                    f"{printable(file)}: is a folder, and a file of '{name}' is to be there", hint="remove it"
                )


def _run_in_order(request: Request, digests: DigestCache) -> list[StageResult]:
    # Looked at again, as another run may have worked here while this one waited for the lock.
    statuses = examine_all(request.config, request.artifacts, digests)
    _require_fresh(request, statuses)
    _check_upstream(request, statuses)
    _require_places(request, statuses)
    _warm_up(request, statuses)
    results = []
    for name in request.stages:
        stage = STAGES[name]
        status = examine(stage, request.config, request.artifacts, digests, statuses)
        if status.fresh and not request.insists(name):
            results.append(_fresh_result(request, status))
        else:
            request.started(status)
            manifest = execute(stage, request, status, statuses, digests)
            keep_record(request.artifacts, manifest, request.config.keep_runs, request.progress)
            results.append(StageResult(name, True, status, manifest))
            request.finished(results[-1])
            status = StageStatus(name, State.FRESH, (), manifest)
        statuses[name] = status
    _complete_records(request, statuses, ran=[result.stage for result in results if result.ran])
    return results


def _check_upstream(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Hold the stages before the first requested one, which are fresh, to what is promised."""
    if request.promise:
        names = _upstream_names(request)
        request.promise.check_published({name: found for name in names if (found := statuses[name].manifest)})


def _upstream_names(request: Request) -> list[str]:
    return [stage.name for stage in upstream(STAGES[request.stages[0]])]


def _complete_records(request: Request, statuses: dict[str, StageStatus], ran: Collection[str] = ()) -> None:
    """Make the records that are missing; those of the stages that just ran were tried already."""
    for manifest in without_record(request.artifacts, statuses, request.stages):
        if manifest.stage not in ran:
            keep_record(request.artifacts, manifest, request.config.keep_runs, request.progress)


def _fresh_result(request: Request, status: StageStatus) -> StageResult:
    assert status.manifest is not None, "a fresh stage has a manifest"
    if request.promise:
        request.promise.check_published({status.stage: status.manifest})
    result = StageResult(status.stage, False, status, status.manifest)
    request.finished(result)
    return result


def _warm_up(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Import TensorFlow beside the stages that come before training, if both have to run."""
    waiting = [name for name in request.stages if request.insists(name) or not statuses[name].fresh]
    if "train" in waiting and waiting[0] != "train":
        from mnist_cli.stages.warm_up import warm_up

        warm_up()
