"""The declaration of a stage, and the pipeline: stages in a row, each reading what an earlier one wrote.

Inputs are named by their kind, not by the stage that writes them: a stage that reads a store reads that of the last
active stage before it that writes one. So a new stage in between needs no change to the others.
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

# The kinds of files.
IDX, STORE, MODEL, HISTORY, EVALUATION = "idx", "store", "model", "history", "evaluation"


@dataclass(frozen=True, eq=False, repr=False)
class Job:
    """One call of a stage.

    Attributes:
        config: the whole configuration; a stage takes its own part.
        inputs: kind → the files of that kind that the stage reads, in the order of their declaration.
        new: the empty folder for the outputs.
        current: the folder of the outputs published before.
        scratch: a folder of the stage that outlives failures, for unfinished downloads or checkpoints.
        mirrors: addresses and folders from the command line and the environment, tried before the configured ones.
        resume: whether training may, must or must not resume from a checkpoint.
        reuse: whether files published before may be kept if they are found correct.
        progress: progress callback.
        published: file → content digest of what was published before; empty if that is unknown.
        cache: the folder of downloads that projects share, or None.
        offline: use no mirror on the web.
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
    """What a stage returns.

    Attributes:
        metrics: what it counted and measured, for the manifest.
        runtime: the facts about this run that can move the bits, such as TensorFlow's version.
        digests: output file → content digest, for outputs whose digest the stage already knows.
        inputs: kind → content digests of the files that were read, in the order of `Job.inputs`.
    """

    metrics: dict[str, Any]
    runtime: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resumable:
    """A point from which an interrupted stage can resume.

    Attributes:
        folder: the folder of this course in the scratch folder.
        step: the step that was reached.
        decisive: the parameters that decide the course.
        words: those of them that differ from the configuration, as one would type them.
    """

    folder: Path
    step: int
    decisive: dict[str, Any]
    words: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Stage:
    """The declaration of a stage.

    Attributes:
        settings: the class of its settings; the name of that section is the stage's name, folder and command.
        version: bumped when the same parameters and inputs give other outputs.
        inputs: the kinds of the files that it reads.
        outputs: file that it writes → its kind.
        run: does the work; heavy imports belong inside.
        help: the help of its command: a line, a paragraph and an example.
        summary: returns its metrics as a line of text.
        general: general parameters that its command has options for.
        takes: options of its command that are not parameters: "mirror", "offline", "resume", "workers", "run".
        scratch: name of the folder that `Job.scratch` points to.
        runtime: what `Outcome.runtime` would be now; None for a value that is unknown before the stage runs.
        is_active: whether it has anything to do; if not, it has no folder, no manifest and no line of output.
        left_over: describes what an interrupted run left in the scratch folder to resume from, or returns None.
        resumable: the points from which it can resume, newest first.
        conclusion: makes the last sentence of a run from the metrics, or is None.
        gate: raises GateFailed if the metrics miss a bound in the settings.
        is_shared: whether several processes share its work.
        alone: values with which it needs no other process; they do not count.
        is_chief: whether this process is the one that publishes.
        dismiss: ends the other processes if there is nothing to do.
        spare: outputs that can be made again, and that nothing needs once the stages that read them are up to date.
        spent: files in the scratch folder that are not needed once the stage is up to date.
        in_sweep: values to use in a sweep, which keeps only the record of each point.
        not_in_sweep: the reasons why a configuration cannot be swept, one text each.
        slow_import: begins slow imports in the background, while a stage before it runs.
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
        """Return a stage's metrics as a line of text; empty if they are those of another version."""
        try:
            return self.stages[stage].summary(metrics)
        except (KeyError, TypeError, ValueError):
            return ""

    def maker(self, kind: str) -> Stage:
        """Return the first stage that writes files of a kind; for stores, the one with the images themselves."""
        return next(stage for stage in self.stages.values() if kind in stage.outputs.values())

    def file(self, kind: str) -> str:
        """Return the name of the one file of a kind that `maker` writes."""
        return next(name for name, its_kind in self.maker(kind).outputs.items() if its_kind == kind)


def upstream(bound: Mapping[str, BoundStage], names: Iterable[str]) -> list[str]:
    """Return the stages that `names` read from, directly or not, without `names`, in pipeline order."""
    named = set(names)
    wanted = set(named)
    for name in reversed(list(bound)):
        if name in wanted:
            wanted |= set(bound[name].sources)
    return [name for name in bound if name in wanted - named]
