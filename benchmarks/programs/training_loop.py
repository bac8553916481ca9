"""The toolkit's own training loop, by itself: the rows of a thousand batches, and the compiled steps on them.

The first argument is a store, the second the folder of the four files, for the accuracy.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from benchmarks.peers.mnist_files import test_split
from benchmarks.peers.timed_loop import BATCH, LEARNING_RATE, STEPS, Parameters, report
from mnist_cli.learning.data import load_data
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from mnist_cli.maps.order import rows_at

# The tutorial's training, and nothing beside it.
PLAIN = TrainSettings(
    steps=STEPS,
    batch_size=BATCH,
    learning_rate=LEARNING_RATE,
    validate_every=STEPS,
    checkpoint_every=None,
    checkpoint_seconds=None,
    keep_checkpoints=0,
)


def main(store: Path, folder: Path) -> None:
    """Time the loop."""
    data = load_data(store)
    import_tensorflow()
    from mnist_cli.learning.distributed.replicas import make_replicas
    from mnist_cli.learning.loop import TrainingLoop

    training = TrainingLoop(data, PLAIN, make_replicas("single", "auto"))
    training.compile()
    # Another seed each time: the order of an epoch is computed, never remembered from the loop before.
    seeds = itertools.count()

    def loop() -> Parameters:
        rows = rows_at(next(seeds), 0, STEPS * BATCH, len(data.labels))
        training.run(0, rows.reshape(STEPS, BATCH))
        return training.parameters()

    report(loop, test_split(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
