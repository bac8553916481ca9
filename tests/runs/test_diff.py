"""Two runs side by side: changed parameters, changed metrics, the paired test, and the gate on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.errors import InputError, UsageError
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.runs.comparison import Comparison, compare
from mnist_cli.runs.conditions import holds, parse_condition
from mnist_cli.runs.mcnemar import mcnemar
from mnist_cli.runs.runs import Run, find_run
from mnist_cli.stages.evaluate import EVALUATE
from mnist_cli.stages.stage import STORE, Job, Outcome
from tests.support.command_line import mnist
from tests.support.pipelines import Pipeline, stand_in


def train_at_random(job: Job) -> Outcome:
    """Write a model of random numbers, other ones for every seed."""
    random = np.random.default_rng(job.config.value("seed"))
    store = open_store(job.input(STORE))
    weights, bias = (random.normal(size=shape) for shape in ((784, 10), 10))
    save_model(
        job.new / "model.h5",
        Model(weights, bias, store.classes, 1, job.config.value("seed"), store.digest, store.image_shape),
    )
    (job.new / "history.jsonl").write_bytes(b"")
    metrics = {"loss": 1 + job.config.value("seed") / 10, "validation_loss": 2.0, "validation_accuracy": 0.1}
    return Outcome(metrics, runtime={"device": "cpu", "tensorflow": "2"})


@pytest.fixture
def two(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Two runs that were evaluated: seed 1, then seed 2 and another number of steps."""
    stand_in(monkeypatch, "train", run=train_at_random)
    stand_in(monkeypatch, "eval", run=EVALUATE.run)
    pipeline.run("seed=1")
    pipeline.run("seed=2", "train.steps=7")
    return pipeline


def compared(pipeline: Pipeline, first: str = "previous", second: str = "latest") -> Comparison:
    artifacts = pipeline.artifacts
    return compare(find_run(artifacts, first), find_run(artifacts, second), artifacts)


def right(pipeline: Pipeline, seed: int, split: str) -> Any:
    """Return which examples the model of a seed gets right, computed without the package's own product."""
    random = np.random.default_rng(seed)
    weights, bias = (random.normal(size=shape) for shape in ((784, 10), 10))
    examples = getattr(open_store(pipeline.file("preprocess/store.h5")), split)
    logits = (examples.inputs.astype(np.float64) / 255) @ weights.astype(np.float64) + bias
    return logits.argmax(axis=1) == examples.labels


def test_changed_parameters_are_listed_and_no_others(two: Pipeline) -> None:
    found = [(one.kind, one.name, one.first, one.second) for one in compared(two).differences]
    assert found == [("parameter", "seed", 1, 2), ("parameter", "train.steps", 1000, 7)]


def test_other_data_are_listed(two: Pipeline) -> None:
    two.run("seed=2", "preprocess.validation_size=20")
    kinds = {one.name: one.kind for one in compared(two).differences}
    assert kinds["preprocess.validation_size"] == "parameter"
    assert kinds["preprocess/store.h5"] == "data"


def test_a_package_in_runtime_and_environment_is_listed_once(two: Pipeline) -> None:
    def with_versions(name: str, version: str) -> Run:
        run = find_run(two.artifacts, name)
        versions = {"runtime": {"tensorflow": version}, "environment": {"tensorflow": version, "python": version}}
        train = run.train.model_copy(update=versions)
        return dataclasses.replace(run, record=run.record.model_copy(update={"train": train}))

    comparison = compare(with_versions("previous", "2.20"), with_versions("latest", "2.21"), two.artifacts)
    found = [(one.kind, one.name) for one in comparison.differences if one.kind in ("runtime", "environment")]
    assert found == [("runtime", "tensorflow"), ("environment", "python")]


def test_metrics_change_by_second_minus_first(two: Pipeline) -> None:
    changes = {change.name: change for change in compared(two).changes}
    assert changes["loss"].amount == pytest.approx(0.1)
    assert changes["validation_loss"].amount == 0
    expected = right(two, 2, "test").mean() - right(two, 1, "test").mean()
    assert changes["accuracy"].amount == pytest.approx(expected)


@pytest.mark.parametrize("split", ["test", "train"])
def test_the_paired_test_counts_what_only_one_gets_right(two: Pipeline, split: str) -> None:
    two.run("seed=1", f"eval.split={split}")
    two.run("seed=2", "train.steps=7", f"eval.split={split}")
    if split == "train":
        for folder in two.file("runs").iterdir():
            (folder / "eval-test.json").unlink()
    comparison, first, second = compared(two), right(two, 1, split), right(two, 2, split)
    assert comparison.test is not None
    assert comparison.test.split == comparison.split == split
    counted = comparison.test.examples, comparison.test.only_first, comparison.test.only_second
    assert counted == (len(first), (first & ~second).sum(), (second & ~first).sum())
    assert comparison.test.p == mcnemar(*counted[1:])


def test_runs_that_were_not_evaluated_are_tested_on_the_validation_split(two: Pipeline) -> None:
    two.run("seed=3", stages=("train",))
    comparison = compared(two)
    assert comparison.split is None and comparison.test is not None
    assert comparison.test.split == "validation"
    accuracy = next(change for change in comparison.changes if change.name == "accuracy")
    assert accuracy.first is not None
    assert accuracy.second is accuracy.amount is None


def test_a_run_is_the_same_as_itself(two: Pipeline) -> None:
    comparison = compared(two, "latest", "latest")
    assert comparison.same_model
    assert comparison.differences == ()
    assert comparison.test is not None
    assert (comparison.test.only_first, comparison.test.only_second, comparison.test.p) == (0, 0, 1.0)


def test_there_is_no_paired_test_over_different_data(two: Pipeline) -> None:
    two.run("seed=2", "preprocess.validation_size=20")
    assert compared(two).no_test == "the two runs were trained on different data"


def test_there_is_no_paired_test_when_the_store_is_another_one(two: Pipeline) -> None:
    two.run("preprocess.validation_size=20", stages=("preprocess",))
    assert compared(two).no_test == "the store has changed since they were trained"


def test_there_is_no_paired_test_without_a_store(two: Pipeline) -> None:
    two.file("preprocess/store.h5").unlink()
    comparison = compared(two)
    assert comparison.test is None
    assert "store.h5" in str(comparison.no_test)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss > 0.05", True),
        ("loss > 0.2", False),
        ("loss>=.05", True),
        ("validation_loss <= 0", True),
        ("validation_loss < 0", False),
        ("p <= 1", True),
        ("loss > 5e-2 and validation_loss >= -1", True),
        ("loss > 0.05 and loss > 0.2", False),
    ],
)
def test_conditions_are_about_the_change(two: Pipeline, text: str, expected: bool) -> None:
    assert holds(parse_condition(text), compared(two)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "accuracy < ",
        "accuracy = 1",
        "accuracy < x",
        "accuracy < 1.2.3",
        "accuracy < 1e999",
        "f1 < 0",
        "accuracy < 0 or p < 1",
        "accuracy < 0 and",
        "and",
        "0 < accuracy < 1",
        "accuracy < 0; p < 1",
    ],
)
def test_an_invalid_condition_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-if: expected"):
        parse_condition(text)


@pytest.mark.parametrize("text", ["accuracy < 0", "loss > 99 and accuracy < 0"])
def test_a_gate_on_an_unmeasured_metric_fails(two: Pipeline, text: str) -> None:
    two.run("seed=3", stages=("train",))
    with pytest.raises(InputError, match=r"run [0-9a-f]{8} has no accuracy on a split"):
        holds(parse_condition(text), compared(two))


def test_the_hint_of_such_a_gate_names_what_both_have(two: Pipeline) -> None:
    two.run("seed=3", stages=("train",))
    with pytest.raises(InputError) as caught:
        holds(parse_condition("accuracy < 0"), compared(two))
    assert str(caught.value.hint).startswith("use validation_accuracy, which both have")


def test_a_gate_on_p_without_a_test_is_not_passed(two: Pipeline) -> None:
    two.file("preprocess/store.h5").unlink()
    with pytest.raises(InputError, match="there is no paired test"):
        holds(parse_condition("p < 0.05"), compared(two))


def test_the_command_compares_previous_and_latest(two: Pipeline) -> None:
    text = mnist("diff").out
    assert "train.steps                  1000 → 7" in text
    assert "loss                         1.1000 → 1.2000  +0.1" in text
    assert " right, only " in text


@pytest.mark.parametrize(("p", "verdict"), [(0.2, "p = 0.20: within noise"), (0.01, "p = 0.01: a real difference")])
def test_noise_is_called_noise(two: Pipeline, monkeypatch: pytest.MonkeyPatch, p: float, verdict: str) -> None:
    monkeypatch.setattr("mnist_cli.runs.comparison.mcnemar", lambda *_counts: p)
    done = mnist("diff")
    assert verdict in done.out


def test_of_the_same_model_there_is_no_test_to_tell(two: Pipeline) -> None:
    text = mnist("diff", "latest", "latest").out
    assert text.splitlines()[-1] == "the same model, to the bit"
    assert "noise" not in text


def test_what_neither_run_has_measured_is_left_out(two: Pipeline) -> None:
    two.run("seed=3", stages=("train",))
    two.run("seed=4", stages=("train",))
    text = mnist("diff").out
    assert "validation_accuracy" in text
    assert "cross_entropy" not in text
    assert "(not measured)" not in text


def test_a_condition_that_holds_exits_with_6(two: Pipeline) -> None:
    mnist("diff", "--fail-if", "loss > 0.2")
    done = mnist("diff", "--fail-if", "loss > 0.2", "--fail-if", "loss > 0.05", code=6)
    assert "error: loss changed by 0.1, and --fail-if says 'loss > 0.05'" in done.err


def test_the_document_has_it_all_also_when_the_gate_fails(two: Pipeline) -> None:
    document = mnist("diff", "--json", "--fail-if", "loss > 0.05", code=6).document
    assert document["conditions"] == [{"condition": "loss > 0.05", "holds": True}]
    assert document["error"]["code"] == "gate"
    assert document["metrics"]["loss"]["change"] == pytest.approx(0.1)
    assert set(document["paired_test"]) == {"split", "examples", "b", "c", "p", "significant"}
    assert document["differences"][0] == {"kind": "parameter", "name": "seed", "first": 1, "second": 2}


def test_one_name_is_compared_with_the_latest(two: Pipeline) -> None:
    document = mnist("diff", "published", "--json").document
    assert document["first"] == document["second"]


def test_one_run_alone_has_nothing_to_be_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline
) -> None:
    pipeline.run()
    done = mnist("diff", code=5)
    assert "there is only one run" in done.err
