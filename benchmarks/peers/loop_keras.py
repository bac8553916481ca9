"""The training loop as Keras has it: a Dense layer and `model.fit`, two passes over 50,000 images."""

from __future__ import annotations

import sys
from pathlib import Path

import keras

from benchmarks.peers.mnist_files import test_split, training_split
from benchmarks.peers.timed_loop import BATCH, LEARNING_RATE, STEPS, Parameters, report

EPOCHS = 2


def main(folder: Path) -> None:
    """Time the loop."""
    train = training_split(folder)
    # So many that two epochs are the thousand steps, if there are so many.
    inputs = train.inputs()[: STEPS * BATCH // EPOCHS]
    labels = train.labels[: len(inputs)]
    layer = keras.layers.Dense(10, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((784,)), layer])
    model.compile(keras.optimizers.SGD(LEARNING_RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def loop() -> Parameters:
        model.fit(inputs, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        weights, bias = layer.get_weights()
        return weights, bias

    report(loop, test_split(folder), examples=EPOCHS * len(inputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
