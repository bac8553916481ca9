"""The factors of each step: the learning rate and what follows from it, by decimal arithmetic on the host.

It does not use libm, so the digits are the same on every machine. Each factor is rounded to K · 2^-s with
2^20 ≤ K < 2^21, so that its product with a whole number below 2^32 is exact in float64, and no rate rounds to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mnist_cli.learning.settings import TrainSettings

_BITS = 21
_DIGITS = 40
_PI = Decimal("3.1415926535897932384626433832795028841971693993751")
# Without traps, an overflow gives infinity and an underflow zero, instead of an error.
_CONTEXT = Context(prec=_DIGITS, traps=[])

# The columns of `Factors.of_steps`.
WEIGHTS, BIAS, L2, DECAY, AVERAGE = range(5)


class Factors:
    """The factors of a run.

    Args:
        settings: how to train.
        total_steps: steps of the run, for a schedule that spans all of it.
        step: the constant of x = (q − zero) / step.
    """

    def __init__(self, settings: TrainSettings, total_steps: int, step: int) -> None:
        self._share = _schedule(settings, total_steps)
        self._rate = decimal(settings.rate)
        self._input_step = step
        self._l2 = decimal(settings.l2 or 0)
        self._decay = decimal(settings.optimizer_parameters()["weight_decay"])
        self._average = rounded(1 - decimal(settings.ema or 0))

    def of_steps(self, first: int, count: int) -> npt.NDArray[np.float64]:
        """Return float64 [count, 5], a row for each step from `first` on, counted from 0.

        The columns are the factors of the mean gradient of W in stored units (rate / step), of that of b (rate), of W
        for the penalty (rate · 2 · l2), of W for weight decay (rate · weight_decay), and of the difference to the
        moving average (1 − ema).
        """
        if self._share is None:
            table = np.tile(self._constant, (count, 1))
        else:
            table = np.array([self._row(done) for done in range(first, first + count)], np.float64).reshape(count, 5)
        if first == 0 and count:
            table[0, AVERAGE] = 1.0  # the first step has nothing to average with
        return table

    @cached_property
    def _constant(self) -> tuple[float, ...]:
        return self._row(0)

    def _row(self, done: int) -> tuple[float, ...]:
        with localcontext(_CONTEXT):
            rate = self._rate if self._share is None else self._rate * self._share(done)
            l2, decay = rate * 2 * self._l2, rate * self._decay
            return rounded(rate, self._input_step), rounded(rate), rounded(l2), rounded(decay), self._average


def decimal(value: float) -> Decimal:
    """Return the decimal number that a float prints as: 0.1 is exactly a tenth."""
    return Decimal(repr(value))


def rounded(value: Decimal, divisor: int = 1) -> float:
    """Return value / divisor, for a value ≥ 0, rounded to 21 significant bits, halves up."""
    if not value.is_finite():
        return math.inf
    fraction = Fraction(value) / divisor
    if not fraction:
        return 0.0
    # 2^(exponent − 1) < fraction < 2^(exponent + 1)
    exponent = fraction.numerator.bit_length() - fraction.denominator.bit_length()
    if fraction < Fraction(2) ** exponent:
        exponent -= 1
    places = _BITS - 1 - exponent
    try:
        return math.ldexp(math.floor(fraction * Fraction(2) ** places + Fraction(1, 2)), -places)
    except OverflowError:
        return math.inf


def _schedule(settings: TrainSettings, total_steps: int) -> Callable[[int], Decimal] | None:
    """Return a function from steps done to the share of the rate that is left, or None if the rate is constant."""
    given = settings.schedule_parameters(total_steps)
    total = int(given.get("decay_steps") or 1)
    end, decay_rate, power = (decimal(given.get(name) or 0) for name in ("end_fraction", "decay_rate", "power"))
    warm_up = int(given.get("warmup_steps") or 0)

    def share(done: int) -> Decimal:
        return Decimal(done) / total

    def cosine(done: int) -> Decimal:
        if done < warm_up:
            return Decimal(done) / warm_up
        return (1 - end) * (1 + _cosine_of_pi(min(Decimal(1), share(done - warm_up)))) / 2 + end

    schedules: dict[str, Callable[[int], Decimal]] = {
        "cosine": cosine,
        "exponential": lambda done: _power(decay_rate, share(done)),
        "inverse_time": lambda done: 1 / (1 + decay_rate * share(done)),
        "polynomial": lambda done: (1 - end) * _power(1 - min(Decimal(1), share(done)), power) + end,
    }
    return schedules.get(settings.schedule)


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    """Return base to the power of exponent, both ≥ 0; 0 to the power of 0 is 1."""
    if not exponent or not base:
        return Decimal(0 if exponent else 1)
    return base if exponent == 1 else (base.ln() * exponent).exp()


def _cosine_of_pi(share: Decimal) -> Decimal:
    """Return cos(π · share) for a share from 0 to 1, by its series."""
    if share > Decimal("0.5"):
        return -_cosine_of_pi(1 - share)
    square = (_PI * share) ** 2
    total = term = Decimal(1)
    for number in range(2, 40, 2):
        term *= -square / (number * (number - 1))
        total += term
    return total
