"""Shell completion: stages, configuration keys, and the values that a key may have.

Typer calls these functions (`mnist --install-completion` sets up the shell). They run at every TAB, so they import as
little as possible, and they print no errors into the user's command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mnist_cli.stages.stage import Pipeline


def config_keys(pipeline: Pipeline, incomplete: str) -> list[tuple[str, str]]:
    """Return the configuration keys that begin with `incomplete`, each with its meaning."""
    declared = pipeline.declarations.keys
    return [(path, key.meaning) for path, key in declared.items() if path.startswith(incomplete)]


def run_names(incomplete: str) -> list[str]:
    """Return the ids of kept runs, and latest, previous and published, that begin with `incomplete`."""
    from pathlib import Path

    from mnist_cli.cli.project import ARTIFACTS, find_project
    from mnist_cli.runs.names import LATEST, PREVIOUS, PUBLISHED, run_ids

    # Options are not read during completion, so --artifacts has no effect here.
    root = Path(os.environ.get("MNIST_ARTIFACTS") or find_project().folder / ARTIFACTS)
    return beginning(incomplete, (LATEST, PREVIOUS, PUBLISHED, *run_ids(root)))


def beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin with `incomplete`."""
    return [name for name in names if name.startswith(incomplete)]
