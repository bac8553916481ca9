"""Removes files that can be made again and that nothing needs: outputs already used, and leftovers of finished work.

The stages declare which files these are. Nothing is removed through a link, nor any file whose name is not ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files
from mnist_cli.config.declarations import Config
from mnist_cli.errors import MnistError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.plan import StageStatus, State, examine_all
from mnist_cli.runs.names import are_done
from mnist_cli.stages.stage import Stage

OUTPUTS = "outputs"


@dataclass(frozen=True)
class Removable:
    """Files of one stage and of one kind that can be removed.

    Attributes:
        stage: its name.
        kind: OUTPUTS, or the name of its scratch folder.
        paths: the files and folders.
        bytes: their total size.
    """

    stage: str
    kind: str
    paths: tuple[Path, ...]
    bytes: int


def removable(config: Config, artifacts: Artifacts) -> list[Removable]:
    """Return what `clean` would remove; stages that are not up to date keep their files and their inputs.

    Raises:
        InputError: the folder of a stage is a link.
        MnistError: an input of the user's own cannot be read.
        OSError: a file cannot be examined.
    """
    statuses = examine_all(config, artifacts)
    found = []
    for name, stage in artifacts.pipeline.stages.items():
        folder = artifacts.folder(name)
        kinds = {
            OUTPUTS: _outputs(stage, config, artifacts, statuses),
            stage.scratch: _scratch(stage, config, artifacts, statuses.get(name)),
        }
        for kind, paths in kinds.items():
            kept = tuple(path for path in paths if not path.is_symlink())
            if kept:
                files.refuse_links(folder, artifacts.root)
                found.append(Removable(name, kind, kept, sum(map(_size, kept))))
    return found


def clean(config: Config, artifacts: Artifacts, command: str = "mnist clean", wait: float = 0) -> list[Removable]:
    """Remove files that can be made again and that nothing needs; return what was removed.

    Every file is read again first, since the files that are kept must not be damaged.

    Raises:
        Locked: another run is in progress in the folder.
        InputError: the folder of a stage is a link.
        OSError: something cannot be removed.
    """
    with locked(artifacts.root, command, wait):
        artifacts.digests.forget()
        found = removable(config, artifacts)
        for one in found:
            for path in one.paths:
                files.remove_atomically(path, artifacts.root)
        artifacts.digests.save()
    return found


def _outputs(stage: Stage, config: Config, artifacts: Artifacts, statuses: dict[str, StageStatus]) -> list[Path]:
    """Return a stage's spare outputs if all its readers are up to date, or if nothing was made from the outputs."""
    folder = artifacts.folder(stage.name)
    there = [folder / name for name in stage.outputs if name in stage.spare and (folder / name).is_file()]
    if not there:
        return []
    if stage.name not in statuses:
        return [] if _is_read(stage, artifacts) else [path for path in there if _is_published(path, stage, artifacts)]
    bound = artifacts.pipeline.bind(config)
    readers = [name for name, reader in bound.items() if stage.name in reader.sources]
    is_done = statuses[stage.name].fresh and readers and all(statuses[name].fresh for name in readers)
    return there if is_done else []


def _is_read(stage: Stage, artifacts: Artifacts) -> bool:
    """Tell whether anything published was made from a stage's outputs; assume so if a manifest cannot be read."""
    for name in artifacts.pipeline.stages:
        try:
            manifest = artifacts.manifest(name)
        except (MnistError, OSError):
            return True
        if manifest and any(read.startswith(f"{stage.name}/") for read in manifest.inputs):
            return True
    return False


def _is_published(path: Path, stage: Stage, artifacts: Artifacts) -> bool:
    """Tell whether a file of an inactive stage is the one that the stage published."""
    try:
        manifest: Manifest | None = artifacts.manifest(stage.name)
        return manifest is not None and artifacts.digests.digest(path) == manifest.outputs[path.name].sha256
    except (MnistError, OSError, KeyError):
        return False


def _scratch(stage: Stage, config: Config, artifacts: Artifacts, status: StageStatus | None) -> list[Path]:
    """Return what is no longer needed in a stage's scratch folder: courses that became a run, and spent files."""
    scratch = artifacts.folder(stage.name) / stage.scratch
    if scratch.is_symlink():
        return []
    places = stage.resumable(scratch, config) if stage.resumable else []
    done = are_done(artifacts.root, [(place.step, place.decisive) for place in places])
    ended = [place.folder for place, is_done in zip(places, done, strict=True) if is_done]
    is_up_to_date = status is not None and status.state in (State.FRESH, State.UNNEEDED)
    return [*ended, *(stage.spent(scratch) if is_up_to_date else ())]


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in _files(path))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)
