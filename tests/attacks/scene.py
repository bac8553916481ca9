"""Two tiny runs, the old one and the new one, and the judge of what an attack left behind.

Every attack begins with a folder in which the old run is published. The attacked command is on its way to the new one,
which has another data set and other parameters, so that every output differs.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mnist_cli.errors import FormatError
from mnist_cli.files import TEMPORARY_PREFIX, sha256_of
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.stages import PIPELINE
from tests.support.data import write_tiny_dataset
from tests.support.warm import Process, Warm

COMMANDS = ("fetch", "preprocess", "features", "train", "eval", "run")

Outputs = dict[str, dict[str, str]]  # stage → file → SHA-256 of its bytes

_PARAMETERS = """\
dataset: {name}
fetch: {{mirrors: ["{mirror}"]}}
preprocess: {{validation_size: {size}}}
features: {{map: grad8, copies: {copies}}}
train: {{steps: {steps}, validate_every: 10, checkpoint_every: 10, keep_checkpoints: 1}}
eval: {{split: {split}}}
"""


@dataclass
class Figures:
    """What an attack came to.

    Attributes:
        attack: its name.
        command: the attacked command.
        attempts: how often it was tried.
        hits: how often it struck before the command ended.
        refused: how often the command ended with an error in words.
        violations: what should not have been, one sentence each.
    """

    attack: str
    command: str
    attempts: int = 0
    hits: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)


class Scene:
    """The folders of the attacks.

    Args:
        base: an empty folder for everything.
        server: where commands come from; it knows the data sets `old` and `new` in `base`.
    """

    def __init__(self, base: Path, server: Warm) -> None:
        self.warm = server
        self._base = base
        for name, size, copies, steps, split in (("old", 10, 0, 10, "validation"), ("new", 12, 1, 20, "test")):
            mirror = base / "data" / name
            folder = base / name
            folder.mkdir()
            text = _PARAMETERS.format(name=name, mirror=mirror, size=size, copies=copies, steps=steps, split=split)
            (folder / "pipeline.yaml").write_text(text, encoding="utf-8")
            self._finish(self.command(folder, "run"))
        self.old, self.new = (published(base / name / "artifacts") for name in ("old", "new"))
        assert all(self.old[stage] != self.new[stage] for stage in PIPELINE.stages)

    def command(self, folder: Path, name: str, *more: str) -> Process:
        """Run a command in a folder to its end."""
        return self.warm.run(*arguments(folder, name), *more, folder=folder)

    def before(self, command: str) -> Path:
        """Give the folder, made at the first call, in which everything is ready for a command to be attacked."""
        start = self._base / f"before-{command}"
        if not start.exists():
            shutil.copytree(self._base / "old", start)
            shutil.copy(self._base / "new" / "pipeline.yaml", start)
            earlier = [name for name in PIPELINE.stages if name != command]
            if command in PIPELINE.stages:
                for name in earlier[: list(PIPELINE.stages).index(command)]:
                    self._finish(self.command(start, name))
        return start

    @contextlib.contextmanager
    def copy(self, command: str) -> Iterator[Path]:
        """Give a copy of `before(command)` to attack."""
        folder = self._base / "attacked"
        shutil.copytree(self.before(command), folder, symlinks=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def copy_of_both(self) -> Iterator[Path]:
        """Give a copy of a folder with both runs, the new one published on the data of both."""
        start = self._base / "both"
        if not start.exists():
            shutil.copytree(self._base / "new", start)
            self._finish(self.warm.run(*arguments(start, "train"), "--steps", "10", folder=start))
            self._finish(self.command(start, "run"))
        folder = self._base / "attacked"
        shutil.copytree(start, folder, symlinks=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def empty(self) -> Iterator[Path]:
        """Give an empty folder in the place of a copy."""
        folder = self._base / "attacked"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def judge(self, folder: Path) -> list[str]:
        """Return what of the published files is neither the old one nor the new one."""
        found = published(folder / "artifacts")
        wrong = [
            f"{stage}/{name} is neither the old nor the new one"
            for stage, files in found.items()
            for name, digest in files.items()
            if digest not in (self.old[stage].get(name), self.new[stage].get(name))
        ]
        wrong += [
            f"{stage}/{name} is lost"
            for stage in PIPELINE.stages
            for name in self.old[stage]
            if name not in found[stage]
        ]
        for stage in PIPELINE.stages:
            try:
                Artifacts(folder / "artifacts", PIPELINE).manifest(stage)
            except FormatError as error:
                wrong.append(f"manifest of {stage}: {error.message}")
        return wrong

    def recover(self, folder: Path, *more: str) -> list[str]:
        """Run `mnist run`, as somebody would after an attack, and return what is not as the undisturbed run's."""
        done = self.command(folder, "run", *more)
        if done.code != 0:
            return [f"the next run ended with {done.code}: {done.err}"]
        stages = [
            name
            for name in PIPELINE.stages
            if not more or list(PIPELINE.stages).index(name) <= list(PIPELINE.stages).index(more[-1])
        ]
        found = published(folder / "artifacts")
        wrong = [f"{stage} differs from the undisturbed run's" for stage in stages if found[stage] != self.new[stage]]
        wrong += [f"{path} was left" for path in leftovers(folder / "artifacts")]
        if "damaged" in done.err:
            wrong.append(f"a checkpoint was damaged: {done.err}")
        return wrong

    def _finish(self, done: Process) -> None:
        assert done.code == 0, done.err


def scene(base: Path, warm: Warm) -> Scene:
    """Make the folders of the attacks in an empty one."""
    for seed, name in enumerate(("old", "new")):
        write_tiny_dataset(base / "data" / name, seed=seed)
        warm.register(name, base / "data" / name)
    # Several blocks of features even of so few images, and each of them is saved.
    warm.change("mnist_cli.maps.feature_map", "BLOCK", 20)
    warm.change("mnist_cli.stages.features", "_SAVE_SECONDS", 0.0)
    return Scene(base, warm)


def arguments(folder: Path, name: str) -> tuple[str, ...]:
    """Return what to type for a command; absolute, so that a trace shows the whole paths."""
    return (name, "--artifacts", str(folder / "artifacts"))


def published(artifacts: Path) -> Outputs:
    """Return the digests of all published outputs; manifests hold times and are judged by their own digest."""
    return {
        name: {file: sha256_of(path) for file in stage.outputs if (path := artifacts / name / file).is_file()}
        for name, stage in PIPELINE.stages.items()
    }


def leftovers(artifacts: Path) -> list[str]:
    """Return what only a run that is at work may have in the artifacts folder."""
    names = {".new", ".lock-holder.json"}
    return [
        str(path.relative_to(artifacts))
        for path in sorted(artifacts.rglob("*"))
        if path.name in names or path.name.startswith(TEMPORARY_PREFIX) or path.parent.name == "partial"
    ]
