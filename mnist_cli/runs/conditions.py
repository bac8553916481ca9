"""Conditions on a comparison, such as `accuracy < -0.002`, for `mnist diff --fail-if`.

    condition   = part { "and" part }
    part        = name ( "<" | "<=" | ">" | ">=" ) number
    name        = "accuracy" | "cross_entropy" | "loss" | "validation_loss" | "validation_accuracy" | "p"

A metric's name stands for its change: the second run's value minus the first's. `p` is the p-value of the paired test.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass

from mnist_cli.errors import InputError, UsageError
from mnist_cli.runs.comparison import METRICS, Comparison
from mnist_cli.text import printable

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_PART = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\Z")
_NAMES = (*METRICS, "p")
# The same metrics as training measures them, on the validation split.
_ON_VALIDATION = {"accuracy": "validation_accuracy", "cross_entropy": "validation_loss"}


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison with a number."""

    name: str
    operator: str
    bound: float


@dataclass(frozen=True, slots=True)
class Condition:
    """Parts that must all hold, and the text that they were read from."""

    text: str
    parts: tuple[Part, ...]


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        UsageError: the text is not a condition.
    """
    return Condition(" ".join(text.split()), tuple(_part(part, text) for part in re.split(r"\band\b", text)))


def _part(part: str, text: str) -> Part:
    match = _PART.match(part)
    hint = "for example: --fail-if 'accuracy < -0.002' or --fail-if 'accuracy < 0 and p < 0.05'"
    if not match:
        expected = "a change, one of < <= > >=, and a number"
        raise UsageError(f"--fail-if: expected {expected}; received '{printable(text)}'", hint=hint)
    if match[1] not in _NAMES:
        raise UsageError(f"--fail-if: expected one of {', '.join(_NAMES)}; received '{match[1]}'", hint=hint)
    try:
        bound = float(match[3])
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise UsageError(f"--fail-if: expected a number; received '{match[3]}'", hint=hint)
    return Part(match[1], match[2], bound)


def holds(condition: Condition, comparison: Comparison) -> bool:
    """Tell whether every part of a condition holds.

    Raises:
        InputError: a value was not measured; a gate that cannot be checked fails.
    """
    results = [_holds(part, comparison) for part in condition.parts]  # a list, so that every part is checked
    return all(results)


def _holds(part: Part, comparison: Comparison) -> bool:
    if part.name == "p":
        if comparison.test is None:
            raise InputError(f"--fail-if: there is no paired test: {comparison.no_test}")
        value = comparison.test.p
    else:
        change = next(change for change in comparison.changes if change.name == part.name)
        if change.amount is None:
            lacking = comparison.first.id if change.first is None else comparison.second.id
            raise InputError(
                f"--fail-if: run {lacking} has no {part.name} on a split that both runs were evaluated on",
                hint=_how_to_measure(part.name, comparison),
            )
        value = change.amount
    return bool(_OPERATORS[part.operator](value, part.bound))


def _how_to_measure(name: str, comparison: Comparison) -> str:
    """Return what to do about a metric that a run lacks; the points of a sweep are deliberately not evaluated."""
    if name not in _ON_VALIDATION:
        return "train with a validation split (preprocess.validation_size)"
    other = next(change for change in comparison.changes if change.name == _ON_VALIDATION[name])
    instead = "" if other.amount is None else f"use {other.name}, which both have; "
    return f"{instead}'mnist eval' after a training measures {name}"
