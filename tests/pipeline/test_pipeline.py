"""What runs, when and why: states, reasons, manifests and the mutex, on a tiny data set with stand-in training."""

from __future__ import annotations

import dataclasses
import gzip
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_cli.errors import InputError, Locked
from mnist_cli.pipeline.mutex import locked
from mnist_cli.pipeline.overrides import as_typed, last_overrides, remember_overrides
from mnist_cli.pipeline.plan import State
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Job, Outcome, upstream
from tests.support.command_line import Command
from tests.support.configs import defaults
from tests.support.data import register_dataset, write_tiny_dataset
from tests.support.pipelines import ALL, Pipeline, stand_in


def test_a_new_folder_is_missing_everything(pipeline: Pipeline) -> None:
    assert pipeline.states() == ["missing"] * 4
    assert not pipeline.artifacts.root.exists()


def test_a_run_makes_everything_fresh_and_a_second_one_does_nothing(pipeline: Pipeline) -> None:
    assert pipeline.ran() == list(ALL)
    assert pipeline.states() == ["fresh"] * 4
    assert pipeline.ran() == []


def test_a_run_with_nothing_to_do_writes_nothing(pipeline: Pipeline) -> None:
    pipeline.run()
    before = {path: path.stat().st_mtime_ns for path in pipeline.artifacts.root.rglob("*")}
    pipeline.run()
    assert {path: path.stat().st_mtime_ns for path in pipeline.artifacts.root.rglob("*")} == before


def test_two_folders_get_the_same_keys_and_digests(pipeline: Pipeline, tmp_path: Path) -> None:
    other = Pipeline(tmp_path / "other", pipeline.mirror)
    first, second = pipeline.run(), other.run()
    assert [result.manifest.key for result in first] == [result.manifest.key for result in second]
    assert [result.manifest.outputs for result in first] == [result.manifest.outputs for result in second]


def test_a_changed_parameter_makes_its_stage_stale_and_the_next_one_pending(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.states("train.learning_rate=0.3") == ["fresh", "fresh", "stale", "pending"]
    assert pipeline.why("train", "train.learning_rate=0.3") == ["train.learning_rate 0.5 → 0.3"]
    assert pipeline.why("eval", "train.learning_rate=0.3") == ["waits for train"]


def test_a_value_from_the_command_line_is_marked(pipeline: Pipeline) -> None:
    pipeline.run("train.steps=7")
    assert pipeline.why("train") == ["train.steps 7 (from the command line) → 1000"]


def test_a_change_that_follows_from_another_is_not_in_the_line(pipeline: Pipeline) -> None:
    pipeline.run()
    status = pipeline.statuses("train.optimizer=adam")["train"]
    assert status.why() == "train.learning_rate 0.5 → 0.005; train.optimizer sgd → adam"
    assert len(status.reasons) > 2


def test_only_what_changed_runs_again(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.ran("train.learning_rate=0.3") == ["train", "eval"]
    assert pipeline.ran("train.learning_rate=0.3", "eval.split=validation") == ["eval"]


def test_an_output_that_comes_out_the_same_stops_the_propagation(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.ran("train.learning_rate=0.52") == ["train"]


def test_parameters_that_change_no_output_make_nothing_stale(pipeline: Pipeline) -> None:
    pipeline.run()
    of_training = ("train.checkpoint_every=7", "train.keep_checkpoints=1", "train.tensorboard=true")
    assert pipeline.states(*of_training, "fetch.timeout=5", "eval.min_accuracy=0.1") == ["fresh"] * 4


def test_epochs_replace_steps(pipeline: Pipeline) -> None:
    pipeline.run("train.epochs=2")
    assert pipeline.why("train") == [
        "train.epochs 2 (from the command line) → (not used)",
        "train.steps (not used) → 1000",
    ]


def test_a_new_version_of_a_stage_makes_it_stale(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()
    monkeypatch.setitem(PIPELINE.stages, "eval", dataclasses.replace(PIPELINE.stages["eval"], version=3))
    assert pipeline.why("eval") == ["the eval stage's version 2 → 3"]


def test_another_runtime_makes_training_stale(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()
    newer = dataclasses.replace(PIPELINE.stages["train"], runtime=lambda _config: {"device": "gpu", "tensorflow": "3"})
    monkeypatch.setitem(PIPELINE.stages, "train", newer)
    assert pipeline.why("train") == ["runtime device cpu → gpu", "runtime tensorflow 2 → 3"]


def test_another_data_set_makes_the_stages_after_it_run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()
    other = pipeline.mirror.parent / "other"
    write_tiny_dataset(other, seed=9)
    register_dataset(other, monkeypatch, "other")
    assert pipeline.ran("dataset=other", mirrors=(str(other),)) == list(ALL)


def test_a_lost_output_is_incomplete_and_made_again(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("preprocess/store.h5").unlink()
    assert pipeline.states() == ["fresh", "incomplete", "pending", "pending"]
    assert pipeline.why("preprocess") == ["store.h5 is missing"]
    assert pipeline.ran() == ["preprocess"]


def test_a_changed_output_is_corrupt_and_made_again(pipeline: Pipeline) -> None:
    pipeline.run()
    metrics = pipeline.file("eval/metrics.json")
    metrics.write_text("{}", encoding="utf-8")
    assert pipeline.states() == ["fresh", "fresh", "fresh", "corrupt"]
    assert pipeline.why("eval")[0].startswith("metrics.json ")
    assert pipeline.ran() == ["eval"]


@pytest.mark.parametrize("content", [b"not HDF5", b""])
def test_a_store_that_is_not_one_is_corrupt(pipeline: Pipeline, content: bytes) -> None:
    pipeline.run()
    pipeline.file("preprocess/store.h5").write_bytes(content)
    assert pipeline.states()[1] == "corrupt"
    assert pipeline.ran() == ["preprocess"]


def test_a_damaged_manifest_is_corrupt_and_the_stage_runs_again(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("train/manifest.json").write_bytes(b"{")
    assert pipeline.states() == ["fresh", "fresh", "corrupt", "pending"]
    assert pipeline.why("train")[0].startswith(f"{pipeline.file('train/manifest.json')}: not JSON; ")
    assert pipeline.ran() == ["train"]


def test_a_lost_manifest_is_incomplete_and_files_that_are_right_are_not_fetched_again(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.file("fetch/manifest.json").unlink()
    assert pipeline.why("fetch") == ["files without a manifest"]
    shutil.rmtree(pipeline.mirror)
    assert pipeline.ran() == ["fetch"]


def test_checkpoints_without_a_manifest_are_an_interrupted_training(pipeline: Pipeline) -> None:
    pipeline.run(stages=("fetch", "preprocess"))
    pipeline.file("train/checkpoints/0123456789ab/step-00000400").mkdir(parents=True)
    assert pipeline.states()[2] == "incomplete"
    assert pipeline.why("train") == ["interrupted; can resume from checkpoints/0123456789ab/step-00000400"]


def test_force_runs_what_is_fresh(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.ran(force=True, stages=("train", "eval")) == ["train", "eval"]


def test_training_that_must_not_resume_runs_again_and_independent_stages_do_not(pipeline: Pipeline) -> None:
    pipeline.run()
    assert pipeline.ran(resume="never") == ["train"]  # the model comes out the same
    assert pipeline.ran(resume="auto") == []
    assert pipeline.ran(resume="never", stages=("eval",)) == []


def test_a_stage_whose_input_is_missing_names_the_command_to_run(pipeline: Pipeline) -> None:
    with pytest.raises(InputError, match="'train' needs 'fetch', which is missing") as caught:
        pipeline.run(stages=("train",))
    assert caught.value.exit_code == 5
    assert "'mnist fetch'" in str(caught.value.hint)


def test_a_stage_with_a_stale_input_names_old_and_new_value(pipeline: Pipeline) -> None:
    pipeline.run()
    with pytest.raises(InputError, match=r"which is stale: preprocess\.validation_size 10 → 11"):
        pipeline.run("preprocess.validation_size=11", stages=("train",))


def test_a_stage_that_fails_leaves_what_was_there(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()
    before = pipeline.file("train/model.h5").read_bytes()

    def fail(job: Job) -> Outcome:
        (job.new / "model.h5").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(PIPELINE.stages, "train", dataclasses.replace(PIPELINE.stages["train"], run=fail))
    with pytest.raises(OSError, match="No space"):
        pipeline.run("train.learning_rate=0.3")
    assert pipeline.file("train/model.h5").read_bytes() == before
    assert pipeline.states() == ["fresh"] * 4
    assert not pipeline.file("train/.new").exists()


def test_leftovers_of_killed_runs_are_swept(pipeline: Pipeline) -> None:
    pipeline.run()
    leftovers = [pipeline.file(name) for name in (".tmp-x-0123abcd", "eval/.tmp-x-0123abcd", "eval/.new/x")]
    leftovers[2].parent.mkdir()
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    pipeline.run("eval.split=train")
    assert not any(leftover.exists() for leftover in leftovers)


def test_leftovers_are_swept_also_when_there_is_nothing_to_do(pipeline: Pipeline) -> None:
    pipeline.run()
    names = (".lock-holder.json", ".tmp-x-0123abcd", "eval/.new/x", "train/checkpoints/.tmp-step-1-0123abcd/weights")
    for leftover in map(pipeline.file, names):
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_bytes(b"half")
    assert pipeline.ran() == []
    assert not any(pipeline.file(name).exists() for name in names)
    assert not list(pipeline.artifacts.root.rglob(".tmp-*"))


def test_a_run_that_died_while_it_moved_its_files_is_finished_by_the_next(pipeline: Pipeline) -> None:
    pipeline.run()
    published, new = pipeline.file("eval/metrics.json"), pipeline.file("eval/.new")
    pipeline.run("eval.split=train")
    new.mkdir()
    shutil.copy(pipeline.file("eval/manifest.json"), new)
    shutil.copy(published, new)
    published.write_bytes(b"of the run before")
    assert pipeline.ran("eval.split=train") == []
    assert not new.exists()


def test_overrides_that_count_are_remembered(pipeline: Pipeline) -> None:
    assert last_overrides(pipeline.artifacts) == {}
    pipeline.artifacts.root.mkdir()
    given = {"train.steps": 7, "fetch.mirrors": ["https://user:password@mirror.example.org/"]}
    remember_overrides(pipeline.artifacts, given)
    assert last_overrides(pipeline.artifacts) == {"train.steps": 7}
    assert as_typed(PIPELINE.declarations, {"train.steps": 7, "train.ema": 0.5}) == "--steps 7 --set train.ema=0.5"
    assert as_typed(PIPELINE.declarations, {"dataset": "my/own.yaml"}) == "--dataset my/own.yaml"
    assert as_typed(PIPELINE.declarations, {"dataset": "null"}) == "--dataset '\"null\"'"


@pytest.mark.parametrize("content", [b"", b"[1]", b'"x"', b"{", b'{"train.steps": "many"}', b"\xff"])
def test_unreadable_remembered_overrides_are_ignored(pipeline: Pipeline, content: bytes) -> None:
    pipeline.artifacts.root.mkdir()
    (pipeline.artifacts.root / ".overrides.json").write_bytes(content)
    assert last_overrides(pipeline.artifacts) == {}


def test_a_manifest_records_what_the_stage_was_run_with(pipeline: Pipeline) -> None:
    manifest = pipeline.run("train.steps=7")[2].manifest
    store = pipeline.artifacts.manifest("preprocess")
    assert store is not None
    assert manifest.parameters["train.steps"] == 7
    assert manifest.overrides == {"train.steps": 7}
    assert manifest.inputs == {"preprocess/store.h5": store.outputs["store.h5"].sha256}
    assert manifest.runtime == {"device": "cpu", "tensorflow": "2"}
    assert manifest.environment["python"]


def test_a_copied_folder_is_fresh_whatever_its_times(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.run()
    shutil.copytree(pipeline.artifacts.root, tmp_path / "copy")
    assert Pipeline(tmp_path / "copy", pipeline.mirror).states() == ["fresh"] * 4


HOLD = """
import sys
from pathlib import Path
from mnist_cli.pipeline.mutex import locked
with locked(Path(sys.argv[1]), "mnist train"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the mutex until its standard input is closed."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "artifacts")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_loser_learns_who_holds_the_folder(pipeline: Pipeline, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(Locked, match=rf"'mnist train', process {holder.pid}, since") as caught:
        pipeline.run()
    assert caught.value.exit_code == 7


def test_a_process_that_was_killed_before_is_not_named_as_the_holder(
    pipeline: Pipeline, holder: subprocess.Popen[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait(30)
    place = pipeline.file(".lock-holder.json")
    right = place.read_bytes()
    place.write_bytes(right.replace(str(holder.pid).encode(), str(dead.pid).encode()))
    writes_itself_down = threading.Timer(0.1, place.write_bytes, [right])
    writes_itself_down.start()
    with pytest.raises(Locked, match=rf"process {holder.pid}, since"):
        pipeline.run()
    writes_itself_down.join()


def test_one_who_waits_gets_the_lock_when_it_is_free(pipeline: Pipeline, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    assert pipeline.ran(wait=30) == list(ALL)


def test_a_fresh_run_says_that_another_one_is_at_work(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    words = ("run", "--to", "preprocess")
    with locked(pipeline.artifacts.root, "mnist train"):
        busy = tiny_mnist(*words).out.splitlines()[-1]
    assert busy.startswith(f"another run is in progress ('mnist train', process {os.getpid()}, since ")
    assert busy.endswith("); until it ends, fetch and preprocess are up to date")
    assert tiny_mnist(*words).out.splitlines()[-1] == "nothing to do: fetch and preprocess are up to date"


def test_a_killed_holder_holds_nothing(pipeline: Pipeline, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(10)
    assert pipeline.ran() == list(ALL)


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(pipeline: Pipeline) -> None:
    pipeline.artifacts.root.write_bytes(b"a file where the folder should be")
    with pytest.raises(FileExistsError, match="artifacts"):
        pipeline.run()


def test_upstream_is_in_pipeline_order() -> None:
    bound = PIPELINE.bind(defaults())
    assert upstream(bound, ["eval"]) == ["fetch", "preprocess", "train"]
    assert upstream(bound, ["fetch"]) == []


def test_states_are_those_of_the_design() -> None:
    names = ["missing", "incomplete", "corrupt", "stale", "pending", "unneeded", "fresh"]
    assert [str(state) for state in State] == names


def test_a_flipped_bit_in_a_fetched_file_is_seen_and_mended_by_the_next_run(pipeline: Pipeline) -> None:
    pipeline.run()
    path = pipeline.file("fetch/train-images-idx3-ubyte.gz")
    good = path.read_bytes()
    path.write_bytes(good[:200] + bytes([good[200] ^ 1]) + good[201:])
    assert pipeline.states()[0] == "corrupt"
    assert pipeline.ran() == ["fetch"]
    assert path.read_bytes() == good


def test_a_flipped_bit_that_the_planner_cannot_see_is_seen_by_the_stage_that_reads_it(pipeline: Pipeline) -> None:
    pipeline.run()
    path = pipeline.file("fetch/train-labels-idx1-ubyte.gz")
    content = gzip.decompress(path.read_bytes())
    # Packed without compression, so that other labels give a whole file of the same size.
    path.write_bytes(gzip.compress(content, 0))
    assert pipeline.states() == ["fresh"] * 4, "only the content counts"
    pipeline.run()  # which remembers the file as it is now
    status = path.stat()
    path.write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1]), 0))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert pipeline.states() == ["fresh"] * 4
    with pytest.raises(InputError, match="was changed after 'fetch' published it") as caught:
        pipeline.run("preprocess.validation_size=12")
    assert "mnist fetch --force" in (caught.value.hint or "")
    assert pipeline.states() == ["fresh"] * 4, "what was published before is as it was"


def test_files_of_another_version_are_verified_and_not_fetched_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(stages=("fetch",))
    stand_in(monkeypatch, "fetch", version=PIPELINE.stages["fetch"].version + 1)
    assert pipeline.why("fetch") == ["the fetch stage's version 2 → 3"]
    (result,) = pipeline.run(stages=("fetch",), mirrors=("nowhere",))
    assert {file["source"] for file in result.manifest.metrics["files"]} == {"already there"}
    assert result.manifest.metrics["bytes_received"] == 0
