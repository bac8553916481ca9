"""The training loop of the beginners' tutorial: its own program, timed without all that comes before and after."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow.compat.v1 as tf

from benchmarks.peers.mnist_files import test_split, training_split
from benchmarks.peers.timed_loop import Parameters, report
from benchmarks.peers.tutorial_compat_v1 import DataSet, build, train


def main(folder: Path) -> None:
    """Time the loop."""
    data = DataSet(training_split(folder))
    graph = build()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def loop() -> Parameters:
            train(session, graph, data)
            weights, bias = session.run([graph.weights, graph.bias])
            return weights, bias

        report(loop, test_split(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
