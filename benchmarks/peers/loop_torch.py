"""The training loop in eager PyTorch on one thread: a linear layer, autograd and torch.optim.SGD."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks.peers.mnist_files import Order, test_split, training_split
from benchmarks.peers.timed_loop import BATCH, LEARNING_RATE, STEPS, Parameters, report


def main(folder: Path) -> None:
    """Time the loop."""
    torch.set_num_threads(1)
    train = training_split(folder)
    inputs, labels = torch.from_numpy(train.inputs()), torch.from_numpy(train.labels.astype("int64"))
    order = Order(len(labels))
    layer = torch.nn.Linear(784, 10)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), LEARNING_RATE)

    def loop() -> Parameters:
        for _ in range(STEPS):
            rows = torch.from_numpy(order.next(BATCH))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        return layer.weight.detach().numpy().T, layer.bias.detach().numpy()

    report(loop, test_split(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
