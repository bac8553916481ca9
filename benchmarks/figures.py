"""The figures of a run: spreads, ratios, targets, and the rows that the table is made of."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Sample

# How a figure of each unit is written.
_FORMATS = {
    "s": "{:.3f}",
    "examples/s": "{:,.0f}",
    "steps/s": "{:,.0f}",
    "µs": "{:,.0f}",
    "MB": "{:.0f}",
    "%": "{:.2f}",
    "": "{:.2f}",
}


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of one value or more."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, unit: str) -> str:
        """Return `0.142 s (0.139–0.151)`, or one number when there was no spread."""
        median, low, high = (_FORMATS[unit].format(value) for value in (self.median, self.low, self.high))
        head = f"{median} {unit}".rstrip()
        return head if low == high else f"{head} ({low}–{high})"


@dataclass(frozen=True, slots=True)
class Target:
    """The bounds that a figure has to keep; None: no bound on that side."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        """Tell whether `value` keeps both bounds."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def text(self, unit: str) -> str:
        """Return `≤ 1.2`, `≥ 4` or `91–92.8 %`."""
        low, high = (None if bound is None else f"{bound:g}" for bound in (self.low, self.high))
        bounds = f"{low}–{high}" if low and high else f"≥ {low}" if low else f"≤ {high}"
        return f"{bounds} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is compared.
        unit: "s", "µs", "examples/s", "steps/s", "MB", "%" or "" (a plain number), of `ours` and `peer`.
        ours: our figure.
        peer: the figure of what it is compared with; None: with nothing.
        ratio: ours / peer, turn by turn; its median is the ratio of the two medians.
        target: for the ratio where there is one, else for each measurement of ours; None: only reported.
    """

    what: str
    unit: str
    ours: Spread
    peer: Spread | None = None
    ratio: Spread | None = None
    target: Target | None = None

    def met(self) -> bool | None:
        """Tell whether the target is met; None when there is none."""
        if self.target is None:
            return None
        if self.ratio is not None:
            return self.target.holds(self.ratio.median)
        return self.target.holds(self.ours.low) and self.target.holds(self.ours.high)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of process took: seconds and megabytes (10⁶ bytes) at the peak."""

    name: str
    seconds: Spread
    megabytes: Spread
    samples: tuple[Sample, ...] = field(repr=False)


def time_row(what: str, ours: Sequence[Sample], peer: Sequence[Sample], target: Target | None) -> Row:
    """Return the row that compares the seconds of two entrants of one race."""
    return ratio_row(what, "s", [sample.seconds for sample in ours], [sample.seconds for sample in peer], target)


def ratio_row(what: str, unit: str, ours: Sequence[float], peer: Sequence[float], target: Target | None) -> Row:
    """Return the row that compares two figures, turn by turn."""
    turns = [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]
    our_spread, peer_spread = Spread.of(ours), Spread.of(peer)
    ratio = Spread(our_spread.median / peer_spread.median, min(turns), max(turns))
    return Row(what, unit, our_spread, peer_spread, ratio, target)


def memory_row(what: str, ours: Sequence[Sample], target: Target | None) -> Row:
    """Return the row of an entrant's peak memory."""
    return Row(what, "MB", Spread.of([sample.peak / 1e6 for sample in ours]), target=target)


def extra_memory_row(what: str, ours: Sequence[Sample], peer: Sequence[Sample], target: Target | None) -> Row:
    """Return the row of what an entrant's peak memory is above another's, turn by turn."""
    extra = [(mine.peak - theirs.peak) / 1e6 for mine, theirs in zip(ours, peer, strict=True)]
    return Row(what, "MB", Spread.of(extra), target=target)


def costs_of(samples: dict[str, list[Sample]]) -> list[Cost]:
    """Return what each entrant of a race took."""
    return [
        Cost(
            name=name,
            seconds=Spread.of([sample.seconds for sample in taken]),
            megabytes=Spread.of([sample.peak / 1e6 for sample in taken]),
            samples=tuple(taken),
        )
        for name, taken in samples.items()
    ]
