"""Runs stages: under the lock, only those that are not fresh, each with a manifest as its last word."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnist_cli.distribution import this_worker
from mnist_cli.errors import ConfigError, InputError, Interrupted, Locked, WorkerLost
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.bookkeeping import keep_record, without_record
from mnist_cli.pipeline.config import Config
from mnist_cli.pipeline.digests import DigestCache, content_digest
from mnist_cli.pipeline.environment import environment
from mnist_cli.pipeline.lock import locked
from mnist_cli.pipeline.manifest import NAME, Manifest, OutputRecord, stage_key, write_manifest
from mnist_cli.pipeline.plan import StageStatus, State, examine, examine_all
from mnist_cli.pipeline.registry import STAGES, Job, Outcome, Resume, Stage, upstream
from mnist_cli.pipeline.run_names import FOLDER
from mnist_cli.progress import SILENT, Progress

if TYPE_CHECKING:
    from mnist_cli.pipeline.frozen import Promise


@dataclass(frozen=True)
class StageResult:
    """What became of one stage.

    Attributes:
        stage: its name.
        ran: whether it had to run.
        before: its status before, which says why.
        manifest: what is published now.
    """

    stage: str
    ran: bool
    before: StageStatus
    manifest: Manifest


@dataclass(frozen=True)
class Request:
    """What is to be run, with what, and where.

    Attributes:
        config: the configuration.
        artifacts: the artifacts folder.
        overrides: values of the configuration that came from the command line; recorded in the manifests.
        stages: names of the stages to bring up to date, in pipeline order and without gaps.
        force: run them even when they are fresh.
        resume: whether training may, must or must not go on from a checkpoint.
        mirrors: addresses and folders before the configured ones.
        wait: seconds to wait for another run in the same folder.
        promise: what the outputs have to be, or None where they are not promised.
        command: what was typed, for those who find the folder locked.
        progress: who hears how it goes.
        started: called with a stage's status before it runs.
        finished: called with each result as soon as it is there.
    """

    config: Config
    artifacts: Artifacts
    overrides: dict[str, Any]
    stages: tuple[str, ...] = tuple(STAGES)
    force: bool = False
    resume: Resume = "auto"
    mirrors: tuple[str, ...] = ()
    wait: float = 0
    promise: Promise | None = None
    command: str = "mnist"
    progress: Progress = SILENT
    started: Callable[[StageStatus], None] = lambda _status: None
    finished: Callable[[StageResult], None] = lambda _result: None

    def insists(self, stage: str) -> bool:
        """Tell whether a stage is to run even when it is fresh; training that must not go on is to begin again."""
        return self.force or (stage == "train" and self.resume == "never")


def run(request: Request) -> list[StageResult]:
    """Bring the requested stages up to date.

    Returns:
        One result for each requested stage, in order; none on a worker that trains together with a chief elsewhere.

    Raises:
        ConfigError: several workers are to train, and other stages are requested too.
        InputError: a stage that comes before the first requested one is not fresh.
        NotAsLocked: a stage would not be run, or did not come out, as promised.
        Locked: another run is at work in the folder.
        NothingToTrain: on a worker whose chief has nothing to train.
        MnistError: a stage failed; what was published before is as it was.
        OSError: the artifacts folder cannot be read or written.
    """
    if request.promise:
        request.promise.check_before(request.config, [*_upstream_names(request), *request.stages])
    share = _share_of_training(request)
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
            _excuse_workers(request)
        return results
    if share == "worker":  # whether there is something to train, the chief decides
        _require_fresh(request, statuses)
        _assist(request)
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


def _require_writable(request: Request, statuses: dict[str, StageStatus]) -> None:
    """Refuse at once what would fail only when the stages before have run."""
    for name in request.stages:
        folder = request.artifacts.folder(name)
        if (
            (request.insists(name) or not statuses[name].fresh)
            and folder.is_dir()
            and not os.access(folder, os.W_OK | os.X_OK)
        ):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(folder))


def _share_of_training(request: Request) -> Literal["all", "chief", "worker"]:
    """Return what this process does of the training; all but a worker publish what they make."""
    if "train" not in request.stages or request.config.train.strategy != "multiworker":
        return "all"
    if len(request.stages) > 1:
        raise ConfigError(
            ["train.strategy: multiworker trains with 'mnist train' on each worker; received a run of several stages"],
            hint="run 'mnist run --to preprocess' first, and 'mnist eval' after it on the chief",
        )
    return "chief" if this_worker().is_chief else "worker"


def _excuse_workers(request: Request) -> None:
    """Tell the workers that wait for this chief that there is nothing to do; who does not come is not waited for."""
    from mnist_cli.stages.train import excuse_workers

    try:
        excuse_workers()
    except WorkerLost as error:
        request.progress.note(f"the model is fresh, and not every worker came to hear it: {error.message}")


def _assist(request: Request) -> None:
    """Compute this worker's share of the training; the chief publishes it."""
    with tempfile.TemporaryDirectory(prefix="mnist-worker-") as scratch:
        unused = Path(scratch)
        job = Job(
            config=request.config,
            root=request.artifacts.root,
            new=unused,
            current=unused,
            scratch=unused,
            mirrors=(),
            resume=request.resume,
            reuse=False,
            progress=request.progress,
        )
        STAGES["train"].run(job)


def _run_in_order(request: Request, digests: DigestCache) -> list[StageResult]:
    # Looked at again, as another run may have worked here while this one waited for the lock.
    statuses = examine_all(request.config, request.artifacts, digests)
    _require_fresh(request, statuses)
    _check_upstream(request, statuses)
    _require_writable(request, statuses)
    _warm_up(request, statuses)
    results = []
    for name in request.stages:
        stage = STAGES[name]
        status = examine(stage, request.config, request.artifacts, digests, statuses)
        if status.fresh and not request.insists(name):
            results.append(_fresh_result(request, status))
        else:
            request.started(status)
            manifest = _execute(stage, request, status, statuses, digests)
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


def _execute(
    stage: Stage, request: Request, status: StageStatus, statuses: dict[str, StageStatus], digests: DigestCache
) -> Manifest:
    """Run one stage and publish what it wrote."""
    artifacts = request.artifacts
    folder = artifacts.folder(stage.name)
    started = time.perf_counter()
    job = Job(
        config=request.config,
        root=artifacts.root,
        new=artifacts.begin(stage.name),
        current=folder,
        scratch=folder / stage.scratch,
        mirrors=request.mirrors,
        resume=request.resume,
        # What other parameters gave is not worth a look, and --force means to do it all again.
        reuse=not request.force and status.state is not State.STALE,
        progress=request.progress,
    )
    try:
        outcome = _call(stage, job, status)
        outputs = {name: _record(job, name, outcome) for name in stage.outputs}
        inputs = {f"{source}/{file}": _published(statuses[source], file) for source, file in stage.inputs}
        _check_inputs(stage, inputs, outcome)
        parameters = stage.parameters(request.config)
        manifest = Manifest(
            stage=stage.name,
            key=stage_key(stage.name, stage.version, parameters, inputs, outcome.runtime),
            version=stage.version,
            parameters=parameters,
            overrides={path: value for path, value in request.overrides.items() if path in parameters},
            inputs=inputs,
            outputs=outputs,
            metrics=outcome.metrics,
            runtime=outcome.runtime,
            environment=environment(),
            seconds=round(time.perf_counter() - started, 3),
        )
        if request.promise:
            request.promise.check_new(manifest)
        write_manifest(job.new / NAME, manifest)
    except BaseException:
        artifacts.discard(stage.name)
        raise
    artifacts.commit(stage.name)
    for name, record in outputs.items():
        digests.remember(folder / name, record.sha256)
    return manifest


def _call(stage: Stage, job: Job, status: StageStatus) -> Outcome:
    try:
        return stage.run(job)
    except Interrupted as error:
        if status.fresh:  # it was forced: the next run, unless forced as well, finds nothing to do
            error.reached = None
        raise


def _check_inputs(stage: Stage, published: dict[str, str], outcome: Outcome) -> None:
    """Refuse a result made from other bytes than those that were published: the planner trusts size and time."""
    for name, received in outcome.inputs.items():
        if received != published[name]:
            source = name.partition("/")[0]
            raise InputError(
                f"{name} is not what '{source}' published\n"
                f"expected SHA-256 {published[name][:12]}…; '{stage.name}' read {received[:12]}…",
                hint=f"run 'mnist {source} --force'; 'mnist verify' looks at all the others",
            )


def _record(job: Job, name: str, outcome: Outcome) -> OutputRecord:
    """Describe one output: the new file, or the published one that the stage found right and kept."""
    path = job.new / name
    if not path.exists():
        path = job.current / name
    digest = outcome.digests.get(name) or content_digest(path)
    return OutputRecord(sha256=digest, bytes=path.stat().st_size)


def _published(status: StageStatus, file: str) -> str:
    assert status.manifest is not None, "an input's stage is fresh, so it has a manifest"
    return status.manifest.outputs[file].sha256
