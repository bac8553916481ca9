"""Prints digests of what is computed with NumPy alone: the order, softmax, features, and the training of the tests."""

from __future__ import annotations

import hashlib

import numpy as np

from mnist_cli.maps import order, softmax
from tests.support import exact
from tests.support.feature_digests import digests


def main() -> None:
    """Compute and print."""
    random = [exact.mix(number) for number in range(784 * 120)]
    pixels = (np.array(random, np.uint32) >> 24).astype(np.uint8).reshape(120, 784)
    labels = (np.array(random[:120]) % 10).astype(np.uint8)
    trained = exact.train(pixels, labels, steps=100, batch=50, seed=7, workers=3)
    weights, bias = trained.weights.astype(float), trained.bias.astype(float)
    scores = softmax.logits(pixels.astype(float), weights, bias, 0, 255)
    values = {
        "order": order.rows_at(3, 10**12, 100_000, 55_000).astype("<i4"),
        "training": np.concatenate([weights.ravel(), bias]).astype("<f8"),
        "scores": scores.astype("<f8"),
        "losses": softmax.losses(scores, labels.astype(np.intp), 255).astype("<i8"),
    }
    for name, array in values.items():
        print(name, hashlib.sha256(array.tobytes()).hexdigest())
    for name, digest in digests().items():
        print(name, digest)


if __name__ == "__main__":
    main()
