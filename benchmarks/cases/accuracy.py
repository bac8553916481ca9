"""What all the speed is for: the accuracy on the test images."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figures import Row, Spread, Target
from benchmarks.measure import BenchmarkError
from benchmarks.setting import Result, Setting

SEEDS = range(5)


def five_seeds(setting: Setting) -> Result:
    """The default pipeline with five seeds; every one has to be within the bounds."""
    folder = setting.scratch / "seeds"
    folder.mkdir()
    percent = []
    for seed in SEEDS:
        setting.run((*setting.mnist, "run", *setting.data.options, "--set", f"seed={seed}"), folder)
        percent.append(100 * _accuracy(folder / "artifacts" / "eval" / "metrics.json"))
    what = f"test accuracy, defaults, seeds {SEEDS[0]}–{SEEDS[-1]}"
    return Result([Row(what, "%", Spread.of(percent), target=setting.data.target(Target(91.0, 92.8)))], [])


def _accuracy(path: Path) -> float:
    try:
        return float(json.loads(path.read_bytes())["accuracy"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"no accuracy can be read from {path.name}: {error!r}") from error
