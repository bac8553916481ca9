"""The course of a training run: `history.jsonl`, one JSON object per line.

It contains no times, and floats read back with the same bits; equal runs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mnist_cli import files


@dataclass(frozen=True, slots=True)
class Record:
    """The state of training after some step.

    Attributes:
        step: steps done, from 1 on.
        loss: mean training loss, in nats, over the steps since the previous record.
        validation_loss: mean cross-entropy of the validation split, in nats; None if the split is empty.
        validation_accuracy: share of the split that the model gets right; None if it is empty.
    """

    step: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None


def write_history(path: Path, records: Iterable[Record]) -> None:
    """Publish the records as JSON lines.

    Raises:
        ValueError: a number is not finite.
        OSError: the file cannot be written.
    """
    files.write_bytes(path, b"".join(map(history_line, records)))


def history_line(record: Record) -> bytes:
    """Return the record as a line of JSON.

    Raises:
        ValueError: a number is not finite.
    """
    # json writes a float as its repr: the shortest text that reads back as the same float.
    return json.dumps(asdict(record), allow_nan=False).encode() + b"\n"


def parse_history(content: bytes) -> tuple[Record, ...]:
    """Return the records from lines that `history_line` wrote."""
    return tuple(Record(**json.loads(line)) for line in content.splitlines())
