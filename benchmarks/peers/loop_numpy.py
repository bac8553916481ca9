"""The training loop in NumPy float32: the arithmetic of the toolkit's, operation by operation.

The images stay bytes, and a batch of them becomes float32 when it is used: to convert them all beforehand, outside the
time, makes this loop slower, as there is four times the memory to gather from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.peers.mnist_files import Order, test_split, training_split
from benchmarks.peers.timed_loop import BATCH, LEARNING_RATE, STEPS, Parameters, report


def main(folder: Path) -> None:
    """Time the loop."""
    train = training_split(folder)
    order = Order(len(train.labels))
    weights, bias = np.zeros((784, 10), np.float32), np.zeros(10, np.float32)
    losses = np.empty(STEPS, np.float32)
    each = np.arange(BATCH)

    def loop() -> Parameters:
        for step in range(STEPS):
            rows = order.next(BATCH)
            labels = train.labels[rows]
            batch = train.pixels[rows].astype(np.float32)
            batch /= 255
            logits = batch @ weights
            logits += bias
            logits -= logits.max(axis=1, keepdims=True)
            errors = np.exp(logits)
            sums = errors.sum(axis=1, keepdims=True)
            errors /= sums
            losses[step] = (np.log(sums[:, 0]) - logits[each, labels]).mean()
            errors[each, labels] -= 1
            errors *= LEARNING_RATE / BATCH
            weights[...] -= batch.T @ errors
            bias[...] -= errors.sum(axis=0)
        return weights, bias

    report(loop, test_split(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
