"""How long ten thousand predictions take through the Python function, once what it needs is imported and loaded.

The argument is a folder of artifacts with a model and a store.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import mnist_cli

COUNT = 10_000
_CALLS = 20


def main(artifacts: Path) -> None:
    """Predict, and print the seconds of each call and how many images there were."""
    model = mnist_cli.load_model(artifacts / "train" / "model.h5")
    pixels = mnist_cli.open_store(artifacts / "preprocess" / "store.h5").test.inputs[:COUNT]
    mnist_cli.predict(pixels, model)  # the first call imports
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        answer = mnist_cli.predict(pixels, model)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "images": len(answer.labels)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
