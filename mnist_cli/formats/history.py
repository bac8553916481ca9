"""The course of a training run: `history.jsonl`, one JSON object a line.

It holds no times, and floats are written so that reading gives the same bits; equal runs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mnist_cli import files

HISTORY_NAME = "history.jsonl"


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
    # json writes a float as its repr: the shortest text that reads back as the same float.
    lines = [json.dumps(asdict(record), allow_nan=False) + "\n" for record in records]
    files.write_bytes(path, "".join(lines).encode())
