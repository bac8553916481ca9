"""Find the project of a command: the current folder or, as git does, a folder above it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mnist_cli import system

CONFIGURATION = "pipeline.yaml"
ARTIFACTS = "artifacts"
_USED = ".digests.json"  # lies in every artifacts folder that a run has used


@dataclass(frozen=True)
class Project:
    """The place of a project.

    Attributes:
        folder: relative to the current folder; empty if it is the current folder.
        foreign: a pipeline.yaml above that is not used because it belongs to another user; or None.
    """

    folder: Path
    foreign: Path | None = None

    @property
    def configuration(self) -> Path | None:
        """Its pipeline.yaml, if it has one."""
        path = self.folder / CONFIGURATION
        return path if path.is_file() else None


def find_project() -> Project:
    """Return the project of the current folder.

    That is the current folder if it has a pipeline.yaml or the artifacts of an earlier run, else the nearest folder
    above with a pipeline.yaml. Another user's file is not read: whoever can write to a folder above, such as /tmp,
    would otherwise decide what runs here.
    """
    here = Path()
    if (here / CONFIGURATION).exists() or (here / ARTIFACTS / _USED).exists():
        return Project(here)
    above = here
    for _ in Path.cwd().parents:
        above = above / ".."
        path = above / CONFIGURATION
        if path.is_file():
            return Project(above) if _is_own(above) and _is_own(path) else Project(here, path)
    return Project(here)


def _is_own(path: Path) -> bool:
    return system.is_mine(path)
