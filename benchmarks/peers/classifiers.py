"""Other classifiers on the pixels, as people use them: accuracy on the test images, and seconds to fit.

    python -m benchmarks.peers.classifiers NAME FOLDER

`logistic` and `svc` are scikit-learn's LogisticRegression and SVC with the RBF kernel, with its defaults but for
max_iter; `convolutions` is a network of two convolutional layers in Keras, trained for two epochs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.peers.mnist_files import Split, test_split, training_split

Labels = npt.NDArray[np.int64]


def main(name: str, folder: str) -> None:
    """Fit, count and print."""
    train, test = training_split(Path(folder)), test_split(Path(folder))
    fit = _FITS[name]()
    started = time.perf_counter()
    predict = fit(train)
    seconds = time.perf_counter() - started
    accuracy = float((predict(test) == test.labels).mean())
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))


def _logistic() -> Callable[[Split], Callable[[Split], Labels]]:
    from sklearn.linear_model import LogisticRegression

    def fit(train: Split) -> Callable[[Split], Labels]:
        model = LogisticRegression(max_iter=200).fit(train.inputs(), train.labels)
        return lambda test: model.predict(test.inputs())

    return fit


def _svc() -> Callable[[Split], Callable[[Split], Labels]]:
    from sklearn.svm import SVC

    def fit(train: Split) -> Callable[[Split], Labels]:
        model = SVC(kernel="rbf", cache_size=1000).fit(train.inputs(), train.labels)
        return lambda test: model.predict(test.inputs())

    return fit


def _convolutions() -> Callable[[Split], Callable[[Split], Labels]]:
    import keras

    keras.utils.set_random_seed(0)

    def fit(train: Split) -> Callable[[Split], Labels]:
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(32, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        model.fit(train.inputs().reshape(-1, 28, 28, 1), train.labels, batch_size=128, epochs=2, verbose=0)
        return lambda test: model.predict(test.inputs().reshape(-1, 28, 28, 1), verbose=0).argmax(axis=1)

    return fit


_FITS = {"logistic": _logistic, "svc": _svc, "convolutions": _convolutions}

if __name__ == "__main__":
    main(*sys.argv[1:])
