"""The optimizers and schedules by name, which parameters each has, and what those are when nobody says.

Every part of the toolkit that asks what a parameter belongs to asks here: the configuration, the stage's key and the
training itself. What an optimizer computes is Keras's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# Keras's defaults but for the learning rates, which suit 1000 steps of softmax regression on 100 images each, and
# momentum, which Keras leaves at 0.
OPTIMIZERS: Mapping[str, Mapping[str, float]] = {
    "sgd": {"learning_rate": 0.5, "weight_decay": 0.0},
    "momentum": {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.9},
    "nesterov": {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.9},
    "adam": {"learning_rate": 0.005, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.005, "weight_decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamax": {"learning_rate": 0.01, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"learning_rate": 0.005, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "lion": {"learning_rate": 0.001, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.99},
    "rmsprop": {"learning_rate": 0.002, "weight_decay": 0.0, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    "adagrad": {"learning_rate": 0.05, "weight_decay": 0.0, "epsilon": 1e-7},
}
# None: the steps of the run, without those of the warm-up.
SCHEDULES: Mapping[str, Mapping[str, float | None]] = {
    "constant": {},
    "cosine": {"decay_steps": None, "end_fraction": 0.0, "warmup_steps": 0},
    "exponential": {"decay_steps": None, "decay_rate": 0.1},
    "inverse_time": {"decay_steps": None, "decay_rate": 1.0},
    "polynomial": {"decay_steps": None, "end_fraction": 0.0, "power": 1.0},
}


@dataclass(frozen=True)
class Optimizer:
    """How gradients change the weights; a parameter that is None is what the optimizer has by default.

    Attributes:
        name: one of OPTIMIZERS.
        weight_decay: share of W that a step at learning rate 1 takes away, beside the gradient; b keeps its size.
        momentum: share of the step before that is added to a step.
        beta_1, beta_2: decay of the averages of the gradient and of its square.
        rho: decay of the average of the squared gradient.
        epsilon: keeps divisions from zero.
    """

    name: str = "sgd"
    weight_decay: float | None = None
    momentum: float | None = None
    beta_1: float | None = None
    beta_2: float | None = None
    rho: float | None = None
    epsilon: float | None = None

    def parameters(self) -> dict[str, float]:
        """Return what the optimizer is made with, without the learning rate."""
        table = OPTIMIZERS[self.name]
        return {name: _given(self, name, value) for name, value in table.items() if name != "learning_rate"}


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes from step to step; a parameter that is None is what the schedule has by default.

    Attributes:
        name: one of SCHEDULES.
        decay_steps: steps in which it falls; None: all of the run's.
        decay_rate: what is left after them (exponential), or how strongly it falls (inverse_time).
        end_fraction: what it falls to, as a share of the learning rate.
        power: of the polynomial; 1 is a straight line.
        warmup_steps: steps in which it rises from zero before.
    """

    name: str = "constant"
    decay_steps: int | None = None
    decay_rate: float | None = None
    end_fraction: float | None = None
    power: float | None = None
    warmup_steps: int | None = None

    def parameters(self, total_steps: int | None) -> dict[str, float | None]:
        """Return what the schedule is made with, in a run of so many steps (None: not known)."""
        filled = {name: _given(self, name, value) for name, value in SCHEDULES[self.name].items()}
        if "decay_steps" in filled and filled["decay_steps"] is None and total_steps is not None:
            filled["decay_steps"] = max(1, total_steps - int(filled.get("warmup_steps") or 0))
        return filled


def unused_parameters(optimizer: Optimizer, schedule: Schedule) -> dict[str, str]:
    """Return name → why, of each parameter that is set although the optimizer or the schedule has none."""
    found = {}
    for chosen, table, kind in ((optimizer, OPTIMIZERS, "optimizer"), (schedule, SCHEDULES, "schedule")):
        for name in (field.name for field in fields(chosen) if field.name != "name"):
            if getattr(chosen, name) is not None and name not in table[chosen.name]:
                having = " and ".join(other for other in table if name in table[other])
                found[name] = f"the {kind} {chosen.name} has none; it belongs to {having}"
    return found


def excess_warmup(schedule: Schedule, total_steps: int) -> str | None:
    """Return what is wrong with a warm-up that outlasts the run: the learning rate never becomes what it should."""
    if (schedule.warmup_steps or 0) <= total_steps:
        return None
    return f"expected at most the {total_steps:,} steps of the run; received {schedule.warmup_steps:,}"


def _given(chosen: Any, name: str, default: Any) -> Any:
    value = getattr(chosen, name)
    return default if value is None else value
