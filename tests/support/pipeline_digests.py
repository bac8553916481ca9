"""Trains, evaluates and prints the SHA-256 of what was written: STORE FOLDER SETTINGS, the last as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from tests.support.stages import evaluate, train

WRITTEN = ("model.h5", "history.jsonl", "metrics.json")


def main(store: str, folder: str, settings: str) -> None:
    """Do it."""
    train(store, folder, **json.loads(settings))
    evaluate(Path(folder) / "model.h5", store, folder)
    print(json.dumps({name: hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest() for name in WRITTEN}))


if __name__ == "__main__":
    main(*sys.argv[1:])
