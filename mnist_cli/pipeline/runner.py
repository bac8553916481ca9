"""Runs stages: under the mutex, and only those that are not up to date."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping

from mnist_cli import files
from mnist_cli.errors import InputError, Locked
from mnist_cli.pipeline.execution import adopt, execute
from mnist_cli.pipeline.manifest import NAME
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import StageStatus, State, examine, examine_all
from mnist_cli.pipeline.request import Request, StageResult
from mnist_cli.pipeline.workers import assist, dismiss_workers_of, share_of_work
from mnist_cli.stages.stage import BoundStage, upstream
from mnist_cli.text import printable


def run(request: Request) -> list[StageResult]:
    """Bring the requested stages up to date.

    Returns:
        One result for each requested stage, in order; none on a worker that shares the work of a chief elsewhere.

    Raises:
        ConfigError: several processes share a stage, and other stages are requested too.
        InputError: a stage that comes before the first requested one is not up to date, or a folder is in the place of
            an output file.
        NotAsLocked: from a callback: a stage's outputs are not those in the lock file.
        Locked: another run is in progress in the folder.
        NothingToTrain: on a worker whose chief has nothing to train.
        MnistError: a stage failed; what was published before is unchanged.
        OSError: the artifacts folder cannot be read or written.
    """
    bound = request.artifacts.pipeline.bind(request.config)
    share = share_of_work(request, bound)
    if share != "worker":
        _tidy(request)
    statuses = examine_all(request.config, request.artifacts)
    # Without the mutex: a run with nothing to do needs no write access and waits for nobody.
    is_fresh = not to_run(request, statuses)
    if share != "worker" and is_fresh:
        request.artifacts.digests.save()
        _check_upstream(request, bound, statuses)
        results = [_fresh_result(request, statuses[name]) for name in request.stages]
        if share == "chief":
            dismiss_workers_of(request, bound[request.stages[0]])
        request.settled(results)
        return results
    if share == "worker":  # the chief decides whether there is something to train
        _require_fresh(request, bound, statuses)
        assist(request, bound[request.stages[0]])
        return []
    if not request.artifacts.root.is_dir():
        _require_fresh(request, bound, statuses)  # refuse before creating the folder
    with locked(request.artifacts.root, request.command, request.wait):
        results = run_locked(request)
    if share == "chief" and not results[0].ran:  # published from an earlier run, or another process trained meanwhile
        dismiss_workers_of(request, bound[request.stages[0]])
    request.settled(results)
    return results


def to_run(request: Request, statuses: Mapping[str, StageStatus]) -> set[str]:
    """Return which of the requested stages have to run.

    Args:
        request: the request.
        statuses: the status of every active stage.
    """
    bound = request.artifacts.pipeline.bind(request.config)
    found = {name for name in request.stages if not statuses[name].fresh or request.insists(name)}
    for name in reversed(request.stages):
        if statuses[name].state is State.UNNEEDED:
            readers = {reader for reader in request.stages if name in bound[reader].sources}
            if not readers or readers & found:  # requested by name, or needed again
                found.add(name)
    return found


def run_locked(request: Request) -> list[StageResult]:
    """Bring the requested stages up to date, for a caller that holds the mutex; returns and raises as `run`."""
    _recover(request)
    request.artifacts.digests.reload()  # another run may have worked here while this one waited for the mutex
    try:
        return _run_in_order(request)
    finally:
        request.artifacts.digests.save()


def _tidy(request: Request) -> None:
    """Finish or undo what a killed run left, even if nothing has to run; leave a run that is going on alone."""
    if request.artifacts.are_untidy():
        with contextlib.suppress(Locked, OSError), locked(request.artifacts.root, request.command):
            _recover(request)


def _recover(request: Request) -> None:
    for name in request.artifacts.pipeline.stages:
        request.artifacts.recover(name)
    request.recovered()


def _require_fresh(request: Request, bound: dict[str, BoundStage], statuses: dict[str, StageStatus]) -> None:
    """Refuse to build on a stage that is not up to date, or whose files were removed."""
    for name in upstream(bound, request.stages[:1]):
        status = statuses[name]
        if not status.fresh:
            raise InputError(
                f"'{request.stages[0]}' needs '{name}', which is {status.state}: {status.why()}",
                hint=f"run 'mnist {name}', or 'mnist run' for everything that is needed",
            )
    will_run = to_run(request, statuses)
    for name in request.stages:
        for source in bound[name].sources:
            if name in will_run and source not in will_run and statuses[source].state is State.UNNEEDED:
                raise InputError(
                    f"'{name}' needs the files of '{source}', which were removed", hint=f"run 'mnist {source}'"
                )


def _require_places(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Refuse at once what would fail only after the stages before, or at the end of a long training.

    Raises:
        InputError: a stage's folder is a link, or a folder is in the place of an output file.
        PermissionError: a stage's folder cannot be written.
    """
    for name in to_run(request, statuses):
        stage, folder = request.artifacts.pipeline.stages[name], request.artifacts.folder(name)
        for place in (folder, folder / stage.scratch):
            files.refuse_links(place, request.artifacts.root)
            if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(place))
        for file in (folder / output for output in (*stage.outputs, NAME)):
            if file.is_dir() and not file.is_symlink():  # a link is replaced, and its target stays as it is
                raise InputError(f"{printable(file)}: expected a file of '{name}'; received a folder", hint="remove it")


def _run_in_order(request: Request) -> list[StageResult]:
    bound = request.artifacts.pipeline.bind(request.config)
    statuses = examine_all(request.config, request.artifacts)
    _require_fresh(request, bound, statuses)
    _check_upstream(request, bound, statuses)
    _require_places(request, statuses)
    _begin_slow_imports(request, statuses)
    results, will_run = [], to_run(request, statuses)
    for name in request.stages:
        status = examine(bound[name], request.config, request.artifacts, statuses, is_needed=name in will_run)
        if status.fresh and not request.insists(name):
            results.append(_fresh_result(request, status))
        else:
            request.started(status)
            results.append(
                _taken(request, bound[name], status, statuses) or _ran(request, bound[name], status, statuses)
            )
            request.finished(results[-1])
            status = StageStatus(name, State.FRESH, (), results[-1].manifest)
        statuses[name] = status
    return results


def _ran(request: Request, bound: BoundStage, status: StageStatus, statuses: dict[str, StageStatus]) -> StageResult:
    manifest = execute(bound, request, status, statuses)
    request.published(manifest)
    return StageResult(bound.name, True, status, manifest)


def _taken(
    request: Request, bound: BoundStage, status: StageStatus, statuses: dict[str, StageStatus]
) -> StageResult | None:
    """Publish the outputs of an identical earlier run, if there is one."""
    found = request.reuse(bound, statuses) if request.may_reuse(bound.name) else None
    manifest = adopt(found, request) if found else None
    if found is None or manifest is None:
        return None
    request.published(manifest)
    return StageResult(bound.name, False, status, manifest, found.name)


def _check_upstream(request: Request, bound: dict[str, BoundStage], statuses: dict[str, StageStatus]) -> None:
    """Call `before_use` for the stages before the first requested one, which are up to date."""
    for name in upstream(bound, request.stages[:1]):
        if found := statuses[name].manifest:
            request.before_use(found)


def _fresh_result(request: Request, status: StageStatus) -> StageResult:
    assert status.manifest is not None, "a fresh stage has a manifest"
    request.before_use(status.manifest)
    result = StageResult(status.stage, False, status, status.manifest)
    request.finished(result)
    return result


def _begin_slow_imports(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Begin slow imports early, while the stages before the one that needs them wait for the network or the disk."""
    will_run = to_run(request, statuses)
    for name in [name for name in request.stages if name in will_run][1:]:
        if slow_import := request.artifacts.pipeline.stages[name].slow_import:
            slow_import()
