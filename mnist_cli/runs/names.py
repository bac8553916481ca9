"""The names of runs and of their files: ids, which a shell can complete, and the words that stand for a run.

This module does not check records, so that completion and a run with nothing to do stay fast.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cli import files
from mnist_cli.errors import InputError, UsageError
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.pipeline.manifest import Manifest

FOLDER = "runs"
RUN_NAME = "run.json"
ID_DIGITS = 8
LATEST, PREVIOUS, PUBLISHED = "latest", "previous", "published"
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}\Z")


def run_ids(root: Path) -> list[str]:
    """Return the ids of the runs in the artifacts folder `root`, in alphabetical order, damaged ones included.

    If the folder cannot be read, return none.
    """
    try:
        return sorted(path.name for path in (root / FOLDER).iterdir() if _ID.match(path.name))
    except OSError:
        return []


def run_id(key: str) -> str:
    """Return the id of the run whose training has this key (64 hexadecimal digits).

    Two runs share an id with probability 2^-32; then the later one replaces the earlier one.
    """
    return key[:ID_DIGITS]


def evaluated_split(evaluation: Manifest) -> str:
    """Return the split that an evaluation was made on."""
    return str(evaluation.metrics.get("split"))


def evaluation_name(evaluation: Manifest) -> str:
    """Return the name of an evaluation's file in the record of its run."""
    return f"eval-{evaluated_split(evaluation)}.json"


def is_recorded(root: Path, train: Manifest, manifest: Manifest) -> bool:
    """Tell whether a published training, or an evaluation of it, has a record, without reading it."""
    folder = root / FOLDER / run_id(train.key)
    return (folder / (RUN_NAME if manifest.stage == train.stage else evaluation_name(manifest))).exists()


def are_done(root: Path, places: list[tuple[int, dict[str, Any]]]) -> list[bool]:
    """Tell, for each pair of last step and decisive parameters, whether a kept run ended there.

    Records are read without checking them, since nothing depends on the answer.
    """
    ends = []
    for name in run_ids(root) if places else ():
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            train = json.loads(files.read_regular(root / FOLDER / name / RUN_NAME))["train"]
            ends.append((train["metrics"]["steps"], train["parameters"]))
    return [
        any(
            steps == step and all(known.get(path) == value for path, value in decisive.items()) for steps, known in ends
        )
        for step, decisive in places
    ]


def find_id(name: str, root: Path, models: Mapping[str, str], published: str | None) -> str:
    """Return the id of the run that `name` stands for.

    Args:
        name: as typed: an id or a model's digest, the beginning of either, `latest`, `previous` or `published`.
        root: the artifacts folder.
        models: id → digest of the model, for the undamaged runs, oldest first.
        published: id of the training in artifacts/train, if there is one.

    Raises:
        UsageError: `name` is the beginning of several runs.
        InputError: there is no such run.
    """
    ids, oldest_first = run_ids(root), [*models]
    words = {
        LATEST: oldest_first[-1:],
        PREVIOUS: oldest_first[-2:-1],
        PUBLISHED: [one for one in ids if one == published],
    }
    found = words[name] if name in words else _named(name.lower(), ids, models)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{printable(name)}' is the beginning of several runs: {', '.join(found)}")
    hint = "run 'mnist runs list' to see the runs" if oldest_first else "run 'mnist run', which keeps a run"
    if name == PREVIOUS and len(oldest_first) == 1:
        raise InputError("there is only one run, and none before it", hint="train with another parameter first")
    raise InputError(f"{printable(root / FOLDER)}: there is no run '{printable(name)}'", hint=hint)


def _named(name: str, ids: list[str], models: Mapping[str, str]) -> list[str]:
    """Return the ids that begin with `name`; if there are none, those of the runs whose model's digest does."""
    found = [one for one in ids if name and one.startswith(name)]
    return found or [one for one, digest in models.items() if name and digest.startswith(name)]
