"""Finds the kept run that a training would give again, so that nothing is trained twice.

The rule is the planner's: a run is the same where nothing of its training's manifest differs from what it would be
trained with now. Only a record that is whole counts; every byte of it is compared with its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.errors import MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import stage_key
from mnist_cli.pipeline.plan import StageStatus, changes
from mnist_cli.pipeline.request import Reusable
from mnist_cli.runs.names import run_id, run_ids
from mnist_cli.runs.runs import Run, read_run, read_runs
from mnist_cli.stages.stage import MODEL, BoundStage


def same_run(bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus], runs: Iterable[Run]) -> Run | None:
    """Return the newest of some runs that running a stage would give again; None where its inputs are not known.

    Args:
        bound: the stage that trains, with its inputs.
        config: what it would be run with.
        statuses: of every stage that it reads from.
        runs: the oldest first.
    """
    if not all(statuses[source].fresh for source in bound.sources):
        return None
    return next((run for run in reversed([*runs]) if not any(changes(bound, run.train, config, dict(statuses)))), None)


def find_same(
    bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus], artifacts: Artifacts
) -> Run | None:
    """Return the kept run that running a stage would give again, read and found whole; arguments as `same_run`."""
    trainer = artifacts.pipeline.maker(MODEL).name
    if bound.name != trainer or not all(statuses[source].fresh for source in bound.sources):
        return None
    key = _known_key(bound, config, statuses)
    if key is None:
        return same_run(bound, config, statuses, read_runs(artifacts)[0])
    if run_id(key) not in run_ids(artifacts.root):
        return None
    try:
        return same_run(bound, config, statuses, [read_run(artifacts, run_id(key))])
    except (MnistError, OSError):  # damaged: `mnist verify` tells it
        return None


def _known_key(bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus]) -> str | None:
    """Return the key that a stage's manifest would have; None where only running it tells what decides its bits."""
    stage, runtime = bound.stage, bound.stage.runtime(config)
    if None in runtime.values():
        return None
    inputs = {}
    for source, file in bound.files:
        manifest = statuses[source].manifest
        assert manifest is not None, "a fresh stage has a manifest"
        inputs[f"{source}/{file}"] = manifest.outputs[file].sha256
    return stage_key(stage.name, stage.version, stage.parameters(config), inputs, runtime)


def would_take(config: Config, artifacts: Artifacts, statuses: Mapping[str, StageStatus]) -> dict[str, str]:
    """Return stage → id of the run that it would be published from, where it is not up to date."""
    name = artifacts.pipeline.maker(MODEL).name
    bound = artifacts.pipeline.bind(config).get(name)
    if bound is None or statuses[name].fresh:
        return {}
    run = find_same(bound, config, statuses, artifacts)
    return {name: run.id} if run else {}


def reusable(run: Run) -> Reusable:
    """Return what a run gave, to be published again.

    Raises:
        OSError: a file of it cannot be read.
    """
    contents = {name: files.read_regular(run.folder / name) for name in run.train.outputs}
    # A manifest is sealed when it is written; this one goes into a file of its own.
    return Reusable(run.id, run.train.model_copy(update={"sha256": ""}), contents)
