"""What the runner does for the records of runs: as little as it can, as nothing depends on them."""

from __future__ import annotations

from collections.abc import Collection

from mnist_cli.errors import MnistError, in_one_line
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import Manifest
from mnist_cli.pipeline.plan import StageStatus
from mnist_cli.progress import Progress
from mnist_cli.runs.names import is_recorded
from mnist_cli.text import printable


def keep_record(artifacts: Artifacts, manifest: Manifest, keep: int, progress: Progress) -> None:
    """Keep a record of what was just published; where that fails it is published all the same, and a warning is given.

    Call it under the lock; arguments as `recording.record`.
    """
    from mnist_cli.runs import recording  # a run with nothing to do does not pay for it

    try:
        recording.record(artifacts, manifest, keep)
    except (MnistError, OSError) as error:
        progress.warn(f"no record of it is kept in artifacts/runs: {printable(in_one_line(error))}")


def without_record(artifacts: Artifacts, statuses: dict[str, StageStatus], stages: Collection[str]) -> list[Manifest]:
    """Return what is published and has no record: a run was killed, or another one's evaluation holds for it too.

    No file is read. A training that is not fresh is left to the run that replaces it.
    """
    train = statuses["train"].manifest
    published = [statuses[name].manifest for name in ("train", "eval") if name in stages and statuses[name].fresh]
    return [made for made in published if train and made and not is_recorded(artifacts.root, train, made)]
