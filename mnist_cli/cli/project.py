"""Which project a command is about: that of the current folder, or, as git looks for one, of a folder above it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mnist_cli import system

CONFIGURATION = "pipeline.yaml"
ARTIFACTS = "artifacts"
_USED = ".digests.json"  # in an artifacts folder that a run has used


@dataclass(frozen=True)
class Project:
    """Where a project is.

    Attributes:
        folder: relative to the current one, so empty where it is that.
        foreign: a pipeline.yaml above that is not used, as it belongs to another user, or None.
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

    The current folder is one where it has a pipeline.yaml, or artifacts of an earlier run. Otherwise it is that of the
    nearest pipeline.yaml above. One of another user's is not read, as whoever can write above, such as into /tmp, would
    else decide what is run here.
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
