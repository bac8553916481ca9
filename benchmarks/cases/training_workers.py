"""Two worker processes on this machine that share each step, against one that does it alone."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.figures import Row, Spread, costs_of, ratio_row
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.setting import Result, Setting

_FIGURES = ("one", "half", "two", "all_reduce")


def two_workers(setting: Setting) -> Result:
    """Steps per second of 1000×100 by two workers on loopback and by one process, and the cost of an all-reduce."""
    store = setting.prepared_tree() / "artifacts" / "preprocess" / "store.h5"
    samples = setting.race(setting.program("one process, then two workers", "programs.workers", str(store)))
    taken = [_seconds(sample) for each in samples.values() for sample in each]
    rates = {name: [1 / seconds[name] for seconds in taken] for name in ("one", "two")}
    alone = Spread.of([1e6 * seconds["all_reduce"] for seconds in taken])
    beyond = Spread.of([1e6 * (seconds["two"] - seconds["half"]) for seconds in taken])
    rows = [
        ratio_row("1000×100 by two workers on loopback / by one process", "steps/s", rates["two"], rates["one"], None),
        Row("… an all-reduce of the 31 KB of a step, one after the other", "µs", alone),
        Row("… a step of two workers beyond half a batch by one process", "µs", beyond),
    ]
    return Result(rows, costs_of(samples))


def _seconds(sample: Sample) -> Mapping[str, float]:
    """Return the seconds of a step, by who does it, and those of an all-reduce.

    Raises:
        BenchmarkError: the program did not tell.
    """
    try:
        document = sample.document()
        return {name: float(document[name]) for name in _FIGURES}
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"workers: no seconds can be read: {error!r}") from error
