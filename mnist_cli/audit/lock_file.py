"""pipeline.lock: a file to commit that pins the outputs of every stage of a pipeline, to the bit.

    schema: "mnist-lock/2"
    dataset: "mnist"
    accuracy: 0.9157
    overrides: {…}         what the command line set
    stages:
      fetch:
        key: "…"           as in the manifest, over everything that decides the outputs
        version: 1
        parameters: {…}    one per line, so that a difference can be reported by name
        runtime: {…}
        inputs: {…}        `stage/file` → content digest
        outputs: {…}       file → content digest
    exports: {…}           `TARGET/FILE` → digest; only if there are exports to web or c
    sha256: "…"            of everything else, so that edits by hand are noticed

It holds no times, paths or machine names, so equal artifacts give equal bytes. `run --frozen` compares twice. Before
any work it compares what is already known: versions, parameters, runtime. After a stage has run, and before its files
are published, it compares the whole manifest; files that differ from the lock never replace the published ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.config.kinds import shown
from mnist_cli.config.loading import DEFAULT_FILE
from mnist_cli.config.yaml_document import SIZE_LIMIT, Document, Place, read_yaml
from mnist_cli.differences import Reason, differences
from mnist_cli.errors import ConfigError, NotAsLocked
from mnist_cli.pipeline.manifest import Digest, Manifest, stage_key
from mnist_cli.pipeline.overrides import counted_overrides
from mnist_cli.pipeline.request import Request
from mnist_cli.pipeline.sealed import Sealed
from mnist_cli.stages.stage import EVALUATION, Pipeline, upstream
from mnist_cli.text import printable

Schema = Literal["mnist-lock/2"]
SCHEMA: Schema = "mnist-lock/2"

_HEADER = """\
# What this pipeline gives, to the bit. 'mnist run --frozen' refuses anything else.
# Written by 'mnist lock'; commit it, and do not edit it: the last line is the digest of the others.
"""
_AGAIN = "run 'mnist lock' to write it again from up-to-date artifacts, or restore it from version control"
_MEANT = "if the change is intended, run 'mnist run', then 'mnist lock'"

Differences = dict[str, tuple[Reason, ...]]


class LockedStage(BaseModel):
    """The parameters, inputs and outputs of one stage, as in `Manifest`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: Digest
    version: int
    parameters: dict[str, Any]
    inputs: dict[str, Digest]
    runtime: dict[str, Any]
    outputs: dict[str, Digest]


class LockFile(Sealed):
    """The content of a lock file.

    Attributes:
        dataset: name of the data set.
        overrides: command-line overrides; `run --frozen` applies them again.
        accuracy: the accuracy of the evaluation, for people who read a diff.
        stages: name → stage, in pipeline order.
        exports: `TARGET/FILE` → SHA-256 of exports whose bytes are the same on every machine; empty if there are none.
    """

    schema_: Annotated[Schema, Field(alias="schema")] = SCHEMA
    dataset: str
    accuracy: float | None
    overrides: dict[str, Any]
    stages: dict[str, LockedStage]
    exports: dict[str, Digest] = Field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return everything but the digest; leave out `exports` if empty, as in locks from before there were any."""
        content = super().content()
        return content if content["exports"] else {name: content[name] for name in content if name != "exports"}

    def render(self) -> bytes:
        """Return the file's bytes."""
        return (_HEADER + "".join(f"{line}\n" for line in _lines(self.document(), ""))).encode()

    def before(self, config: Config, pipeline: Pipeline) -> Differences:
        """Return, by stage, where the versions, parameters or runtime of a run would differ from the lock."""
        active = {name: bound.stage for name, bound in pipeline.bind(config).items()}
        missing = {name: iter([Reason("the stage is not in the lock file")]) for name in active.keys() - self.stages}
        gone = {name: iter([Reason("the stage would not be run")]) for name in self.stages.keys() - active}
        compared = {
            name: _compared(
                self.stages[name],
                stage.version,
                stage.parameters(config),
                {fact: value for fact, value in stage.runtime(config).items() if value is not None},
            )
            for name, stage in active.items()
            if name in self.stages
        }
        return _by_stage({**missing, **compared, **gone})

    def after(self, manifests: Mapping[str, Manifest]) -> Differences:
        """Return, by stage, where manifests differ from the lock; stages without a manifest are left out."""
        return _by_stage({name: self._recorded(manifest) for name, manifest in manifests.items()})

    def _recorded(self, manifest: Manifest) -> Iterator[Reason]:
        stage = self.stages[manifest.stage]
        runtime = {**dict.fromkeys(stage.runtime), **manifest.runtime}
        yield from _compared(stage, manifest.version, manifest.parameters, runtime)
        outputs = {name: record.sha256 for name, record in manifest.outputs.items()}
        yield from differences(stage.outputs, outputs)
        if any(self.digest(name) != digest for name, digest in manifest.inputs.items()):
            yield Reason("its inputs differ from the lock file")
        accuracy = manifest.metrics.get("accuracy")
        if accuracy is not None and accuracy != self.accuracy:
            yield Reason("accuracy", self.accuracy, accuracy)

    def digest(self, name: str) -> str | None:
        """Return the locked content digest of an output, such as `train/model.h5`; None if it is not in the lock."""
        source, _, file = name.partition("/")
        return self.stages[source].outputs.get(file) if source in self.stages else None


def lock_path(config_file: Path | None) -> Path:
    """Return the path of a configuration's lock, which is beside it, as pipeline.lock is beside pipeline.yaml."""
    return (config_file or DEFAULT_FILE).with_suffix(".lock")


def lock_of(
    manifests: Mapping[str, Manifest],
    pipeline: Pipeline,
    overrides: Mapping[str, Any],
    exports: Mapping[str, str] | None = None,
) -> LockFile:
    """Return the lock for the manifests of all active stages.

    Args:
        manifests: stage → manifest, in pipeline order.
        pipeline: the stages.
        overrides: command-line overrides; those that cannot change outputs are left out.
        exports: `TARGET/FILE` → SHA-256 of the exports to lock.
    """
    stages = {
        name: LockedStage(
            key=manifest.key,
            version=manifest.version,
            parameters=manifest.parameters,
            inputs=manifest.inputs,
            runtime=manifest.runtime,
            outputs={file: record.sha256 for file, record in manifest.outputs.items()},
        )
        for name, manifest in manifests.items()
    }
    accuracy = manifests[pipeline.maker(EVALUATION).name].metrics.get("accuracy")
    dataset = next(found.parameters["dataset"] for found in manifests.values() if "dataset" in found.parameters)
    counting = counted_overrides(pipeline.declarations, overrides)
    portable = {path: value for path, value in counting.items() if not _names_a_place(value)}
    return LockFile(dataset=dataset, accuracy=accuracy, overrides=portable, stages=stages, exports=dict(exports or {}))


def _names_a_place(value: Any) -> bool:
    """Tell whether a value holds a path of this machine, such as a data set's folder, which each user has to type."""
    if isinstance(value, Mapping | list | tuple):
        return any(map(_names_a_place, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and value.startswith(("/", "~"))


def write_lock(path: Path, lock: LockFile) -> bool:
    """Write the lock if the file differs; return whether it was written.

    Raises:
        OSError: the file cannot be written.
    """
    content = lock.render()
    if path.is_file() and path.read_bytes() == content:
        return False
    files.write_bytes(path, content)
    return True


def read_lock(path: Path, pipeline: Pipeline) -> LockFile:
    """Read and check a lock.

    Raises:
        ConfigError: the file is missing, has another version, or was edited; the message has the line.
    """
    name = printable(path)
    try:
        with files.open_regular(path) as file:
            text = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise ConfigError([f"{name}: there is no such file"], hint="run 'mnist lock' to write it") from None
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from None
    document = read_yaml(text)
    problems = document.problems or list(_problems(document, pipeline))
    if problems:
        raise ConfigError([f"{name}:{line}:{column}: {what}" for (line, column), what in problems], hint=_AGAIN)
    return LockFile.model_validate(document.content)


@dataclass(frozen=True)
class Promise:
    """A lock to compare a run with, and its file, for messages."""

    lock: LockFile
    path: Path
    pipeline: Pipeline

    def check_before(self, config: Config, stages: Collection[str]) -> None:
        """Compare what these stages would be run with to the lock; raises NotAsLocked."""
        found = self.lock.before(config, self.pipeline)
        active = self.pipeline.bind(config)
        held = {name: reasons for name, reasons in found.items() if name in stages or name not in active}
        self.refuse(held, "nothing was run")

    def held(self, request: Request) -> Request:
        """Return a request that fails unless its outputs match the lock; raises NotAsLocked if they clearly cannot."""
        bound = self.pipeline.bind(request.config)
        self.check_before(request.config, [*upstream(bound, request.stages[:1]), *request.stages])
        return replace(
            request,
            before_publish=self.check_new,
            before_use=lambda manifest: self.check_published({manifest.stage: manifest}),
        )

    def check_published(self, manifests: Mapping[str, Manifest]) -> None:
        """Compare what was published before to the lock; raises NotAsLocked."""
        self.refuse(self.lock.after(manifests), "the published files stay as they are")

    def check_new(self, manifest: Manifest) -> None:
        """Compare what a stage has just made to the lock, before it is published; raises NotAsLocked."""
        self.refuse(self.lock.after({manifest.stage: manifest}), "the stage's files were not published")

    def check_exports(self, exports: Mapping[str, str]) -> None:
        """Compare exports, `TARGET/FILE` → SHA-256, to the lock; raises NotAsLocked."""
        known = {name: digest for name, digest in self.lock.exports.items() if name in exports}
        found = tuple(differences(known, {name: exports[name] for name in known}))
        self.refuse({"export": found} if found else {}, "the published files stay as they are")

    def refuse(self, found: Differences, what: str) -> None:
        """Report each stage that differs from the lock, and how; do nothing if `found` is empty.

        Args:
            found: differences by stage.
            what: what was done about it, for the message.

        Raises:
            NotAsLocked: a stage differs from the lock.
        """
        if not found:
            return
        lines = [f"{stage}: {'; '.join(map(str, reasons))}" for stage, reasons in found.items()]
        documents = [
            {"stage": stage, "what": one.what, "old": one.old, "new": one.new, "text": one.text}
            for stage, reasons in found.items()
            for one in reasons
        ]
        head = f"differs from {printable(self.path)}; {what}"
        raise NotAsLocked("\n".join([head, *lines]), differences=documents, hint=_MEANT)


def _compared(
    stage: LockedStage, version: int, parameters: Mapping[str, Any], runtime: Mapping[str, Any]
) -> Iterator[Reason]:
    if stage.version != version:
        yield Reason("the stage's version", stage.version, version)
    yield from differences(stage.parameters, parameters)
    # A value that is unknown before the stage has run is compared afterwards.
    yield from differences({name: stage.runtime.get(name) for name in runtime}, runtime, "runtime ")


def _by_stage(found: Mapping[str, Iterator[Reason]]) -> Differences:
    listed = {name: tuple(reasons) for name, reasons in found.items()}
    return {name: reasons for name, reasons in listed.items() if reasons}


def _problems(document: Document, pipeline: Pipeline) -> Iterator[tuple[Place, str]]:
    """Yield the mistakes in a lock that is valid YAML, each with its line and column."""
    content = document.content
    if not isinstance(content, dict):
        yield (1, 1), f"expected a lock ({SCHEMA}); received {shown(content)}"
        return
    if content.get("schema") != SCHEMA:
        yield (
            document.place(("schema",), of_key=True),
            f"schema: expected '{SCHEMA}'; received {shown(content.get('schema'))}",
        )
        return
    try:
        lock = LockFile.model_validate(content)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
            dotted = printable(".".join(map(str, detail["loc"])))
            yield document.place(detail["loc"], of_key=True), f"{dotted}: {printable(detail['msg'])}"
        return
    for name, locked in lock.stages.items():
        if name not in pipeline.stages:
            expected = ", ".join(pipeline.stages)
            yield document.place(("stages", name), of_key=True), f"expected {expected}; received another stage"
            return
        if set(locked.outputs) != set(pipeline.stages[name].outputs):
            yield (
                document.place(("stages", name, "outputs"), of_key=True),
                f"expected the stage {name} with its outputs",
            )
            return
    yield from _edits(document, lock)


def _edits(document: Document, lock: LockFile) -> Iterator[tuple[Place, str]]:
    """Find edits by hand: a stage's key reveals those in the stage, the digest at the end all others."""
    for name, stage in lock.stages.items():
        key = stage_key(name, stage.version, stage.parameters, stage.inputs, stage.runtime)
        if any(lock.digest(read) != digest for read, digest in stage.inputs.items()):
            place = document.place(("stages", name, "inputs"), of_key=True)
            yield place, f"{name} was edited: its inputs are not the outputs of the stages before it"
            return
        if key != stage.key:
            yield (
                document.place(("stages", name), of_key=True),
                f"{name} was edited: expected key {key[:12]}… for this content; received {stage.key[:12]}…",
            )
            return
    content = {name: value for name, value in document.content.items() if name != "sha256"}
    if (digest := files.document_digest(content)) != lock.sha256:
        what = f"the file was edited: expected digest {digest[:12]}…; received {printable(lock.sha256[:12])}…"
        yield document.place(("sha256",), of_key=True), what


def _lines(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {json.dumps(value)}"  # JSON is YAML too
