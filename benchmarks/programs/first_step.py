"""How long the train stage takes from the end of TensorFlow's import to the end of its first step.

The argument is a store. The stage does what it always does: it reads the store, builds and compiles the loop, looks for
checkpoints, computes the order of the examples and takes the step.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time

from mnist_cli.learning.settings import TrainSettings
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from mnist_cli.progress import Progress
from mnist_cli.stages.train import train


class FirstStep(Progress):
    """Notes when the first step is done."""

    def __init__(self) -> None:
        self.at: float | None = None

    def update(self, done: int, detail: str = "") -> None:
        if done > 0 and self.at is None:
            self.at = time.perf_counter()


def main(store: str) -> None:
    """Run one step, and print the seconds until it was done."""
    import_tensorflow()
    imported = time.perf_counter()
    progress = FirstStep()
    settings = TrainSettings(steps=1, validate_every=1000, keep_checkpoints=0)
    with tempfile.TemporaryDirectory() as folder:
        # Without a record and a checkpoint, the end of the step is the next thing that progress hears of.
        result = train(store, folder, settings, progress=progress)
    if progress.at is None:
        raise RuntimeError("the train stage did not tell of its first step")
    print(json.dumps({"seconds": progress.at - imported, "parts": result.seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
