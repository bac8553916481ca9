"""Runs one stage in a folder of its own and publishes what it wrote, the manifest last."""

from __future__ import annotations

import time

from mnist_cli import files
from mnist_cli.errors import InputError, Interrupted
from mnist_cli.formats.byte_stream import content_digest
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import NAME, Manifest, OutputRecord, new_manifest, write_manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.pipeline.request import Request, Reusable
from mnist_cli.stages.stage import BoundStage, Job, Outcome, Stage


def execute(bound: BoundStage, request: Request, status: StageStatus, statuses: dict[str, StageStatus]) -> Manifest:
    """Run one stage and publish what it wrote."""
    stage, artifacts = bound.stage, request.artifacts
    folder = artifacts.folder(stage.name)
    started = time.perf_counter()
    before, parameters = status.manifest, stage.parameters(request.config)
    job = Job(
        config=request.config,
        inputs=artifacts.inputs(bound),
        new=artifacts.begin(stage.name),
        current=folder,
        scratch=folder / stage.scratch,
        mirrors=request.mirrors,
        cache=request.cache,
        offline=request.offline,
        resume=request.resume,
        # Nothing made with other parameters can be reused, and --force means to redo everything.
        reuse=not request.force and (before is None or before.parameters == parameters),
        # Another version of the stage may have computed the digests in another way.
        published=_digests(before) if before and before.version == stage.version else {},
        progress=request.progress,
    )
    try:
        outcome = _call(stage, job, status)
        outputs = {name: _record(job, name, outcome) for name in stage.outputs}
        inputs = {f"{source}/{file}": _published(statuses[source], file) for source, file in bound.files}
        _check_inputs(bound, inputs, outcome)
        manifest = new_manifest(
            stage=stage.name,
            version=stage.version,
            parameters=parameters,
            inputs=inputs,
            outputs=outputs,
            metrics=outcome.metrics,
            runtime=outcome.runtime,
            started=started,
            overrides={path: value for path, value in request.overrides.items() if path in parameters},
        )
        request.before_publish(manifest)
        write_manifest(job.new / NAME, manifest)
    except BaseException:
        artifacts.discard(stage.name)
        raise
    _commit(manifest, artifacts)
    return manifest


def adopt(found: Reusable, request: Request) -> Manifest | None:
    """Publish what an identical earlier run of a stage gave; if it is damaged, publish nothing and return None."""
    made, artifacts = found.manifest, request.artifacts
    typed = {path: value for path, value in request.overrides.items() if path in made.parameters}
    manifest = made.model_copy(update={"overrides": typed})
    new = artifacts.begin(made.stage)
    try:
        for name, record in made.outputs.items():
            files.write_bytes(new / name, found.contents[name])
            if content_digest(new / name) != record.sha256:
                request.progress.warn(f"run {found.name}: {name} was changed after '{made.stage}' wrote it; not used")
                artifacts.discard(made.stage)
                return None
        request.before_publish(manifest)
        write_manifest(new / NAME, manifest)
    except BaseException:
        artifacts.discard(made.stage)
        raise
    _commit(manifest, artifacts)
    return manifest


def _commit(manifest: Manifest, artifacts: Artifacts) -> None:
    artifacts.commit(manifest.stage)
    for name, record in manifest.outputs.items():
        artifacts.digests.remember(artifacts.folder(manifest.stage) / name, record.sha256)


def _call(stage: Stage, job: Job, status: StageStatus) -> Outcome:
    try:
        return stage.run(job)
    except Interrupted as error:
        if status.fresh:  # it was forced: the next run, unless forced too, has nothing to do
            error.reached = None
        raise


def _check_inputs(bound: BoundStage, published: dict[str, str], outcome: Outcome) -> None:
    """Refuse a result that was not made from the published bytes: the planner trusts size and time."""
    for kind, digests in outcome.inputs.items():
        for (source, file), received in zip(bound.inputs[kind], digests, strict=True):
            expected = published[f"{source}/{file}"]
            if received != expected:
                raise InputError(
                    f"{source}/{file} was changed after '{source}' published it\n"
                    f"expected SHA-256 {expected[:12]}…; '{bound.name}' read {received[:12]}…",
                    hint=f"run 'mnist {source} --force'; 'mnist verify' checks all other files",
                )


def _record(job: Job, name: str, outcome: Outcome) -> OutputRecord:
    """Describe one output: the new file, or the published one if the stage found it correct and kept it."""
    path = job.new / name
    if not path.exists():
        path = job.current / name
    digest = outcome.digests.get(name) or content_digest(path)
    return OutputRecord(sha256=digest, bytes=path.stat().st_size)


def _digests(manifest: Manifest) -> dict[str, str]:
    return {name: record.sha256 for name, record in manifest.outputs.items()}


def _published(status: StageStatus, file: str) -> str:
    assert status.manifest is not None, "an input's stage is fresh, so it has a manifest"
    return status.manifest.outputs[file].sha256
