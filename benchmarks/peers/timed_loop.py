"""Timing a training loop from within its process, and telling the harness in one line of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from benchmarks.peers.mnist_files import Split

STEPS = 1000
BATCH = 100
LEARNING_RATE = 0.5
_LOOPS = 3  # at least so many, for the slow ones
_SECONDS = 2.0  # and more of those that are quick, until so much time has passed

Parameters = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def report(loop: Callable[[], Parameters], test: Split, examples: int = STEPS * BATCH) -> None:
    """Time a loop and print `{"examples": …, "seconds": […], "accuracy": …}`.

    The first call warms up and is not counted. Nothing but `loop` is inside the time.

    Args:
        loop: trains on `examples` examples, going on from the parameters it has, and returns W [784, 10] and b [10].
        test: what the accuracy is measured on in the end: a loop that learned nothing must not win.
        examples: how many examples one call sees.
    """
    loop()
    seconds: list[float] = []
    while len(seconds) < _LOOPS or sum(seconds) < _SECONDS:
        start = time.perf_counter()
        weights, bias = loop()
        seconds.append(time.perf_counter() - start)
    right = (test.inputs() @ weights + bias).argmax(axis=1) == test.labels
    print(json.dumps({"examples": examples, "seconds": seconds, "accuracy": float(right.mean())}))
