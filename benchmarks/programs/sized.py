"""One stage on generated images, under a memory limit: how long it takes, and what anonymous memory it needs.

    python -m benchmarks.programs.sized FOLDER files N    four IDX files of N images in the folder
    python -m benchmarks.programs.sized FOLDER STAGE      preprocess, train, eval, report or read, on what is there

Prints a JSON document. Anonymous memory (RssAnon in proc(5)) is what a process cannot give back: pages of a mapped file
do not count. The limit, RLIMIT_DATA, needs no privileges and counts all writable private memory, also that which was
never touched. RLIMIT_AS would count the mapped file as well, and TensorFlow reserves more than it uses.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

_LIMIT = 2_000_000_000  # bytes
_SIDE, _CLASSES, _BLOCK = 28, 10, 10_000
# One image in so many is for testing; the others are for training.
_TEST_SHARE = 7
_SECONDS_BETWEEN_LOOKS = 0.005

Facts = dict[str, float]


def main(folder: str, stage: str, images: str = "0") -> None:
    """Do one stage, and print what it took."""
    os.chdir(folder)
    if stage == "files":
        write_files(int(images))
        return
    run, modules = _STAGES[stage]
    if stage == "train":
        from mnist_cli.learning.tensorflow_setup import import_tensorflow

        import_tensorflow()
    for module in modules:
        importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT, _LIMIT))
    before, started = anonymous_bytes(), time.perf_counter()
    with PeakMemory() as memory:
        facts = run()
    print(json.dumps({"seconds": time.perf_counter() - started, "anonymous": memory.peak - before, **facts}))


def write_files(images: int) -> None:
    """Write four IDX files of images that a linear model tells apart, as fast as the disk takes them.

    One block of images is rendered and then repeated, shifted by another number of columns each time.
    """
    random = np.random.default_rng(0)
    labels = random.integers(0, _CLASSES, _BLOCK, dtype=np.uint8)
    prototypes = random.integers(0, 2, (_CLASSES, _SIDE, _SIDE), dtype=np.uint8) * 120
    block = prototypes[labels] + random.integers(0, 120, (_BLOCK, _SIDE, _SIDE), dtype=np.uint8)
    test = images // _TEST_SHARE
    for part, count in (("train", images - test), ("t10k", test)):
        with (
            Path(f"{part}-images-idx3-ubyte").open("wb") as image_file,
            Path(f"{part}-labels-idx1-ubyte").open("wb") as label_file,
        ):
            image_file.write(struct.pack(">4B3I", 0, 0, 8, 3, count, _SIDE, _SIDE))
            label_file.write(struct.pack(">4BI", 0, 0, 8, 1, count))
            for number, start in enumerate(range(0, count, _BLOCK)):
                rows = min(_BLOCK, count - start)
                image_file.write(np.roll(block[:rows], number % 3, axis=2).tobytes())
                label_file.write(labels[:rows].tobytes())


def anonymous_bytes() -> int:
    """Return the anonymous memory that this process has resident."""
    with Path("/proc/self/status").open() as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


class PeakMemory:
    """Looks at the anonymous memory again and again, from another thread.

    Attributes:
        peak: the most that was seen, in bytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, anonymous_bytes())
            if self._done.wait(_SECONDS_BETWEEN_LOOKS):
                return


def _preprocess() -> Facts:
    from mnist_cli.stages.preprocess import preprocess

    result = preprocess("", "")
    return {"images": result.train + result.validation + result.test}


def _train() -> Facts:
    from mnist_cli.learning.settings import TrainSettings
    from mnist_cli.stages.train import train

    result = train("store.h5", "", TrainSettings(epochs=1), resume="never")
    return {**result.seconds, "images": result.examples}


def _evaluate() -> Facts:
    from mnist_cli.stages.evaluate import EvalSettings, evaluate

    return {"images": evaluate("model.h5", "store.h5", "", EvalSettings(split="train")).examples}


def _report() -> Facts:
    from mnist_cli.formats import HISTORY_NAME
    from mnist_cli.formats.history import parse_history
    from mnist_cli.formats.model import load_model
    from mnist_cli.formats.store import open_store
    from mnist_cli.report.page import Provenance, ReportData, render

    metrics = json.loads(Path("metrics.json").read_bytes())
    history = parse_history(Path(HISTORY_NAME).read_bytes())
    render(ReportData(load_model("model.h5"), open_store("store.h5"), metrics, history, Provenance("", "", (), ())))
    return {"images": metrics["examples"]}


def _read() -> Facts:
    with Path("store.h5").open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return {}


# What to measure, and what it imports meanwhile.
_STAGES: dict[str, tuple[Callable[[], Facts], tuple[str, ...]]] = {
    "preprocess": (_preprocess, ("mnist_cli.stages.preprocess",)),
    "train": (_train, ("mnist_cli.learning.training", "mnist_cli.stages.train")),
    "eval": (_evaluate, ("mnist_cli.stages.evaluate",)),
    "report": (_report, ("mnist_cli.report.page", "jinja2")),
    "read": (_read, ()),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
