"""What the tests of the benchmarks run instead of processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Runner, Sample
from benchmarks.setting import Data, Setting

MEGABYTE = 1_000_000


def samples(*seconds: float, peak: int = MEGABYTE) -> list[Sample]:
    return [Sample(second, peak) for second in seconds]


PARTS = {"import": 3.0, "load": 0.2, "compile": 0.1, "steps": 4.0, "validation": 0.5, "checkpoints": 0.25}


def output_of(argv: Sequence[str], seconds: float) -> str:
    """What a program of the training benchmarks would print: loops that take as long as the process does."""
    if any("loop" in argument for argument in argv):
        return json.dumps({"examples": 100_000, "seconds": [0.1, seconds, 100.0], "accuracy": 0.92})
    if "benchmarks.programs.sized" in argv:
        return json.dumps({"seconds": seconds, "anonymous": 40 * MEGABYTE, "images": 50_000, **PARTS})
    if "benchmarks.programs.recipe" in argv or "benchmarks.peers.classifiers" in argv:
        return json.dumps({"seconds": seconds, "anonymous": 40 * MEGABYTE, "accuracy": 0.99 + seconds / 1e5})
    if "benchmarks.programs.first_step" in argv:
        return json.dumps({"seconds": 0.3})
    if "benchmarks.programs.workers" in argv:
        return json.dumps({"one": 0.001, "half": 0.0005, "two": 0.002, "all_reduce": 0.00125})
    if "benchmarks.programs.predictions" in argv:
        return json.dumps({"seconds": [0.01, 0.02, seconds], "images": 10_000})
    if "benchmarks.programs.pad" in argv:
        of_each = {"large": 30, "small": 30, "small, in a corner": 30}
        return json.dumps({"right": of_each, "drawn": of_each, "as_predict": 90})
    if "train" in argv:
        return json.dumps({"stages": [{"metrics": {"seconds": PARTS}}]})
    return "2.0\n" if "import numpy, torch" in argv[-1] else ""


class Recorder:
    """A runner that starts nothing, remembers what it was asked for, and leaves and says what a run would."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], Path]] = []

    def __call__(self, argv: Sequence[str], folder: Path) -> Sample:
        self.calls.append((tuple(argv), folder))
        if argv[0] == "mnist":
            metrics = folder / "artifacts" / "eval" / "metrics.json"
            metrics.parent.mkdir(parents=True, exist_ok=True)
            metrics.write_text('{"accuracy": 0.92}')
        seconds = float(len(self.calls))
        return Sample(seconds, len(self.calls) * MEGABYTE, output_of(argv, seconds))


def setting_of(tmp_path: Path, run: Runner, *, real: bool = True) -> Setting:
    return Setting(Data(tmp_path / "data", real), ("mnist",), 2, tmp_path, run, "torch-python")
