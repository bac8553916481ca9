"""The beginners' tutorial in its own style, TensorFlow 1: placeholders, a session, feed_dict.

It reads the four files of the folder that its argument names, trains 1000 steps of 100 images and prints the
accuracy on the test images. It checks nothing and stores nothing.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

VALIDATION_SIZE = 5000


def read_images(path: Path) -> np.ndarray:
    """Return float32 [n, 784] in [0, 1]."""
    with gzip.open(path) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    return pixels.reshape(-1, 784).astype(np.float32) / 255


def read_labels(path: Path) -> np.ndarray:
    """Return one-hot float32 [n, 10]."""
    with gzip.open(path) as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return np.eye(10, dtype=np.float32)[labels]


class DataSet:
    """Images and labels that come in shuffled batches, shuffled again at the end of each epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images = images
        self.labels = labels
        self.position = len(images)

    def next_batch(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the next `size` images and labels."""
        if self.position + size > len(self.images):
            order = np.random.permutation(len(self.images))
            self.images, self.labels, self.position = self.images[order], self.labels[order], 0
        batch = slice(self.position, self.position + size)
        self.position += size
        return self.images[batch], self.labels[batch]


def main(folder: Path) -> None:
    """Train, and print the accuracy."""
    train = DataSet(
        read_images(folder / "train-images-idx3-ubyte.gz")[VALIDATION_SIZE:],
        read_labels(folder / "train-labels-idx1-ubyte.gz")[VALIDATION_SIZE:],
    )
    test_images = read_images(folder / "t10k-images-idx3-ubyte.gz")
    test_labels = read_labels(folder / "t10k-labels-idx1-ubyte.gz")

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

    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(1000):
            batch_images, batch_labels = train.next_batch(100)
            session.run(train_step, feed_dict={x: batch_images, truth: batch_labels})
        print(session.run(accuracy, feed_dict={x: test_images, truth: test_labels}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
