"""The course of a training run: `history.jsonl`, one JSON object a line.

It holds no times, and floats are written so that reading gives the same bits; equal runs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mnist_cli import files


@dataclass(frozen=True, slots=True)
class Record:
    """How far training had come after some step.

    Attributes:
        step: steps done, from 1 on.
        loss: mean training loss, in nats, over the steps since the record before.
        validation_loss: mean cross-entropy of the validation split, in nats; None when the split is empty.
        validation_accuracy: share of it that the model gets right; None when it is empty.
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
    """Return the records of lines that `history_line` wrote."""
    return tuple(Record(**json.loads(line)) for line in content.splitlines())
