"""Evaluation: every number against an independent computation, every mismatch refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.config.declarations import Config
from mnist_cli.errors import ConfigError, FormatError, GateFailed, InputError
from mnist_cli.formats.model import Model, save_model
from mnist_cli.formats.scoring import score, wilson_interval
from mnist_cli.formats.store import open_store
from mnist_cli.stages.evaluate import check_gate, class_metrics
from tests.support import ROOT, reference
from tests.support.configs import defaults
from tests.support.data import CLASSES, write_small_store
from tests.support.stages import evaluate


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("store") / "store.h5", train=2345)


def write_model(path: Path, pixels: int = 784, classes: tuple[str, ...] = CLASSES) -> Model:
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.2, (pixels, len(classes)))
    bias = random.normal(0, 1, len(classes))
    model = Model(weights, bias, classes, 7, 0, "", (1, pixels))
    save_model(path, model)
    return model


@pytest.mark.parametrize(("split", "count"), [("train", 2345), ("validation", 30), ("test", 50)])
def test_the_numbers_agree_with_a_computation_of_their_own(store: Path, tmp_path: Path, split: str, count: int) -> None:
    model = write_model(tmp_path / "model.h5")
    result = evaluate(tmp_path / "model.h5", store, tmp_path, split=split)
    examples = getattr(open_store(store), split)
    weights, bias = model.weights.astype(float), model.bias.astype(float)
    predictions = reference.probabilities(examples.inputs, weights, bias).argmax(axis=1)
    confusion = [[0] * 10 for _ in range(10)]
    for truth, prediction in zip(examples.labels.tolist(), predictions.tolist(), strict=True):
        confusion[truth][prediction] += 1
    assert [list(row) for row in result.confusion] == confusion
    assert result.examples == count
    assert result.accuracy == sum(confusion[label][label] for label in range(10)) / count
    expected = reference.mean_cross_entropy(examples.inputs, examples.labels, weights, bias)
    assert result.cross_entropy == pytest.approx(expected, rel=1e-6)


def test_the_file_holds_what_is_returned(store: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.h5")
    result = evaluate(tmp_path / "model.h5", store, tmp_path / "new")
    document = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert document == json.loads(json.dumps(result.document()))
    assert document["schema"] == "mnist-metrics/1"
    assert (document["model_digest"], document["model_step"]) == (model.digest, 7)
    assert document["store_digest"] == open_store(store).digest


def test_two_evaluations_write_the_same_bytes(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5")
    contents = []
    for _ in range(2):
        evaluate(tmp_path / "model.h5", store, tmp_path)
        contents.append((tmp_path / "metrics.json").read_bytes())
    assert contents[0] == contents[1]


def test_class_metrics_of_a_confusion_made_by_hand() -> None:
    confusion = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    first, second, never = class_metrics(confusion, ("a", "b", "c"))
    assert (first.precision, first.recall, first.f1, first.support) == (3 / 5, 3 / 4, 2 / 3, 4)
    assert (second.precision, second.recall, second.f1, second.support) == (4 / 5, 4 / 6, 8 / 11, 6)
    assert (never.precision, never.recall, never.f1, never.support) == (None, None, None, 0)


def test_a_class_that_is_never_predicted_has_no_precision_and_no_recall() -> None:
    [_, missed] = class_metrics(np.array([[5, 0], [2, 0]]), ("a", "b"))
    assert (missed.precision, missed.recall, missed.f1) == (None, 0.0, 0.0)


def test_macro_averages_leave_out_what_is_not_defined(tmp_path: Path) -> None:
    # With W = 0 the bias alone decides: everything is predicted to be a 3.
    store = write_small_store(tmp_path / "store.h5")
    bias = np.eye(10)[3]
    save_model(tmp_path / "model.h5", Model(np.zeros((784, 10)), bias, CLASSES, 1, 0, "", (28, 28)))
    result = evaluate(tmp_path / "model.h5", store, tmp_path)
    assert result.accuracy == 0.1
    assert result.macro["precision"] == 0.1  # defined for the 3 alone
    assert result.macro["recall"] == pytest.approx(0.1)  # 1 for the 3, 0 for nine others


@pytest.mark.parametrize(("correct", "examples"), [(1, 3), (81, 263), (9200, 10_000), (9999, 10_000)])
def test_the_wilson_interval_ends_where_the_score_test_is_just_not_rejected(correct: int, examples: int) -> None:
    low, high = wilson_interval(correct, examples)
    measured = correct / examples
    assert low < measured < high
    for end in (low, high):
        assert abs(measured - end) / math.sqrt(end * (1 - end) / examples) == pytest.approx(1.959964, abs=1e-6)


def test_the_wilson_interval_keeps_its_width_where_all_or_none_is_right() -> None:
    # There the score test, p² = z² p(1 − p)/n, is solved by p = z²/(n + z²).
    width = 1.959964**2 / (20 + 1.959964**2)
    assert wilson_interval(0, 20) == pytest.approx((0, width))
    assert wilson_interval(20, 20) == pytest.approx((1 - width, 1))


def test_the_loss_of_an_answer_that_is_wrong_by_far_is_not_cut() -> None:
    # Logits 100 and −100 of one white pixel, then 0 and 0 of a black one.
    images, labels = np.array([[255], [0]], np.uint8), np.array([1, 0], np.uint8)
    measured = score(np.array([[100.0, -100.0]]), np.zeros(2), images, labels)
    assert measured.cross_entropy == pytest.approx((200 + math.log(2)) / 2, abs=1e-6)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    store = write_small_store(tmp_path / "store.h5", validation=0)
    write_model(tmp_path / "model.h5")
    with pytest.raises(InputError, match="the validation split is empty"):
        evaluate(tmp_path / "model.h5", store, tmp_path, split="validation")


def test_an_unknown_split_is_refused(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5")
    with pytest.raises(ConfigError, match=r"eval\.split: expected test, validation or train; received 'tset'"):
        evaluate(tmp_path / "model.h5", store, tmp_path, split="tset")


def test_a_model_for_other_images_is_refused(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5", pixels=100)
    with pytest.raises(InputError, match="expected images of 100 pixels; received 784"):
        evaluate(tmp_path / "model.h5", store, tmp_path)


def test_a_model_for_other_classes_is_refused(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5", classes=tuple("abcdefghij"))
    with pytest.raises(InputError, match="trained on other data"):
        evaluate(tmp_path / "model.h5", store, tmp_path)


def test_a_damaged_model_leaves_the_old_metrics(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5")
    evaluate(tmp_path / "model.h5", store, tmp_path)
    before = (tmp_path / "metrics.json").read_bytes()
    (tmp_path / "model.h5").write_bytes(b"no HDF5")
    with pytest.raises(FormatError):
        evaluate(tmp_path / "model.h5", store, tmp_path)
    assert (tmp_path / "metrics.json").read_bytes() == before


def demanding(accuracy: float) -> Config:
    return defaults().replaced({"eval.min_accuracy": accuracy})


def test_a_missed_gate_names_accuracy_interval_and_bound() -> None:
    expected = r"expected at least 0\.92; received 0\.9100 \(95 % interval 0\.9042 to 0\.9155\)"
    with pytest.raises(GateFailed, match=expected) as caught:
        check_gate(demanding(0.92), {"accuracy": 0.91, "accuracy_interval": [0.9042, 0.9155]})
    assert caught.value.exit_code == 6


def test_a_gate_that_is_just_reached_lets_through() -> None:
    check_gate(demanding(0.92), {"accuracy": 0.92, "accuracy_interval": [0.9145, 0.9252]})


def test_evaluating_needs_no_tensorflow(store: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.h5")
    program = (
        "import sys; from mnist_cli.stages.evaluate import evaluate; import mnist_cli.stages.train; "
        f"evaluate({str(tmp_path / 'model.h5')!r}, {str(store)!r}, {str(tmp_path)!r}); "
        "print([name for name in sys.modules if name.startswith(('tensorflow', 'keras'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
