"""The stage `features`: what it writes, what it resumes from, what it refuses, and when it has nothing to do."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.errors import ConfigError, InputError, Interrupted
from mnist_cli.formats.growing_store import GrowingStore
from mnist_cli.formats.store import open_store
from mnist_cli.maps import feature_map
from mnist_cli.stages import features as stage
from tests.support import plain_layers, plain_maps
from tests.support.command_line import Command
from tests.support.configs import load_config, parse_override
from tests.support.data import write_small_store, write_strokes
from tests.support.pipelines import Pipeline
from tests.support.progress import Listener
from tests.support.stages import features

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_small_store(tmp_path / "pixels.h5", train=45, validation=12, test=23)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 10 images, each of which is saved."""
    monkeypatch.setattr(feature_map, "BLOCK", 10)
    monkeypatch.setattr(stage, "_SAVE_SECONDS", 0.0)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def plain_rows(pixels: Path, split: str, shape: tuple[int, int], program: list[Any]) -> plain_maps.Array:
    """Return the bytes of a split's features by the plain program, fitted to the training images."""
    opened = open_store(pixels)
    fit = plain_maps.fit_quantiser(*plain_maps.features(program, opened.train.inputs.reshape(-1, *shape)))
    return fit(plain_maps.features(program, getattr(opened, split).inputs.reshape(-1, *shape))[0])


@pytest.mark.parametrize(
    ("shape", "classes"), [((16, 16), LETTERS), ((40, 24), tuple("ab")), ((28, 28), LETTERS), ((70, 9), tuple("abc"))]
)
def test_every_split_becomes_its_features(tmp_path: Path, shape: tuple[int, int], classes: tuple[str, ...]) -> None:
    pixels = write_strokes(tmp_path / "pixels.h5", shape, train=8, validation=3, test=4, classes=classes)
    result = features(pixels, tmp_path, map="grad8", deskew=True)
    written, before = open_store(tmp_path / "store.h5"), open_store(pixels)
    program = [*([{"shrink": 2}] if max(shape) > 64 else []), *plain_maps.described("grad8", deskew=True)]
    for split in ("train", "validation", "test"):
        received, old = getattr(written, split), getattr(before, split)
        assert np.array_equal(received.inputs, plain_rows(pixels, split, shape, program))
        assert np.array_equal(received.labels, old.labels)
    assert (written.dataset, written.split_rule, written.image_shape, written.classes, written.sources) == (
        before.dataset,
        before.split_rule,
        before.image_shape,
        before.classes,
        before.sources,
    )
    assert (written.zero, written.step) == (80, 32)
    assert (result.train, result.validation, result.test) == (8, 3, 4)
    assert (result.store_digest, result.source_digest) == (written.digest, before.digest)
    assert written.feature_map is not None
    assert (result.map_digest, result.features) == (written.feature_map.digest, written.train.inputs.shape[1])
    images = before.test.inputs.reshape(-1, *shape)
    assert np.array_equal(written.feature_map.rows(images), written.test.inputs)


def test_warped_copies_come_after_the_images(tmp_path: Path, store: Path) -> None:
    features(store, tmp_path, map="grad8", deskew=True, copies=2, seed=7, warp=0.5)
    written, before = open_store(tmp_path / "store.h5"), open_store(store)
    assert written.feature_map is not None
    images = before.train.inputs.reshape(-1, 28, 28)
    deskewed = plain_maps.features(["deskew"], images)[0].reshape(-1, 28, 28)
    assert np.array_equal(written.train.labels, np.tile(before.train.labels, 3))
    assert np.array_equal(written.train.inputs[:45], written.feature_map.rows(images))
    quantiser = written.feature_map.quantiser
    plain = plain_maps.Quantiser(quantiser.factors.tolist(), quantiser.offsets.tolist(), quantiser.shift)
    for copy, position in ((1, 0), (1, 44), (2, 13)):
        warped = plain_layers.warped(deskewed[position].tolist(), position, copy, 7, plain_maps.HALF)
        whole, _ = plain_maps.features(plain_maps.described("grad8"), np.array([warped], np.uint8))
        assert np.array_equal(written.train.inputs[45 * copy + position], plain(whole)[0])
    assert len(written.validation) == 12
    assert len(written.test) == 23


def test_exemplars_are_training_images(tmp_path: Path, store: Path) -> None:
    result = features(store, tmp_path, map="scat2-exemplars")
    written = open_store(tmp_path / "store.h5")
    made = written.feature_map
    assert made is not None
    assert made.exemplars is not None
    assert result.features == 3969 + 45, "there are not 4,000 training images"
    rows = written.train.inputs
    assert np.array_equal(made.exemplars.rows(rows[:, :3969]), rows[:, 3969:])


def test_a_map_of_ones_own_is_a_file(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("title: cells\nprogram:\n  - pool: {box: 7, shift: 2}\n")
    result = features(store, tmp_path, map=str(path))
    expected = plain_rows(store, "test", (28, 28), [{"pool": {"box": 7, "shift": 2}}])
    assert np.array_equal(open_store(tmp_path / "store.h5").test.inputs, expected)
    assert (result.map, result.features) == ("own", 16)


def test_a_map_that_does_not_suit_the_images_is_refused(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("program:\n  - pool: {rows: [[1, 1]], columns: [[1, 1]], shift: 0}\n")
    with pytest.raises(InputError, match=r"operation 1, pool: expected windows over 28 × 28 values; received 2 × 2"):
        features(store, tmp_path, map=str(path))


def test_features_of_features_or_of_nothing_are_refused(tmp_path: Path, store: Path) -> None:
    with pytest.raises(ConfigError, match="expected a map other than pixels"):
        features(store, tmp_path)
    features(store, tmp_path, map="grad8")
    for path in (tmp_path / "store.h5", write_small_store(tmp_path / "empty.h5", train=0)):
        with pytest.raises(InputError, match="expected a store of pixels with training images"):
            features(path, tmp_path / "new", map="grad8")


def test_a_disk_that_is_too_full_is_refused_before_anything_is_written(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 100_000, 100_000))
    with pytest.raises(InputError) as caught:
        features(store, tmp_path / "new", map="scat1", copies=3)
    # (45 · 4 + 12 + 23) rows of 833 bytes and a label
    assert "the features need 179.3 kB of disk space; 100.0 kB are free" in caught.value.message
    assert "features.copies" in str(caught.value.hint)
    assert not (tmp_path / "new").exists()


def test_a_need_for_much_disk_space_is_noted(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_NOTEWORTHY", 1000)
    listener = Listener()
    features(store, tmp_path, map="grad8", progress=listener)
    assert listener.notes == ["the features take 31.4 kB of disk space"]
    assert listener.tasks == [("features", 80, "images")]
    assert (listener.updates[-1], listener.open_tasks) == (80, 0)


# Interrupted, killed, damaged: the end has the bytes of an undisturbed run.

GIVEN = {"map": "grad8", "copies": 1}  # 45 + 45 + 12 + 23 rows


@pytest.fixture
def undisturbed(tmp_path: Path, store: Path) -> str:
    features(store, tmp_path / "undisturbed", **GIVEN)
    return digest(tmp_path / "undisturbed" / "store.h5")


class Stopper(Listener):
    """Sends this process a signal as soon as a number of rows are done."""

    def __init__(self, number: signal.Signals, rows: int) -> None:
        super().__init__()
        self._number, self._rows = number, rows

    def update(self, done: int, detail: str = "") -> None:
        super().update(done, detail)
        if done >= self._rows and len(self.updates) == len([each for each in self.updates if each <= done]):
            self._rows = 10**9
            signal.raise_signal(self._number)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("stop", "reached"), [(1, 10), (45, 45), (46, 55), (90, 90), (91, 100), (120, 122)])
def test_a_signal_ends_it_after_a_block_and_the_next_run_resumes_there(
    tmp_path: Path, store: Path, undisturbed: str, number: signal.Signals, stop: int, reached: int
) -> None:
    with pytest.raises(Interrupted) as caught:
        features(store, tmp_path / "new", progress=Stopper(number, stop), **GIVEN)
    assert caught.value.exit_code == 128 + number
    assert caught.value.reached == f"row {reached}"
    assert stage.FEATURES.left_over is not None
    assert stage.FEATURES.left_over(tmp_path / "new" / "partial") == f"partial/store.part, {reached} rows"
    listener = Listener()
    result = features(store, tmp_path / "new", progress=listener, **GIVEN)
    assert (result.resumed_from, listener.notes) == (reached, [f"resumed from row {reached}"])
    assert listener.updates[0] > reached
    assert digest(tmp_path / "new" / "store.h5") == undisturbed
    assert not (tmp_path / "new" / "partial").exists()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("block", range(14))
def test_a_run_resumes_after_a_kill_at_any_block(
    tmp_path: Path, store: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    blocks = iter(range(100))
    append = GrowingStore.append

    def dying(self: GrowingStore, *arguments: Any) -> None:
        if next(blocks) == block:
            raise KeyboardInterrupt
        append(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(GrowingStore, "append", dying)
        features(store, tmp_path / "new", **GIVEN)
    result = features(store, tmp_path / "new", **GIVEN)
    assert result.resumed_from == [0, 10, 20, 30, 40, 45, 55, 65, 75, 85, 90, 100, 102, 112][block]
    assert digest(tmp_path / "new" / "store.h5") == undisturbed


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "other", [{"map": "scat1"}, {"copies": 2}, {"warp": 0.5}, {"seed": 1}, {"deskew": True}], ids=str
)
def test_rows_of_other_settings_are_not_resumed_from(
    tmp_path: Path, store: Path, undisturbed: str, other: dict[str, Any]
) -> None:
    with pytest.raises(Interrupted):
        features(store, tmp_path / "new", progress=Stopper(signal.SIGTERM, 30), **{**GIVEN, **other})
    assert features(store, tmp_path / "new", **GIVEN).resumed_from == 0
    assert digest(tmp_path / "new" / "store.h5") == undisturbed


def test_the_number_of_processors_moves_no_byte(
    tmp_path: Path, store: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_cli.threads.processors", lambda: 7)
    monkeypatch.setattr(feature_map, "BLOCK", 3)
    features(store, tmp_path / "new", **GIVEN)
    assert digest(tmp_path / "new" / "store.h5") == undisturbed


# What counts.


def key(*settings: str) -> dict[str, Any]:
    config = load_config(overrides=[parse_override(text) for text in settings]).config
    return dict(stage.FEATURES.parameters(config))


def test_what_nothing_depends_on_is_not_in_the_key(empty: Path) -> None:
    assert key("features.map=grad8") == {"features.map": "grad8", "features.deskew": False}
    assert key("features.map=grad8", "features.warp=0.5", "features.seed=3") == key("features.map=grad8")
    assert key("features.map=grad8", "features.copies=1") == {
        **key("features.map=grad8"),
        "features.copies": 1,
        "features.warp": 1.0,
        "features.seed": 0,
    }
    assert key("features.map=scat2-exemplars", "features.seed=3", "features.warp=2")["features.seed"] == 3
    assert "features.warp" not in key("features.map=scat2-exemplars")


def test_a_map_of_ones_own_counts_by_what_it_does(empty: Path) -> None:
    Path("a.yaml").write_text("program: [{pool: {box: 4, shift: 2}}]")
    Path("b.yaml").write_text("title: the same\nprogram:\n  - pool: {shift: 2, box: 4}")
    Path("c.yaml").write_text("program: [{pool: {box: 4, shift: 3}}]")
    assert key("features.map=a.yaml") == key("features.map=b.yaml") != key("features.map=c.yaml")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("features.deskew=true", "features.deskew: needs features.map: expected a map other than pixels"),
        ("features.copies=1", "features.copies: needs features.map: expected a map other than pixels"),
        ("features.copies=64", "expected a whole number from 0 to 63; received 64"),
        ("features.warp=0", "received 0"),
        ("features.map=grad9", "received 'grad9'; did you mean 'grad8'?"),
        ("features.map=none.yaml", "features.map: none.yaml: cannot be read: No such file or directory"),
    ],
)
def test_settings_that_make_no_sense_are_reported(empty: Path, setting: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[parse_override(setting)])
    assert problem in caught.value.message


def test_all_mistakes_in_a_file_are_reported_with_those_of_the_configuration(empty: Path) -> None:
    Path("map.yaml").write_text("program: [relu3, {shrink: 99}]")
    Path("pipeline.yaml").write_text("train: {steps: -1}\nfeatures:\n  map: map.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert [problem.split(" expected")[0] for problem in caught.value.problems] == [
        "pipeline.yaml:1:16: train.steps:",
        "pipeline.yaml:3:8: features.map: map.yaml:1:11: program[0]:",
        "pipeline.yaml:3:8: features.map: map.yaml:1:27: program[1].shrink: shrink:",
    ]


def test_a_program_that_could_overflow_is_reported_before_anything_runs(empty: Path) -> None:
    Path("map.yaml").write_text("program: [{conv: {kernels: morlet, shift: 0}}, modulus]")
    with pytest.raises(ConfigError, match=r"features\.map: map\.yaml: operation 2, modulus: squares up to"):
        load_config(overrides=[parse_override("features.map=map.yaml")])


# In the pipeline.


EVERY = ("fetch", "preprocess", "features", "train", "eval")


def test_with_pixels_there_is_no_folder_and_no_line(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    for command in (("run", "--to", "train"), ("status",)):
        result = tiny_mnist(*command)
        assert "features" not in result.out + result.err
    assert not pipeline.file("features").exists()


def test_with_a_map_training_reads_the_features(pipeline: Pipeline) -> None:
    assert pipeline.ran("features.map=grad8", stages=EVERY) == list(EVERY)
    assert sorted(path.name for path in pipeline.file("features").iterdir()) == ["manifest.json", "store.h5"]
    assert pipeline.ran("features.map=grad8", stages=EVERY) == []
    assert pipeline.ran("features.map=grad8", "features.seed=5", stages=EVERY) == []
    assert pipeline.why("features", "features.map=scat1", "features.deskew=true") == [
        "features.map grad8 (from the command line) → scat1",
        "features.deskew False → True",
    ]
    assert pipeline.why("train", "features.map=scat1") == ["waits for features"]
    assert pipeline.ran() == ["train", "eval"], "the store of pixels is up to date"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_its_code_and_the_next_says_where_it_resumes(
    pipeline: Pipeline, tiny_mnist: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, small_blocks: None
) -> None:
    pipeline.run(stages=("fetch", "preprocess"))
    rows_of = stage.rows_of
    asked = iter(range(1000))

    def signalling(*arguments: Any) -> Any:
        if next(asked) == 3:
            signal.raise_signal(number)
        return rows_of(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "rows_of", signalling)
        stopped = tiny_mnist("features", "--map", "grad8", code=128 + number)
    assert "mnist features" in stopped.err
    reached = re.findall(r"row ([\d,]+)", stopped.err)[0]
    assert f"partial/store.part, {reached} rows" in tiny_mnist("status", "--set", "features.map=grad8").out
    assert f"resumed from row {reached}" in tiny_mnist("features", "--map", "grad8").err
    features(pipeline.file("preprocess") / "store.h5", pipeline.artifacts.root / "again", map="grad8")
    again, here = (pipeline.artifacts.root / name / "store.h5" for name in ("again", "features"))
    assert digest(again) == digest(here)
