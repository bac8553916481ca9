"""The order of publishing, from a trace: fsync of the file, then its rename, then fsync of its folder."""

from __future__ import annotations

from pathlib import Path

from mnist_cli.files import TEMPORARY_PREFIX
from tests.attacks.operations import undisturbed
from tests.attacks.scene import Figures, Scene
from tests.attacks.tracing import Call

_WRITES = {"write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "sendfile", "copy_file_range"}
_RENAMES = {"rename", "renameat", "renameat2"}
_SYNCS = {"fsync", "fdatasync"}


def check_order(scene: Scene, command: str) -> Figures:
    """Trace a command and look at each rename to a place where others read."""
    figures = Figures("fsync, rename, fsync in this order", command)
    calls, artifacts = undisturbed(scene, command)
    figures.attempts, figures.violations = disorder(calls, artifacts)
    return figures


def disorder(calls: list[Call], artifacts: Path) -> tuple[int, list[str]]:
    """Return how many files and checkpoints were published, and what was out of order.

    Nothing that is renamed may hold bytes that were written and not synced since. After a rename to a published place
    its folder must be synced, before anything is published in another folder and before the end.
    """
    published, wrong = 0, []
    unsynced: set[str] = set()  # files with bytes that a power cut would take
    renamed: dict[str, str] = {}  # folder that is to be synced → what was renamed in it last
    for call in calls:
        paths = call.paths()
        if call.name in _WRITES:
            unsynced.add(paths[0])
        elif call.name in ("unlink", "unlinkat"):
            unsynced -= set(paths)
        elif call.name in _SYNCS:
            unsynced.discard(paths[0])
            renamed.pop(paths[0], None)
        elif call.name in _RENAMES and " = -1 " not in call.text:
            source, target = [path for path in paths if path.startswith("/")][-2:]
            moved = {path for path in unsynced if path == source or path.startswith(f"{source}/")}
            unsynced = (unsynced - moved) | {target + path[len(source) :] for path in moved}
            if is_hidden(target, artifacts):
                continue
            published += 1
            folder = str(Path(target).parent)
            wrong += [f"{target} was renamed before fsync of {Path(path).name}" for path in moved]
            # Several files in one folder share one fsync.
            wrong += [f"{path} was renamed, and no fsync of its folder" for at, path in renamed.items() if at != folder]
            renamed = {folder: target}
    wrong += [f"{path} was renamed, and no fsync of its folder" for path in renamed.values()]
    return published, wrong


def is_hidden(path: str, artifacts: Path) -> bool:
    """Whether nobody reads there before it is renamed once more."""
    parts = Path(path).relative_to(artifacts).parts
    return any(part.startswith(TEMPORARY_PREFIX) or part in (".new", "partial") for part in parts)
