"""Optimizers, schedules, averages, early stopping and selection: against formulas, and through interruptions."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.errors import ConfigError
from mnist_cli.formats.model import load_model
from mnist_cli.formats.store import open_store
from mnist_cli.learning.optimizers import EXACT_OPTIMIZERS, OPTIMIZERS, SCHEDULES
from mnist_cli.learning.rates import Factors
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.stages import PIPELINE
from tests.support import ROOT, exact, reference, reference_rules
from tests.support.configs import defaults, load_config, parse_override
from tests.support.data import write_small_store
from tests.support.reference import Array
from tests.support.stages import train
from tests.support.trainings import Failing, outputs

STEPS = 40
RUN: dict[str, Any] = {"steps": STEPS, "batch_size": 20, "validate_every": 10, "seed": 3}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("small") / "store.h5")


def expected(
    store: Path, rule: str, rate: float, schedule: str = "constant", total: int = STEPS, l2: float = 0.0
) -> tuple[list[tuple[Array, Array]], list[float]]:
    """Return W and b after each step, and the losses."""
    memories: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    course = []

    def update(step: int, values: tuple[Array, Array], gradients: tuple[Array, Array]) -> tuple[Array, Array]:
        now = rate * reference_rules.SCHEDULES[schedule](step - 1, total)
        parts = zip(values, gradients, memories, strict=True)
        new = [reference_rules.UPDATES[rule](value, slope, memory, step, now) for value, slope, memory in parts]
        course.append((new[0], new[1]))
        return new[0], new[1]

    split = open_store(store).train
    *_, losses = reference.train(
        split.inputs, split.labels, steps=STEPS, batch=20, rate=rate, seed=3, l2=l2, update=update
    )
    return course, losses


def weights(folder: Path) -> Any:
    return load_model(folder / "model.h5").weights


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", EXACT_OPTIMIZERS)
def test_the_first_steps_agree_with_the_formula(small: Path, tmp_path: Path, name: str) -> None:
    train(small, tmp_path, optimizer=name, schedule="polynomial", **RUN)
    course, _ = expected(small, name, OPTIMIZERS[name]["learning_rate"], "polynomial")
    # The weights have moved by up to 0.4.
    assert np.abs(weights(tmp_path) - course[-1][0]).max() < 1e-6


def keras_formula(store: Path, name: str, rate: float) -> Array:
    """Return W after the formula was given the gradients of the contract, and put back on the grid after each step.

    With gradients in floating point the optimizers that divide a gradient by its size would go elsewhere: an error is
    rounded to 2^-20.
    """
    split = open_store(store).train
    integers: list[Array] = [np.zeros((784, 10)), np.zeros(10)]
    memories: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for done, rows in enumerate(exact.batches(3, len(split.labels), 20, STEPS)):
        q, labels = split.inputs[rows], split.labels[rows].astype(np.int64)
        z = exact.scores(q, integers[0].astype(np.int64), integers[1].astype(np.int64))
        _, errors = exact.losses_and_errors(z, labels)
        sums = (q.astype(float).T @ errors / 255, errors.sum(axis=0).astype(float))
        now = rate * reference_rules.SCHEDULES["polynomial"](done, STEPS)
        for index, (total, memory) in enumerate(zip(sums, memories, strict=True)):
            slope, value = total / 20 / 2**20, integers[index] / 2**24
            integers[index] = np.floor(reference_rules.UPDATES[name](value, slope, memory, done + 1, now) * 2**24 + 0.5)
    return integers[0] / 2**24


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in EXACT_OPTIMIZERS])
def test_an_optimizer_of_keras_gets_exact_gradients_and_agrees_with_its_formula(
    small: Path, tmp_path: Path, name: str
) -> None:
    train(small, tmp_path, optimizer=name, schedule="polynomial", **RUN)
    differences = np.abs(weights(tmp_path) - keras_formula(small, name, OPTIMIZERS[name]["learning_rate"]))
    # A gradient of zero but for rounding has either sign, which is all that lion looks at.
    assert (np.quantile(differences, 0.99) if name == "lion" else differences.max()) < 5e-6


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_agree_with_their_formula(small: Path, tmp_path: Path, name: str) -> None:
    train(small, tmp_path, schedule=name, **RUN)
    assert np.abs(weights(tmp_path) - expected(small, "sgd", 0.5, name)[0][-1][0]).max() < 5e-6


def in_contract(store: Path, **settings: Any) -> exact.Trained:
    split = open_store(store).train
    return exact.train(split.inputs, split.labels, steps=STEPS, batch=20, seed=3, **settings)


MOMENTUM = {"rate": Fraction(1, 10), "momentum": Fraction(9, 10)}
PENALTIES = {"l2": Fraction(1, 10), "weight_decay": Fraction(1, 100)}
# Settings → the same for the contract.
EXACT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "momentum": ({"optimizer": "momentum"}, MOMENTUM),
    "no momentum": ({"optimizer": "momentum", "momentum": 0.0}, MOMENTUM | {"momentum": Fraction(0)}),
    "nesterov": (
        {"optimizer": "nesterov", "momentum": 0.99, "learning_rate": 0.3},
        {"rate": Fraction(3, 10), "momentum": Fraction(99, 100), "nesterov": True},
    ),
    "penalties": ({"l2": 0.1, "weight_decay": 0.01}, PENALTIES),
    "penalties with momentum": (
        {"l2": 0.1, "weight_decay": 0.01, "optimizer": "nesterov"},
        {**PENALTIES, **MOMENTUM, "nesterov": True},
    ),
    "average": ({"ema": 0.9}, {"ema": Fraction(9, 10)}),
    "average with momentum": ({"ema": 0.999, "optimizer": "momentum"}, MOMENTUM | {"ema": Fraction(999, 1000)}),
    "inverse_time": ({"schedule": "inverse_time"}, {"rate": lambda done: Fraction(1, 2) / (1 + Fraction(done, STEPS))}),
    "polynomial": (
        {"schedule": "polynomial", "power": 2.0, "end_fraction": 0.1, "decay_steps": 30},
        {"rate": lambda done: (Fraction(9, 10) * max(Fraction(0), 1 - Fraction(done, 30)) ** 2 + Fraction(1, 10)) / 2},
    ),
    # At these steps the functions have values that a fraction can hold.
    "exponential": ({"schedule": "exponential", "decay_steps": 1}, {"rate": lambda done: Fraction(1, 2 * 10**done)}),
    "cosine": (
        {"schedule": "cosine", "decay_steps": 2, "warmup_steps": 4},
        {"rate": lambda done: Fraction([0, 1, 2, 3, 4, 2, 0][min(done, 6)], 8)},
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_bits_are_those_of_the_contract(small: Path, tmp_path: Path, name: str) -> None:
    settings, contract = EXACT[name]
    assert train(small, tmp_path, **settings, **RUN).model_digest == in_contract(small, **contract).digest


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_rounded_to_21_bits_of_the_formula(name: str) -> None:
    factors = Factors(TrainSettings(schedule=name), 1000, 255)
    for done, (for_weights, for_bias, *_) in enumerate(factors.of_steps(0, 1000)):
        rate = 0.5 * reference_rules.SCHEDULES[name](done, 1000)
        assert for_bias == pytest.approx(rate, rel=2**-20)
        assert for_weights == pytest.approx(rate / 255, rel=2**-20)
        assert for_bias * 2.0 ** (20 - math.frexp(for_bias)[1] + 1) % 1 == 0


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        ("exponential", {"decay_rate": 0.0}),
        ("exponential", {"decay_rate": 1e300, "decay_steps": 1}),
        ("polynomial", {"power": 0.0}),
        ("inverse_time", {"decay_rate": 1e308}),
    ],
)
def test_extreme_schedules_give_rates_all_the_same(schedule: str, settings: dict[str, Any]) -> None:
    rates = Factors(TrainSettings(schedule=schedule, **settings), 100, 255).of_steps(0, 100)
    assert (rates >= 0).all()
    assert rates[0, 1] == 0.5


def test_a_schedule_of_its_own_length_with_a_warm_up(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        reference_rules.SCHEDULES, "cosine", lambda done, total: reference_rules.cosine(done, total, 5, 0.1)
    )
    train(small, tmp_path, schedule="cosine", decay_steps=20, end_fraction=0.1, warmup_steps=5, **RUN)
    assert np.abs(weights(tmp_path) - expected(small, "sgd", 0.5, "cosine", 20)[0][-1][0]).max() < 5e-6


def test_a_warm_up_that_outlasts_the_epochs_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train.warmup_steps: expected at most the \d+ steps of the run"):
        train(small, tmp_path, schedule="cosine", warmup_steps=99, epochs=1, batch_size=100)


def test_parameters_reach_the_optimizer(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path / "usual", optimizer="adam", beta_1=0.9, epsilon=1e-7, **RUN)
    train(small, tmp_path / "named", optimizer="adam", **RUN)
    assert outputs(tmp_path / "usual") == outputs(tmp_path / "named")
    train(small, tmp_path / "other", optimizer="adam", beta_1=0.5, **RUN)
    assert outputs(tmp_path / "usual") != outputs(tmp_path / "other")


def test_l2_adds_its_gradient_and_leaves_the_recorded_loss_the_cross_entropy(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, l2=0.1, **RUN)
    course, losses = expected(small, "sgd", 0.5, l2=0.1)
    assert np.abs(weights(tmp_path) - course[-1][0]).max() < 2e-6
    assert history(tmp_path)[-1]["loss"] == pytest.approx(np.mean(losses[-10:]), abs=1e-6)


def test_weight_decay_of_gradient_descent_shrinks_weights_and_not_the_bias(small: Path, tmp_path: Path) -> None:
    # (1 − 0.5 · 1.0)W − 0.5 g: what l2 = 0.5 gives, as 2 · l2 = 1.
    train(small, tmp_path, optimizer="sgd", weight_decay=1.0, **RUN)
    course, _ = expected(small, "sgd", 0.5, l2=0.5)
    assert np.abs(weights(tmp_path) - course[-1][0]).max() < 2e-6
    assert np.abs(load_model(tmp_path / "model.h5").bias - course[-1][1]).max() < 2e-6


def test_the_moving_average_is_what_is_published_and_validated(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, ema=0.9, **RUN)
    course, _ = expected(small, "sgd", 0.5)
    mean_weights, mean_bias = course[0]
    for step_weights, step_bias in course[1:]:
        mean_weights = 0.9 * mean_weights + 0.1 * step_weights
        mean_bias = 0.9 * mean_bias + 0.1 * step_bias
    assert np.abs(weights(tmp_path) - mean_weights).max() < 2e-6
    split = open_store(small).validation
    loss = reference.mean_cross_entropy(split.inputs, split.labels, mean_weights, mean_bias)
    assert history(tmp_path)[-1]["validation_loss"] == pytest.approx(loss, abs=1e-6)


VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"optimizer": name} for name in OPTIMIZERS if name != "sgd"},
    "rmsprop with momentum": {"optimizer": "rmsprop", "momentum": 0.5},
    "cosine": {"schedule": "cosine", "warmup_steps": 4},
    "average": {"ema": 0.95},
    "everything": {"optimizer": "nadam", "schedule": "exponential", "ema": 0.9, "l2": 1e-3, "select": "best"},
    "best": {"learning_rate": 30.0, "select": "best"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_crashed_resumes_to_the_bit(small: Path, tmp_path: Path, variant: str) -> None:
    settings = RUN | VARIANTS[variant] | {"checkpoint_every": 7}
    train(small, tmp_path / "calm", **settings)
    for step in (15, 22):
        with pytest.raises(RuntimeError, match="crash"):
            train(small, tmp_path / "rough", progress=Failing(step), **settings)
    assert train(small, tmp_path / "rough", **settings).resumed_from in (21, 28)
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "rough")


@pytest.mark.parametrize(
    ("schedule", "resumed"),
    [({}, STEPS), ({"schedule": "cosine", "decay_steps": 30}, STEPS), ({"schedule": "cosine"}, 0)],
)
def test_a_longer_run_resumes_unless_the_schedule_depends_on_its_length(
    small: Path, tmp_path: Path, schedule: dict[str, Any], resumed: int
) -> None:
    settings = RUN | {"optimizer": "adam"} | schedule
    train(small, tmp_path / "raised", **settings)
    assert train(small, tmp_path / "raised", **(settings | {"steps": 70})).resumed_from == resumed
    train(small, tmp_path / "scratch", **(settings | {"steps": 70}))
    assert outputs(tmp_path / "raised") == outputs(tmp_path / "scratch")


# A rate at which the validation loss goes up and down.
RESTLESS = RUN | {"steps": 300, "learning_rate": 30.0, "batch_size": 5, "validate_every": 4}


def test_the_best_model_is_that_of_the_lowest_validation_loss(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path / "best", select="best", **RESTLESS)
    records = history(tmp_path / "best")
    best = min(records, key=lambda record: record["validation_loss"])
    assert (result.model_step, result.validation_loss) == (best["step"], best["validation_loss"])
    assert result.steps == 300 > result.model_step
    train(small, tmp_path / "until", **(RESTLESS | {"steps": best["step"]}))
    assert (weights(tmp_path / "best") == weights(tmp_path / "until")).all()


def test_early_stopping_ends_after_so_many_records_without_a_lower_loss(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path, early_stopping=3, **RESTLESS)
    losses = [record["validation_loss"] for record in history(tmp_path)]
    assert result.steps == 4 * len(losses) < 300
    assert losses.index(min(losses)) == len(losses) - 4
    before = outputs(tmp_path)
    again = train(small, tmp_path, early_stopping=3, **(RESTLESS | {"steps": 400}))
    assert (again.resumed_from, outputs(tmp_path)) == (result.steps, before)


def test_stopping_and_selecting_need_a_validation_split(tmp_path: Path) -> None:
    store = write_small_store(tmp_path / "store.h5", validation=0)
    with pytest.raises(ConfigError) as caught:
        train(store, tmp_path, early_stopping=2, select="best")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["train.early_stopping", "train.select"]
    with pytest.raises(ConfigError, match=r"--set: train.select: needs preprocess.validation_size above 0"):
        load_config(overrides=[parse_override("train.select=best"), parse_override("preprocess.validation_size=0")])


def test_a_parameter_that_the_optimizer_lacks_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"train.rho: the optimizer adam has no such parameter; it belongs to rmsprop"
    ):
        train(small, tmp_path, optimizer="adam", rho=0.5)
    with pytest.raises(ConfigError, match=r"--set: train.momentum: the optimizer sgd has no such parameter"):
        load_config(overrides=[parse_override("train.momentum=0.9")])
    with pytest.raises(
        ConfigError, match=r"train.power: the schedule cosine has no such parameter; it belongs to polynomial"
    ):
        load_config(overrides=[parse_override("train.power=2"), parse_override("train.schedule=cosine")])


def test_values_out_of_range_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train(
            small,
            tmp_path,
            optimizer="adam",
            beta_1=1.0,
            schedule="cosine",
            decay_steps=0,
            ema=1.0,
            l2=-1.0,
            early_stopping=0,
            select="first",
        )
    named = [problem.split(":")[0].removeprefix("train.") for problem in caught.value.problems]
    assert named == ["beta_1", "decay_steps", "l2", "ema", "early_stopping", "select"]
    with pytest.raises(ConfigError, match=r"train.optimizer: expected sgd, momentum, .*; received 'sdg'"):
        train(small, tmp_path, optimizer="sdg")
    with pytest.raises(ConfigError, match=r"train.optimizer: expected sgd, momentum, .*; received 'sdg'"):
        load_config(overrides=[parse_override("train.optimizer=sdg")])


def test_the_texts_of_the_keys_name_every_optimizer_and_schedule() -> None:
    for path, table in (("train.optimizer", OPTIMIZERS), ("train.schedule", SCHEDULES)):
        for name in table:
            assert name in PIPELINE.declarations.keys[path].meaning
            assert name in PIPELINE.declarations.keys[path].kind.expected
    parameters = {name for table in (*OPTIMIZERS.values(), *SCHEDULES.values()) for name in table}
    assert {f"train.{name}" for name in parameters} <= PIPELINE.declarations.keys.keys()


def decided(*settings: str) -> dict[str, Any]:
    return PIPELINE.stages["train"].parameters(
        load_config(overrides=[parse_override(text) for text in settings]).config
    )


def test_only_parameters_that_apply_count_and_defaults_are_filled_in() -> None:
    assert PIPELINE.stages["train"].parameters(defaults()) == {
        "seed": 0,
        "train.steps": 1000,
        "train.batch_size": 100,
        "train.validate_every": 100,
        "train.optimizer": "sgd",
        "train.schedule": "constant",
        "train.learning_rate": 0.5,
        "train.weight_decay": 0.0,
    }
    adam = decided("train.optimizer=adam")
    assert (adam["train.learning_rate"], adam["train.beta_1"]) == (0.005, 0.9)
    assert adam == decided("train.optimizer=adam", "train.beta_1=0.9", "train.learning_rate=0.005")
    assert decided("train.ema=0.9", "train.select=best").keys() - decided().keys() == {"train.ema", "train.select"}
    assert decided("train.checkpoint_seconds=1", "train.checkpoint_every=null") == decided()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_what_keras_computes_depends_on_where_it_runs(name: str) -> None:
    runtime = PIPELINE.stages["train"].runtime(defaults().replaced({"train.optimizer": name, "train.device": "cpu"}))
    assert bool(runtime) == (name not in EXACT_OPTIMIZERS)


def test_device_and_strategy_do_not_count() -> None:
    assert decided("train.device=cpu", "train.strategy=mirrored") == decided()


def test_the_documentation_has_every_optimizer_and_schedule_with_its_learning_rate() -> None:
    rows = (ROOT / "docs/training.md").read_text(encoding="utf-8").splitlines()
    for name, parameters in OPTIMIZERS.items():
        row = next(row for row in rows if row.startswith("|") and f"`{name}`" in row)
        assert row.split("|")[2].strip() == f"{parameters['learning_rate']:g}"
    for name in SCHEDULES:
        assert any(row.startswith(f"| `{name}` |") for row in rows)
