"""The toolkit's training loop as in `training_loop`, with TensorFlow's deterministic operations switched on.

On a CPU the toolkit leaves the switch alone; this is what it would cost there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.programs import training_loop
from mnist_cli.learning.tensorflow_setup import import_tensorflow


def main(store: Path, folder: Path) -> None:
    """Time the loop."""
    import_tensorflow()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    training_loop.main(store, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
