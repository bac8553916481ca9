"""The training loop in eager TensorFlow: a gradient tape and an update per step, nothing compiled."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

from benchmarks.peers.mnist_files import Order, test_split, training_split
from benchmarks.peers.timed_loop import BATCH, LEARNING_RATE, STEPS, Parameters, report


def main(folder: Path) -> None:
    """Time the loop."""
    train = training_split(folder)
    inputs, labels = train.inputs(), train.labels.astype("int32")
    order = Order(len(labels))
    weights, bias = tf.Variable(tf.zeros([784, 10])), tf.Variable(tf.zeros([10]))

    def loop() -> Parameters:
        for _ in range(STEPS):
            rows = order.next(BATCH)
            with tf.GradientTape() as tape:
                logits = tf.matmul(inputs[rows], weights) + bias
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels[rows], logits=logits)
                loss = tf.reduce_mean(losses)
            weights_gradient, bias_gradient = tape.gradient(loss, [weights, bias])
            weights.assign_sub(LEARNING_RATE * weights_gradient)
            bias.assign_sub(LEARNING_RATE * bias_gradient)
        return weights.numpy(), bias.numpy()

    report(loop, test_split(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
