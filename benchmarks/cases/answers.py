"""How long people wait for what they look at: a prediction, and the report."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.figures import Row, Spread, Target, costs_of
from benchmarks.measure import BenchmarkError, Entrant, Sample
from benchmarks.setting import Result, Setting


def one_prediction(setting: Setting) -> Result:
    """`mnist predict` of one PNG, the whole process; and ten thousand predictions in one that runs."""
    tree = setting.finished_tree()
    picture = tree / "digit.png"
    drawing = setting.program("a drawing", "programs.picture", str(_store(tree)), str(picture))
    setting.run(drawing.argv, drawing.folder or tree)
    command = Entrant("mnist predict digit.png", (*setting.mnist, "predict", picture.name), tree)
    function = setting.program("ten thousand predictions", "programs.predictions", str(tree / "artifacts"))
    samples = setting.race(command, function)
    seconds = [sample.seconds for sample in samples[command.name]]
    calls = [_median_call(function.name, sample) for sample in samples[function.name]]
    rows = [
        Row(f"`{command.name}`", "s", Spread.of(seconds), target=Target(high=0.5)),
        Row("10,000 predictions, one call of `mnist_cli.predict`", "s", Spread.of(calls), target=Target(high=0.05)),
    ]
    return Result(rows, costs_of(samples))


def report(setting: Setting) -> Result:
    """`mnist report`, the whole process."""
    tree = setting.finished_tree()
    command = Entrant("mnist report", (*setting.mnist, "report", *setting.data.dataset), tree)
    samples = setting.race(command)
    seconds = [sample.seconds for sample in samples[command.name]]
    row = Row(f"`{command.name}`", "s", Spread.of(seconds), target=Target(high=3.0))
    return Result([row], costs_of(samples))


def _store(tree: Path) -> Path:
    return tree / "artifacts" / "preprocess" / "store.h5"


def _median_call(name: str, sample: Sample) -> float:
    """Return the seconds of the median call in one process.

    Raises:
        BenchmarkError: the process did not tell, or predicted something else.
    """
    document = sample.document()
    try:
        seconds, images = statistics.median(document["seconds"]), int(document["images"])
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"{name}: no seconds can be read: {error!r}") from error
    if images != 10_000:
        raise BenchmarkError(f"{name}: expected 10,000 images; received {images:,}")
    return float(seconds)
