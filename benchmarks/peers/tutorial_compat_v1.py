"""The beginners' tutorial in its own style, TensorFlow 1: placeholders, a session, feed_dict.

It reads the four files of the folder that its argument names, trains 1000 steps of 100 images and prints the
accuracy on the test images. It checks nothing and stores nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from benchmarks.peers.mnist_files import Split, test_split, training_split

STEPS = 1000
BATCH = 100


class DataSet:
    """Images and labels that come in shuffled batches, shuffled again at the end of each epoch."""

    def __init__(self, split: Split) -> None:
        self.images = split.inputs()  # float32 [n, 784] in [0, 1]
        self.labels = np.eye(10, dtype=np.float32)[split.labels]  # one-hot float32 [n, 10]
        self.position = len(self.images)

    def next_batch(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the next `size` images and labels."""
        if self.position + size > len(self.images):
            order = np.random.permutation(len(self.images))
            self.images, self.labels, self.position = self.images[order], self.labels[order], 0
        batch = slice(self.position, self.position + size)
        self.position += size
        return self.images[batch], self.labels[batch]


@dataclass(frozen=True)
class Graph:
    """The tensors and operations by the tutorial's names."""

    x: Any
    truth: Any
    weights: Any
    bias: Any
    train_step: Any
    accuracy: Any


def build() -> Graph:
    """Build the graph."""
    tf.disable_eager_execution()
    x = tf.placeholder(tf.float32, [None, 784])
    weights = tf.Variable(tf.zeros([784, 10]))
    bias = tf.Variable(tf.zeros([10]))
    logits = tf.matmul(x, weights) + bias
    truth = tf.placeholder(tf.float32, [None, 10])
    cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=truth, logits=logits))
    train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)
    correct = tf.equal(tf.argmax(logits, 1), tf.argmax(truth, 1))
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    return Graph(x, truth, weights, bias, train_step, accuracy)


def train(session: Any, graph: Graph, data: DataSet) -> None:
    """Take the thousand steps."""
    for _ in range(STEPS):
        batch_images, batch_labels = data.next_batch(BATCH)
        session.run(graph.train_step, feed_dict={graph.x: batch_images, graph.truth: batch_labels})


def main(folder: Path) -> None:
    """Train, and print the accuracy."""
    data, test = DataSet(training_split(folder)), DataSet(test_split(folder))
    graph = build()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        train(session, graph, data)
        print(session.run(graph.accuracy, feed_dict={graph.x: test.images, graph.truth: test.labels}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
