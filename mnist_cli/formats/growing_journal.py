"""The journal of a growing store: how far it has come. Reading it imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mnist_cli import files

PART_NAME, JOURNAL_NAME = "store.part", "journal.json"


@dataclass(frozen=True)
class Journal:
    """The rows that are safe on the disk.

    Attributes:
        key: identifies everything that determines the bytes.
        arrays: name of an array, such as `/train/inputs` → number of rows written, and the SHA-256 of their bytes.
    """

    key: str
    arrays: dict[str, tuple[int, str]]

    @property
    def rows(self) -> int:
        """Number of rows of all splits together."""
        return sum(rows for name, (rows, _) in self.arrays.items() if name.endswith("/inputs"))


def read_journal(folder: Path) -> Journal | None:
    """Return the journal in a folder; None if there is no valid one."""
    try:
        content = json.loads(files.read_regular(folder / JOURNAL_NAME))
        arrays = {name: (int(rows), str(sha256)) for name, (rows, sha256) in content["arrays"].items()}
        return Journal(content["key"], arrays)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def write_journal(folder: Path, journal: Journal) -> None:
    """Publish a journal in a folder."""
    files.write_json(folder / JOURNAL_NAME, {"key": journal.key, "arrays": journal.arrays})
