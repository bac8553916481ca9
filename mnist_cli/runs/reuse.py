"""Finds the kept run that a training would give again, so that nothing is trained twice; and restores a kept run.

The rule is the planner's: a run is the same if nothing in its training's manifest differs from what it would be
trained with now. Only an undamaged record counts; every byte of it is compared with its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.config.kinds import Wrong
from mnist_cli.errors import InputError, MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import stage_key
from mnist_cli.pipeline.plan import StageStatus, changes, examine_all
from mnist_cli.pipeline.recorded import recorded_config
from mnist_cli.pipeline.request import Reusable
from mnist_cli.runs.names import run_id, run_ids
from mnist_cli.runs.runs import Run, read_run, read_runs
from mnist_cli.stages.stage import MODEL, BoundStage, Pipeline, upstream


def same_run(bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus], runs: Iterable[Run]) -> Run | None:
    """Return the newest of `runs` that running a stage would give again; None if the stage's inputs are not known.

    Args:
        bound: the stage that trains, with its inputs.
        config: the configuration that it would run with.
        statuses: the status of every stage that it reads from.
        runs: the runs to search, oldest first.
    """
    if not all(statuses[source].fresh for source in bound.sources):
        return None
    return next((run for run in reversed([*runs]) if not any(changes(bound, run.train, config, dict(statuses)))), None)


def find_same(
    bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus], artifacts: Artifacts
) -> Run | None:
    """Return the undamaged kept run that running a stage would give again; arguments as for `same_run`."""
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
    except (MnistError, OSError):  # damaged; `mnist verify` reports it
        return None


def _known_key(bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus]) -> str | None:
    """Return the key that a stage's manifest would have; None if part of its runtime is known only after it runs."""
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
    """Return stage → id of the run that it would be published from, if it is not up to date."""
    name = artifacts.pipeline.maker(MODEL).name
    bound = artifacts.pipeline.bind(config).get(name)
    if bound is None or statuses[name].fresh:
        return {}
    run = find_same(bound, config, statuses, artifacts)
    return {name: run.id} if run else {}


def reusable(run: Run) -> Reusable:
    """Return the outputs of a run, to be published again.

    Raises:
        OSError: a file of the run cannot be read.
    """
    contents = {name: files.read_regular(run.folder / name) for name in run.train.outputs}
    # Without its seal: the manifest is sealed again when it is written.
    return Reusable(run.id, run.train.model_copy(update={"sha256": ""}), contents)


def settings_of(run: Run, config: Config, pipeline: Pipeline) -> dict[str, Any]:
    """Return key → value of a run's settings that differ from a configuration.

    A user's own data set is recorded by its content and not by its place, so that setting stays as configured.
    """
    recorded = {path: value for path, value in run.parameters.items() if _is_valid(path, value, pipeline)}
    then = config
    for stage in pipeline.stages.values():
        then = recorded_config(stage, then, recorded)
        if stage is pipeline.maker(MODEL):
            break
    counted: dict[str, Any] = {}
    for stage in pipeline.stages.values():
        counted |= stage.parameters(config)
    now = config.values()
    # Defaults of the optimizer are recorded but need not be set.
    return {
        path: value
        for path, value in then.values().items()
        if value != now[path] and not (path in recorded and counted.get(path) == value)
    }


def _is_valid(path: str, value: Any, pipeline: Pipeline) -> bool:
    try:
        return path in pipeline.declarations.keys and pipeline.declarations.keys[path].kind.check(value) == value
    except Wrong:
        return False


def require_data(run: Run, config: Config, artifacts: Artifacts) -> None:
    """Refuse to restore a run whose training data are not there.

    Raises:
        InputError: a stage before the training is not up to date for the run's settings.
    """
    statuses = examine_all(config, artifacts)
    for name in upstream(artifacts.pipeline.bind(config), [artifacts.pipeline.maker(MODEL).name]):
        if not statuses[name].fresh:
            raise InputError(
                f"run {run.id} was trained on other data than the current ones: {name} is {statuses[name].state}: "
                f"{statuses[name].why()}",
                hint="run 'mnist run'; it makes the data and reuses the model of the run",
            )


def exactly(run: Run, bound: BoundStage, config: Config, statuses: Mapping[str, StageStatus]) -> Reusable:
    """Return the outputs of a run, to be published as up to date.

    Raises:
        InputError: training would not give it again; the message has the reasons.
        OSError: a file of the run cannot be read.
    """
    if reasons := [*changes(bound, run.train, config, dict(statuses))]:
        raise InputError(
            f"run {run.id} cannot be published as up to date: {'; '.join(map(str, reasons))}",
            hint=f"'mnist predict --run {run.id}' and other commands can use it without publishing it",
        )
    return reusable(run)
