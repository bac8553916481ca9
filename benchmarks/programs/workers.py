"""Steps by one process and by two workers on loopback, and what adding up their gradients costs.

The argument is a store. This process only starts the others, one constellation after the other, and prints the median
seconds of: `one`, a step of 100 examples in one process; `half`, one of 50 examples there; `two`, one of 100 examples
by two workers; `all_reduce`, adding up a vector of a step's loss and gradients between the two, and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cli.cli.workers import _free_addresses
from mnist_cli.learning.data import TrainingData, load_data
from mnist_cli.learning.tensorflow_setup import import_tensorflow
from mnist_cli.maps.order import rows_at

if TYPE_CHECKING:
    from mnist_cli.learning.distributed.replicas import Replicas

STEPS = 1000
LOOPS = 5  # fixed, as workers have to do the same number
BATCH = 100


def main(store: str) -> None:
    """Let one process work, then two, and print what they found out."""
    document = _outputs(store, "one", {})[0]
    addresses = _free_addresses(2)
    clusters = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in range(2)]
    document |= _outputs(store, "two", *({"TF_CONFIG": json.dumps(cluster)} for cluster in clusters))[0]
    print(json.dumps(document))


def work(store: Path, who: str) -> dict[str, float]:
    """Time the loops of one of the processes; return the seconds of a step."""
    data = load_data(store)
    import_tensorflow()
    from mnist_cli.learning.distributed.cluster import Cluster
    from mnist_cli.learning.distributed.replicas import make_replicas

    if who == "one":
        replicas = make_replicas("single", "cpu")
        return {"one": _steps(data, replicas, BATCH), "half": _steps(data, replicas, BATCH // 2)}
    cluster = Cluster("cpu")
    seconds = {"two": _steps(data, cluster.replicas, BATCH), "all_reduce": _all_reduces(data, cluster.replicas)}
    cluster.leave()
    return seconds


def _steps(data: TrainingData, replicas: Replicas, batch: int) -> float:
    from benchmarks.programs.training_loop import PLAIN
    from mnist_cli.learning.loop import TrainingLoop

    loop = TrainingLoop(data, dataclasses.replace(PLAIN, batch_size=batch), replicas)
    rows = rows_at(0, 0, STEPS * batch, len(data.labels)).reshape(STEPS, batch)
    return _median(lambda: loop.run(0, rows))


def _all_reduces(data: TrainingData, replicas: Replicas) -> float:
    import tensorflow as tf

    shapes = ((), (data.inputs.shape[1], len(data.classes)), (len(data.classes),))
    rows = tf.zeros([BATCH], tf.int32)

    def step(index: tf.Tensor, *values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # Each replica gives the values as they are: no arithmetic, but the sum of a step's.
        def unchanged(_device: int, _rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return tf.zeros([]), weights, bias

        return (index + 1, *replicas.sums(unchanged, rows, *values[1:]))

    def steps() -> tf.Tensor:
        start = (0, *(tf.zeros(shape) for shape in shapes))
        return tf.while_loop(lambda index, *_: index < STEPS, step, start)[1]

    loop = tf.function(steps, autograph=False)
    return _median(lambda: loop().numpy())


def _median(loop: Callable[[], object]) -> float:
    """Return the seconds of one of the STEPS of a loop, after one that warms up."""
    taken = []
    for _ in range(LOOPS + 1):
        started = time.perf_counter()
        loop()
        taken.append((time.perf_counter() - started) / STEPS)
    return statistics.median(taken[1:])


def _outputs(store: str, who: str, *environments: dict[str, str]) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.programs.workers", store, who]
    processes = [
        subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE)
        for environment in environments
    ]
    try:
        said = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(process.returncode for process in processes):
        raise RuntimeError(f"{who}: exit codes {[process.returncode for process in processes]}")
    return [json.loads(text) for text in said]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        print(json.dumps(work(Path(sys.argv[1]), sys.argv[2])))
