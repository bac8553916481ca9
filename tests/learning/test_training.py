"""Training: against the reference, from any chunking, through interruptions, and when it goes wrong."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.errors import ConfigError, InputError, Interrupted, TrainingDiverged
from mnist_cli.formats.model import load_model
from mnist_cli.formats.store import Store, open_store
from mnist_cli.learning.data import TrainingData
from mnist_cli.learning.optimizers import keras_runtime
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.progress import Progress
from mnist_cli.stages.train import TrainResult
from tests.support import ROOT, exact, reference
from tests.support.data import write_small_store
from tests.support.progress import Listener
from tests.support.stages import evaluate, preprocess, train
from tests.support.trainings import Failing, outputs


class Signalling(Failing):
    """Sends this process a signal when training has reached a step."""

    def update(self, done: int, detail: str = "") -> None:
        if done >= self.step:
            self.step = sys.maxsize
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("small") / "store.h5")


@pytest.fixture(scope="module")
def real(real_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("real")
    preprocess(real_mnist, folder)
    return open_store(folder / "store.h5")


def reference_for(store: Store, **settings: Any) -> tuple[reference.Array, reference.Array, list[float]]:
    return reference.train(store.train.inputs, store.train.labels, **settings)


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def expected(path: Path, **settings: Any) -> exact.Trained:
    split = open_store(path).train
    return exact.train(split.inputs, split.labels, **settings)


def test_weights_agree_with_gradient_descent_in_floating_point(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, steps=60, batch_size=20, learning_rate=0.3, seed=5)
    model = load_model(tmp_path / "model.h5")
    weights, bias, _ = reference_for(open_store(small), steps=60, batch=20, rate=0.3, seed=5)
    assert np.abs(model.weights - weights).max() < 2e-6
    assert np.abs(model.bias - bias).max() < 2e-6


# 77 does not divide an epoch of 130, 300 is more than one, and 10,000 are summed up in blocks.
@pytest.mark.parametrize(
    ("steps", "batch", "rate"), [(60, 20, "0.3"), (7, 77, "0.5"), (3, 300, "3"), (2, 10_000, "1e-9")]
)
def test_the_bits_are_those_of_the_contract(small: Path, tmp_path: Path, steps: int, batch: int, rate: str) -> None:
    result = train(small, tmp_path, steps=steps, batch_size=batch, learning_rate=float(rate), seed=5)
    contract = expected(small, steps=steps, batch=batch, rate=Fraction(rate), seed=5)
    assert result.model_digest == contract.digest
    assert result.loss == sum(contract.losses) / (steps * batch) / 2**20


def test_full_batches_are_gradient_descent_on_the_whole_split(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path, steps=5, batch_size="full")
    assert result.model_digest == expected(small, steps=5, batch=130, seed=0).digest
    assert result.examples == 5 * 130


def test_groups_and_blocks_do_not_touch_a_bit(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_cli.learning import loop  # here, because it brings TensorFlow

    train(small, tmp_path / "usual", steps=30, batch_size=20)
    monkeypatch.setattr(loop, "_BLOCK_VALUES", 784 * 7)  # seven images
    train(small, tmp_path / "blocks", steps=30, batch_size=20)
    monkeypatch.undo()
    monkeypatch.setattr(loop, "_GROUP_VALUES", 1)
    train(small, tmp_path / "alone", steps=30, batch_size=20)
    assert outputs(tmp_path / "usual") == outputs(tmp_path / "blocks") == outputs(tmp_path / "alone")


def test_epochs_replace_steps_and_the_last_step_completes_them(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path, steps=1, epochs=3, batch_size=100)
    assert (result.steps, result.examples) == (4, 400)  # ⌈3 · 130 / 100⌉


def test_history_has_the_mean_loss_between_records_and_one_at_the_end(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, steps=25, batch_size=10, validate_every=10)
    contract = expected(small, steps=25, batch=10, seed=0)
    losses = contract.losses
    records = history(tmp_path)
    assert [record["step"] for record in records] == [10, 20, 25]
    means = [sum(part) / (10 * len(part)) / 2**20 for part in (losses[:10], losses[10:20], losses[20:])]
    assert [record["loss"] for record in records] == means
    validation = open_store(small).validation
    z = exact.scores(validation.inputs, contract.weights, contract.bias)
    of_each, _ = exact.losses_and_errors(z, validation.labels.astype(np.int64))
    assert records[-1]["validation_loss"] == sum(of_each) / 30 / 2**20
    assert records[-1]["validation_accuracy"] == int((z.argmax(axis=1) == validation.labels).sum()) / 30


def test_the_last_record_is_what_eval_measures_on_the_validation_split(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, steps=25)
    measured = evaluate(tmp_path / "model.h5", small, tmp_path, split="validation")
    last = history(tmp_path)[-1]
    assert (last["validation_loss"], last["validation_accuracy"]) == (measured.cross_entropy, measured.accuracy)


def test_without_validation_examples_the_history_says_null(tmp_path: Path) -> None:
    store = write_small_store(tmp_path / "store.h5", validation=0)
    result = train(store, tmp_path, steps=5)
    assert history(tmp_path)[-1]["validation_accuracy"] is None
    assert result.validation_loss is None


def test_the_result_records_what_happened(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path, steps=20, device="cpu")
    last = history(tmp_path)[-1]
    assert (result.loss, result.validation_accuracy) == (last["loss"], last["validation_accuracy"])
    assert result.model_digest == load_model(tmp_path / "model.h5").digest
    assert list(result.seconds) == ["import", "load", "compile", "steps", "validation", "checkpoints"]
    assert result.runtime == {}


def test_an_optimizer_of_keras_records_what_can_move_its_bits(small: Path, tmp_path: Path) -> None:
    result = train(small, tmp_path, steps=2, device="cpu", optimizer="adam")
    assert result.runtime == keras_runtime("cpu")
    assert list(result.runtime) == ["device", "tensorflow", "keras", "machine"]


def test_the_model_knows_its_origin(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, steps=4, seed=9)
    model = load_model(tmp_path / "model.h5")
    assert (model.step, model.seed, model.store_digest) == (4, 9, open_store(small).digest)


def test_two_runs_write_the_same_bytes(small: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(small, tmp_path / name, steps=150, seed=3)
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")


@pytest.mark.parametrize("examples", [1, 37, 1000])
def test_the_length_of_chunks_does_not_touch_a_bit(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    from mnist_cli.learning import training

    settings: dict[str, Any] = {"steps": 60, "batch_size": 10, "validate_every": 25, "seed": 2}
    train(small, tmp_path / "whole", **settings)
    monkeypatch.setattr(training, "_MAX_CHUNK_EXAMPLES", examples)
    train(small, tmp_path / "cut", **settings)
    assert outputs(tmp_path / "whole") == outputs(tmp_path / "cut")


def test_a_chunk_takes_no_longer_than_a_signal_may_wait(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.learning import training

    class Noting(Progress):
        def update(self, done: int, detail: str = "") -> None:
            steps.append(done)

    steps: list[int] = []
    monkeypatch.setattr(training, "_CHUNK_SECONDS", 1e-9)
    train(small, tmp_path, steps=110, validate_every=1000, batch_size=100, progress=Noting())
    assert steps == [0, *range(100, 111)]


def test_runs_that_crash_at_random_steps_end_as_an_undisturbed_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.learning import training

    settings: dict[str, Any] = {"steps": 90, "batch_size": 10, "validate_every": 20, "seed": 4}
    train(small, tmp_path / "calm", **settings)
    monkeypatch.setattr(training, "_MAX_CHUNK_EXAMPLES", 30)
    for crash in sorted(np.random.default_rng(0).integers(10, 90, 6).tolist()):
        with pytest.raises(RuntimeError, match="crash"):
            train(small, tmp_path / "rough", checkpoint_every=7, progress=Failing(crash), **settings)
    result = train(small, tmp_path / "rough", checkpoint_every=7, **settings)
    assert result.resumed_from > 0
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "rough")


def test_a_signal_ends_training_with_a_checkpoint_and_the_next_run_resumes(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path / "calm", steps=90, validate_every=15)
    with pytest.raises(Interrupted) as caught:
        train(small, tmp_path / "rough", steps=90, validate_every=15, progress=Signalling(30))
    assert caught.value.exit_code == 143
    assert caught.value.reached == "step 30"
    result = train(small, tmp_path / "rough", steps=90, validate_every=15)
    assert result.resumed_from == 30
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "rough")


def test_a_longer_run_resumes_and_equals_one_from_scratch(small: Path, tmp_path: Path) -> None:
    # 50 is no multiple of 20: the extra record at the end of the short run must not stay.
    train(small, tmp_path / "raised", steps=50, validate_every=20)
    result = train(small, tmp_path / "raised", steps=100, validate_every=20)
    assert result.resumed_from == 50
    train(small, tmp_path / "scratch", steps=100, validate_every=20)
    assert outputs(tmp_path / "raised") == outputs(tmp_path / "scratch")


def test_a_finished_run_repeats_its_outputs_from_the_last_checkpoint(small: Path, tmp_path: Path) -> None:
    train(small, tmp_path, steps=25, validate_every=10)
    before = outputs(tmp_path)
    assert train(small, tmp_path, steps=25, validate_every=10).resumed_from == 25
    assert outputs(tmp_path) == before


@pytest.mark.parametrize(("rate", "step"), [(1e38, 1), (1e308, 1), (3000.0, 1), (645.0, 2)])
def test_a_diverging_run_names_the_step_and_keeps_the_old_model(
    small: Path, tmp_path: Path, rate: float, step: int
) -> None:
    train(small, tmp_path, steps=5)
    before = outputs(tmp_path)
    with pytest.raises(TrainingDiverged, match=f"W, b or the loss is out of range after step {step}\n") as caught:
        train(small, tmp_path, steps=50, batch_size=20, learning_rate=rate, checkpoints=tmp_path / "other")
    assert "expected weights within ±128" in caught.value.message
    assert caught.value.hint == f"try a smaller learning rate: --learning-rate {min(rate / 10, 0.5):g}"
    assert outputs(tmp_path) == before
    assert not list((tmp_path / "other").glob("*"))


def test_weights_that_leave_the_range_and_return_are_noticed() -> None:
    from mnist_cli.learning.distributed.replicas import make_replicas  # here, because they bring TensorFlow
    from mnist_cli.learning.loop import TrainingLoop

    # Ten equal images of one class, then as many of the nine others: W goes up by 0.9 · rate and down by the rate.
    rows = exact.batches(0, 20, 10, 2)
    labels = np.zeros(20, np.uint8)
    labels[rows[1]] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    inputs = np.full((20, 4), 255, np.uint8)
    settings = TrainSettings(steps=2, batch_size=10, learning_rate=200.0)
    data = TrainingData(inputs, labels, inputs[:0], labels[:0], tuple("0123456789"), (2, 2), "normalise", "")
    contract = exact.train(inputs, labels, steps=2, batch=10, rate=Fraction(200), seed=0)
    assert np.abs(contract.weights).max() < 2**31
    chunk = TrainingLoop(data, settings, make_replicas("single", "cpu")).run(0, rows.astype(np.int32))
    assert (chunk.steps, chunk.is_in_range) == (1, False)


@pytest.mark.parametrize(("rate", "warnings"), [(300.0, 1), (0.5, 0)])
def test_a_model_that_is_worse_than_zeros_is_reported(tmp_path: Path, rate: float, warnings: int) -> None:
    listener = Listener()
    store = write_small_store(tmp_path / "store.h5")
    train(store, tmp_path, steps=3, batch_size=10, learning_rate=rate, progress=listener)
    found = [text for text in listener.warnings if "is above 2.303, the loss of guessing" in text]
    assert len(found) == warnings


@pytest.mark.parametrize("rate", [1e-46, 1e-12])
def test_a_rate_that_moves_no_weight_is_reported_as_too_small(tmp_path: Path, rate: float) -> None:
    listener = Listener()
    store = write_small_store(tmp_path / "store.h5", validation=0)
    train(store, tmp_path, steps=3, batch_size=10, learning_rate=rate, progress=listener)
    [warning] = [text for text in listener.warnings if "train.learning_rate" in text]
    assert warning.startswith("every weight is still zero") and "too small" in warning and "too large" not in warning


def test_a_gpu_that_is_not_there_is_a_mistake_of_the_configuration(small: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=r"train\.device: expected a GPU") as caught:
        train(small, tmp_path, steps=5, device="gpu")
    assert "--device cpu" in (caught.value.hint or "")


def test_every_parameter_out_of_range_is_named(small: Path, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {
        "steps": 0,
        "epochs": -1,
        "batch_size": "half",
        "learning_rate": float("nan"),
        "device": "tpu",
        "validate_every": 0,
        "checkpoint_every": True,
        "checkpoint_seconds": 0,
        "keep_checkpoints": -1,
    }
    with pytest.raises(ConfigError) as caught:
        train(small, tmp_path, **wrong)
    named = {problem.split(":")[0].removeprefix("train.") for problem in caught.value.problems}
    assert named == set(wrong)
    with pytest.raises(ConfigError, match=r"seed: expected a whole number from 0 to 2\^63 - 1; received -1"):
        train(small, tmp_path, seed=-1)


def test_an_empty_training_split_is_refused(tmp_path: Path) -> None:
    store = write_small_store(tmp_path / "store.h5", train=0)
    with pytest.raises(InputError, match="training split is empty"):
        train(store, tmp_path)


def test_an_unknown_way_to_resume_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected auto, require or never"):
        train(small, tmp_path, resume="maybe")


PROGRAM = """
import sys
from mnist_cli.errors import Interrupted
from mnist_cli.signals import raise_on_signals
from tests.support.progress import Speaking
from tests.support.stages import train

raise_on_signals()
try:
    train(sys.argv[1], sys.argv[2], steps=10**6, batch_size=10, checkpoint_every=500, validate_every=250,
          progress=Speaking())
except Interrupted as stop:
    sys.exit(stop.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_process_that_a_signal_ended_leaves_what_a_resumed_run_needs(
    small: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(small), str(tmp_path / "rough")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        checkpoints = tmp_path / "rough" / "checkpoints"
        reached = (int(line) for line in process.stdout)
        last = next(step for step in reached if step >= 1500 and list(checkpoints.glob("*/step-*")))
        process.send_signal(number)
        last = max([last, *(int(line) for line in process.stdout)])
        assert process.wait(60) == code
    steps = last + 300
    resumed = resume_and_compare(small, tmp_path, steps)
    assert resumed.resumed_from >= (500 if number == signal.SIGKILL else last)


def resume_and_compare(store: Path, folder: Path, steps: int) -> TrainResult:
    settings: dict[str, Any] = {"steps": steps, "batch_size": 10, "validate_every": 250}
    result = train(store, folder / "rough", resume="require", **settings)
    train(store, folder / "calm", **settings)
    assert outputs(folder / "rough") == outputs(folder / "calm")
    return result


def test_importing_tensorflow_leaves_stderr_to_others_and_its_log_lines_out() -> None:
    program = """
import os, sys
from mnist_cli.learning.tensorflow_setup import import_in_background, import_tensorflow
import_in_background()
print("from Python", file=sys.stderr, flush=True)
os.write(2, b"from elsewhere\\n")
import_tensorflow()
print("after", file=sys.stderr)
print("matplotlib" in sys.modules, sys.modules["tensorflow"].reduce_sum([1, 2]).numpy())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.splitlines() == ["from Python", "from elsewhere", "after"]
    assert done.stdout.split() == ["False", "3"]


def test_a_tensorflow_that_cannot_be_imported_is_an_error_of_ours(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.learning import tensorflow_setup

    def fail() -> None:
        raise ImportError("no such library")

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(tensorflow_setup, "_import", fail)
    with pytest.raises(InputError, match="TensorFlow cannot be imported: no such library"):
        train(small, tmp_path)


def test_the_tutorials_run_has_the_digest_of_the_contract(real: Store, tmp_path: Path) -> None:
    train(real.path, tmp_path)
    model = load_model(tmp_path / "model.h5")
    integers = [np.ascontiguousarray(array * 2.0**24).tobytes() for array in (model.weights, model.bias)]
    assert hashlib.sha256(b"".join(integers)).hexdigest()[:12] == "b57b832cfd3c"
    assert evaluate(tmp_path / "model.h5", real.path, tmp_path).correct == 9154


def test_real_weights_agree_with_floating_point(real: Store, tmp_path: Path) -> None:
    train(real.path, tmp_path)
    model = load_model(tmp_path / "model.h5")
    weights, bias, _ = reference_for(real, steps=1000, batch=100, rate=0.5, seed=0)
    assert np.abs(model.weights - weights).max() < 1e-5
    assert np.abs(model.bias - bias).max() < 2e-5
    right = reference.correct_count(real.test.inputs, real.test.labels, weights, bias)
    assert abs(evaluate(tmp_path / "model.h5", real.path, tmp_path).correct - right) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_real_accuracy_is_about_92_percent_for_any_seed(real: Store, tmp_path: Path, seed: int) -> None:
    train(real.path, tmp_path, seed=seed, validate_every=1000, keep_checkpoints=0)
    assert 0.910 <= evaluate(tmp_path / "model.h5", real.path, tmp_path).accuracy <= 0.928
