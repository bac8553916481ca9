"""Data of any size: time in proportion to it, and memory that stays."""

from __future__ import annotations

from benchmarks.figures import Row, Spread, Target, costs_of, ratio_row
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.setting import Result, Setting
from mnist_cli.text import plural

_STAGES = ("preprocess", "train", "eval", "report")
_MNIST, _LARGER, _LARGEST = 70_000, 1_000_000, 8_100_000  # images; 8.1 million is infinite MNIST's usual size
# MB of anonymous memory above that of the imports.
_MOST, _MOST_TO_TRAIN_MNIST = 150, 60
# Seconds per image or step, of one size over those of another. Fixed costs make it less than 1; of a larger file, fewer
# pages are in the processor's caches.
_LINEAR = Target(high=1.5)


def two_sizes(setting: Setting) -> Result:
    """Every stage with as many images as MNIST has, and with a million."""
    return _measure(setting, _LARGER, setting.repeats)


def largest(setting: Setting) -> Result:
    """The same with 8.1 million images, once: 13 GB of disk and several minutes."""
    return _measure(setting, _LARGEST, 1)


def _measure(setting: Setting, size: int, repeats: int) -> Result:
    samples = {count: _stages(setting, count, repeats) for count in (_MNIST, size)}
    rows = []
    for stage in _STAGES:
        for count in (_MNIST, size):
            taken = samples[count][stage]
            most = _MOST_TO_TRAIN_MNIST if (stage, count) == ("train", _MNIST) else _MOST
            anonymous = Spread.of([value / 1e6 for value in _facts(stage, taken, "anonymous")])
            seconds = Spread.of(_facts(stage, taken, "seconds"))
            what = f"{stage}, {count:,} images: anonymous memory above its imports"
            rows.append(Row(what, "MB", anonymous, target=Target(high=most)))
            rows.append(Row(f"{stage}, {count:,} images", "s", seconds))
        part = "steps" if stage == "train" else "seconds"
        slow, quick = (
            [1e6 * s / n for s, n in zip(_facts(stage, of, part), _facts(stage, of, "images"), strict=True)]
            for of in (samples[size][stage], samples[_MNIST][stage])
        )
        rows.append(ratio_row(f"{stage}, one image of {size:,} / one of {_MNIST:,}", "µs", slow, quick, _LINEAR))
    read, load = samples[size]["read"], samples[size]["train"]
    what = f"train, {size:,} images: loading / reading the store once for its SHA-256"
    rows.append(ratio_row(what, "s", _facts("train", load, "load"), _facts("read", read, "seconds"), Target(high=1.1)))
    named = {f"{stage}, {count:,} images": taken for count, of in samples.items() for stage, taken in of.items()}
    turns = plural(repeats, "turn")
    return Result(rows, costs_of(named), (f"{turns}, every process with RLIMIT_DATA at 2 GB",))


def _stages(setting: Setting, count: int, repeats: int) -> dict[str, list[Sample]]:
    """Run all stages on so many images, and give each one's samples."""
    folder = setting.scratch / str(count)
    folder.mkdir()

    def run(*arguments: str) -> Sample:
        entrant = setting.program(arguments[0], "programs.sized", str(folder), *arguments)
        assert entrant.folder is not None
        return setting.run(entrant.argv, entrant.folder)

    run("files", str(count))
    taken: dict[str, list[Sample]] = {stage: [] for stage in (*_STAGES, "read")}
    for _ in range(repeats):
        for stage, of in taken.items():
            of.append(run(stage))
    return taken


def _facts(stage: str, samples: list[Sample], key: str) -> list[float]:
    try:
        return [float(sample.document()[key]) for sample in samples]
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"{stage}: no {key} can be read: {error!r}") from error
