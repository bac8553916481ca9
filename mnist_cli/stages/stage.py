"""What a stage declares of itself, and a pipeline: stages in a row, each reading what an earlier one wrote.

Inputs are named by what they are, not by who writes them: a stage that reads a store reads that of the last active
stage before it that writes one. So a stage that is put in between needs no edit of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from mnist_cli.config.declarations import Config, Declarations, Section
from mnist_cli.progress import Progress

Resume = Literal["auto", "require", "never"]
SectionT = TypeVar("SectionT", bound=Section)

# What files are, whoever writes them.
IDX, STORE, MODEL, HISTORY, EVALUATION = "idx", "store", "model", "history", "evaluation"


@dataclass(frozen=True, eq=False, repr=False)
class Job:
    """One call of a stage.

    Attributes:
        config: the whole configuration; a stage takes its own part.
        inputs: kind → the files of that kind that it reads, in the order of their declaration.
        new: the empty folder that the outputs go into.
        current: the folder with the outputs published before.
        scratch: a folder of the stage's own that outlives failures: downloads in progress, checkpoints.
        mirrors: addresses and folders from the command line and the environment, before the configured ones.
        resume: whether training may, must or must not go on from a checkpoint.
        reuse: whether files published before may be kept, if they are found right.
        progress: progress callback.
        published: file → content digest of what was published before; empty where it is not known.
        cache: the folder of downloads that projects share, or None.
        offline: ask no mirror on the web.
    """

    config: Config
    inputs: Mapping[str, Sequence[Path]]
    new: Path
    current: Path
    scratch: Path
    mirrors: tuple[str, ...]
    resume: Resume
    reuse: bool
    progress: Progress
    published: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    offline: bool = False

    def input(self, kind: str) -> Path:
        """Return the one file of a kind."""
        (path,) = self.inputs[kind]
        return path


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a stage found out.

    Attributes:
        metrics: goes into the manifest.
        runtime: what can move the bits, as it was.
        digests: output file → content digest, where the stage knows it already.
        inputs: kind → content digests of what was read, in the order of `Job.inputs`.
    """

    metrics: dict[str, Any]
    runtime: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resumable:
    """From where an interrupted stage could go on.

    Attributes:
        folder: in the scratch folder, with all that is of this course.
        step: how far it came.
        decisive: the parameters that decided it.
        words: those of them that the configuration does not have, as one would type them.
    """

    folder: Path
    step: int
    decisive: dict[str, Any]
    words: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Stage:
    """The declaration of a stage.

    Attributes:
        settings: the class of its section's settings; its section is the stage's name, its folder and its command.
        version: bumped when the same parameters and inputs give other outputs.
        inputs: the kinds of the files that it reads.
        outputs: file that it writes → its kind.
        run: does the work; heavy imports belong inside.
        help: what its command does: a line, a paragraph and an example.
        summary: what its metrics say, in a line.
        general: general parameters that its command has options for.
        takes: options of its command that are no parameters: "mirror", "offline", "resume", "workers", "run".
        scratch: name of the folder that `Job.scratch` points to.
        runtime: what `Outcome.runtime` would be now; a value of None is not known before it runs.
        is_active: whether it has anything to do; if not, it has no folder, no manifest and no line.
        left_over: what an interrupted run left in the scratch folder to go on from, in words, or None.
        resumable: from where it could go on, the newest first.
        conclusion: the sentence that a run ends with, from the metrics, or None.
        gate: raises GateFailed where the metrics miss a bound that the settings demand.
        is_shared: whether several processes share its work.
        alone: values with which it needs no other process; they do not count.
        is_chief: whether this process is the one of them that publishes.
        dismiss: ends the other processes where there is nothing to do.
        spare: outputs that can be made again, and that nothing needs once the stages that read them are up to date.
        spent: what in the scratch folder is of no use once the stage is up to date.
        in_sweep: values that it is swept with, as nothing but the record of a point stays.
        not_in_sweep: why a configuration cannot be swept, one problem each.
        slow_import: begins to import in the background what the stage needs, where a stage before it has to run too.
    """

    settings: type[Section]
    version: int
    inputs: tuple[str, ...] = ()
    outputs: Mapping[str, str]
    run: Callable[[Job], Outcome]
    help: str
    summary: Callable[[Mapping[str, Any]], str]
    general: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    scratch: str = "partial"
    runtime: Callable[[Config], dict[str, Any]] = lambda _config: {}
    is_active: Callable[[Config], bool] = lambda _config: True
    left_over: Callable[[Path], str | None] | None = None
    resumable: Callable[[Path, Config], list[Resumable]] | None = None
    conclusion: Callable[[Mapping[str, Any]], str] | None = None
    gate: Callable[[Config, Mapping[str, Any]], None] | None = None
    is_shared: Callable[[Config], bool] = lambda _config: False
    alone: Mapping[str, Any] = field(default_factory=dict)
    is_chief: Callable[[], bool] = lambda: True
    dismiss: Callable[[], None] = lambda: None
    spare: frozenset[str] = frozenset()
    spent: Callable[[Path], Iterable[Path]] = lambda _scratch: ()
    in_sweep: Mapping[str, Any] = field(default_factory=dict)
    not_in_sweep: Callable[[Config], Iterable[str]] = lambda _config: ()
    slow_import: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.settings.section

    def parameters(self, config: Config) -> dict[str, Any]:
        """Return key → value of all parameters that can move its outputs."""
        return config.of(self.settings).counted(config)


@dataclass(frozen=True, eq=False, repr=False)
class BoundStage:
    """A stage in its place: which files of which stages it reads.

    Attributes:
        stage: its declaration.
        inputs: kind → (stage, file) of each file of that kind.
    """

    stage: Stage
    inputs: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def name(self) -> str:
        """Its name."""
        return self.stage.name

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """(stage, file) of everything that it reads."""
        return tuple(pair for pairs in self.inputs.values() for pair in pairs)

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages that it reads from directly."""
        return tuple(dict.fromkeys(source for source, _ in self.files))


class Pipeline:
    """Stages in the order in which they run.

    Attributes:
        stages: name → declaration.
        declarations: of all their parameters.
    """

    def __init__(self, general: type[Section], stages: Sequence[Stage]) -> None:
        self.stages = {stage.name: stage for stage in stages}
        self.declarations = Declarations(general, [stage.settings for stage in stages])

    def bind(self, config: Config) -> dict[str, BoundStage]:
        """Return the active stages by name, each bound to its inputs."""
        writers: dict[str, tuple[tuple[str, str], ...]] = {}
        bound = {}
        for name, stage in self.stages.items():
            if not stage.is_active(config):
                continue
            bound[name] = BoundStage(stage, {kind: writers[kind] for kind in stage.inputs})
            for kind in dict.fromkeys(stage.outputs.values()):
                writers[kind] = tuple((name, file) for file, its_kind in stage.outputs.items() if its_kind == kind)
        return bound

    def summary(self, stage: str, metrics: Mapping[str, Any]) -> str:
        """Return what a stage's metrics say, in a line; nothing where they are those of another version."""
        try:
            return self.stages[stage].summary(metrics)
        except (KeyError, TypeError, ValueError):
            return ""

    def maker(self, kind: str) -> Stage:
        """Return the first stage that writes files of a kind; of stores it is the one with the images themselves."""
        return next(stage for stage in self.stages.values() if kind in stage.outputs.values())

    def file(self, kind: str) -> str:
        """Return the name of the one file of a kind that its maker writes."""
        return next(name for name, its_kind in self.maker(kind).outputs.items() if its_kind == kind)


def upstream(bound: Mapping[str, BoundStage], names: Iterable[str]) -> list[str]:
    """Return the stages that `names` read from, directly or not, without themselves, in pipeline order."""
    named = set(names)
    wanted = set(named)
    for name in reversed(list(bound)):
        if name in wanted:
            wanted |= set(bound[name].sources)
    return [name for name in bound if name in wanted - named]
