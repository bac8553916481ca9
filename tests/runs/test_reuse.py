"""Earlier trainings are reused: by the next run, by `mnist runs restore`, and by commands with `--run`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mnist_cli.audit.lock_file import Promise, lock_of
from mnist_cli.errors import NotAsLocked
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.request import StageResult
from mnist_cli.runs.runs import read_run, read_runs
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Job, Outcome
from tests.support.command_line import Command, mnist
from tests.support.pipelines import Pipeline, stand_in
from tests.support.progress import Listener

OTHER = "train.learning_rate=0.3"


@pytest.fixture
def trained_twice(pipeline: Pipeline) -> tuple[StageResult, StageResult]:
    """The training that was published first, and the one that is published now."""
    first, second = pipeline.run()[2], pipeline.run(OTHER)[2]
    return first, second


@pytest.fixture
def untrainable(trained_twice: tuple[StageResult, StageResult], monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on training fails."""

    def fail(_job: Job) -> Outcome:
        raise AssertionError("trained again")

    stand_in(monkeypatch, "train", run=fail)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.usefixtures("untrainable")
def test_a_kept_training_is_published_and_not_trained_again(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult]
) -> None:
    first, _ = trained_twice
    train = pipeline.run()[2]
    assert (train.ran, train.taken_from) == (False, first.manifest.key[:8])
    assert train.manifest.document() == first.manifest.document()
    assert pipeline.states() == ["fresh"] * 4
    kept = content(pipeline.file(f"runs/{train.taken_from}"))
    assert all(content(pipeline.file("train"))[name] == kept[name] for name in ("model.h5", "history.jsonl"))


@pytest.mark.usefixtures("untrainable")
def test_a_lost_model_comes_back_from_its_run(pipeline: Pipeline) -> None:
    pipeline.file("train/model.h5").unlink()
    assert pipeline.ran(OTHER) == ["train"]


def test_what_is_taken_counts_as_the_latest(pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult]) -> None:
    pipeline.run()
    latest = read_runs(Artifacts(pipeline.artifacts.root, PIPELINE))[0][-1]
    assert latest.id == trained_twice[0].manifest.key[:8]
    assert set(latest.evaluations) == {"test"}


@pytest.mark.parametrize("options", [{"force": True}, {"resume": "never"}, {"resume": "require"}])
def test_who_insists_on_training_trains(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult], options: dict[str, object]
) -> None:
    assert pipeline.run(stages=("train",), **options)[0].ran


@pytest.mark.parametrize("name", ["model.h5", "history.jsonl", "run.json"])
def test_a_damaged_run_is_not_used(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult], name: str
) -> None:
    pipeline.file(f"runs/{trained_twice[0].manifest.key[:8]}/{name}").write_bytes(b"garbage")
    assert pipeline.run()[2].ran


def test_a_run_that_was_recorded_damaged_is_not_used(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes have the digests of the record, and not those of the manifest."""
    listener, run = Listener(), read_run(pipeline.artifacts, trained_twice[0].manifest.key[:8])
    made = {**run.train.outputs}
    made["model.h5"] = made["model.h5"].model_copy(update={"sha256": "0" * 64})
    train = run.train.model_copy(update={"outputs": made, "sha256": ""})
    wrong = dataclasses.replace(run, record=run.record.model_copy(update={"train": train}))
    monkeypatch.setattr("mnist_cli.runs.reuse.find_same", lambda *_: wrong)
    assert pipeline.run(stages=("train",), progress=listener)[0].ran
    assert f"run {run.id}: model.h5 was changed after 'train' wrote it; not used" in listener.warnings[0]


def test_a_run_of_another_version_is_not_used(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "train", version=99)
    assert pipeline.run()[2].ran


@pytest.mark.usefixtures("untrainable")
def test_what_a_lock_does_not_promise_is_not_taken(pipeline: Pipeline) -> None:
    manifests = {name: status.manifest for name, status in pipeline.statuses(OTHER).items() if status.manifest}
    lock = lock_of(manifests, PIPELINE, {})
    train = lock.stages["train"].model_copy(update={"outputs": dict.fromkeys(lock.stages["train"].outputs, "0" * 64)})
    lock = lock.model_copy(update={"stages": {**lock.stages, "train": train}})
    pipeline.file("train/model.h5").unlink()
    with pytest.raises(NotAsLocked, match="the stage's files were not published"):
        pipeline.run(OTHER, promise=Promise(lock, Path("some.lock"), PIPELINE))
    assert not pipeline.file("train/model.h5").exists()


def test_the_plan_names_the_run_that_would_be_published(
    pipeline: Pipeline, tiny_mnist: Command, trained_twice: tuple[StageResult, StageResult]
) -> None:
    name = trained_twice[0].manifest.key[:8]
    planned = tiny_mnist("run", "--dry-run", "--json").document
    assert (planned["would_run"], planned["would_take"]) == (["eval"], {"train": name})
    assert f"train would be reused from run {name}" in tiny_mnist("run", "--dry-run").out
    assert f"train would be reused from run {name}" in tiny_mnist("status", "--set", "train.learning_rate=0.5").out
    assert tiny_mnist("run", "--dry-run", "--force", "--json").document["would_take"] == {}
    done = tiny_mnist("train", "--learning-rate", "0.5")
    assert f"run {name}:" in done.out
    assert tiny_mnist("status", "--json").document["would_take"] == {}


def test_what_is_not_known_yet_is_not_promised(
    pipeline: Pipeline, tiny_mnist: Command, trained_twice: tuple[StageResult, StageResult]
) -> None:
    planned = tiny_mnist("run", "--dry-run", "--validation-size", "12", "--json").document
    assert (planned["would_run"], planned["would_take"]) == (["preprocess", "train", "eval"], {})


@pytest.mark.usefixtures("untrainable")
def test_a_run_is_restored_with_what_it_was_trained_with(
    pipeline: Pipeline, tiny_mnist: Command, trained_twice: tuple[StageResult, StageResult]
) -> None:
    first, second = (result.manifest.key[:8] for result in trained_twice)
    pipeline.run()
    assert tiny_mnist("runs", "restore", "previous", "--json").document["stages"][0]["taken_from"] == second
    assert pipeline.states(OTHER)[:3] == ["fresh"] * 3
    status = tiny_mnist("status").out
    assert "using the options of the last run: --learning-rate 0.3\n" in status
    assert f"run {second} is published already" in tiny_mnist("runs", "restore", second).out
    assert f"run {first} is published again" in tiny_mnist("runs", "restore", first).out
    assert pipeline.states()[:3] == ["fresh"] * 3


def test_a_run_of_other_data_is_not_restored(
    pipeline: Pipeline, trained_twice: tuple[StageResult, StageResult]
) -> None:
    pipeline.run("preprocess.validation_size=20")
    refused = mnist("runs", "restore", trained_twice[0].manifest.key[:8], "--set", "dataset=tiny", code=5)
    assert (
        "was trained on other data than the current ones: preprocess is stale: preprocess.validation_size 20"
        in refused.err
    )
    assert "hint: run 'mnist run --validation-size 10 --dataset tiny'; it makes the data" in refused.err


def test_a_run_of_another_version_is_not_restored(
    pipeline: Pipeline,
    tiny_mnist: Command,
    trained_twice: tuple[StageResult, StageResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, "train", version=99)
    refused = tiny_mnist("runs", "restore", trained_twice[0].manifest.key[:8], code=5)
    assert "cannot be published as up to date: the train stage's version" in refused.err


def first_and_second(finished: Path) -> tuple[str, str]:
    older, newer = (run.id for run in read_runs(Artifacts(finished / "artifacts", PIPELINE))[0])
    return older, newer


def test_pictures_are_read_with_the_model_of_a_run(finished: Path) -> None:
    older, newer = first_and_second(finished)
    probabilities = {
        name: mnist("predict", "--index", "0", "--json", "--run", name).documents[0]["probabilities"]
        for name in (older, newer)
    }
    assert probabilities[newer] == mnist("predict", "--index", "0", "--json").documents[0]["probabilities"]
    assert probabilities[older] != probabilities[newer]
    assert mnist("show", "0", "--json", "--run", older).document["probabilities"] == probabilities[older]
    assert "there is no run 'nothing'" in mnist("show", "0", "--run", "nothing", code=5).err


@pytest.mark.parametrize("what", ["weights", "confusion", "history", "mistakes"])
def test_a_run_is_drawn_beside_the_published_model(finished: Path, what: str) -> None:
    older, newer = first_and_second(finished)
    drawn = {}
    for name in (older, newer):
        assert mnist("plot", what, "--run", name).out == f"{what}: artifacts/plots/{what}-{name}.png\n"
        drawn[name] = Path(f"artifacts/plots/{what}-{name}.png").read_bytes()
    # Both models get every image of the tiny test split right.
    assert (drawn[older] == drawn[newer]) == (what in ("confusion", "mistakes"))
    mnist("plot", what)
    assert Path(f"artifacts/plots/{what}.png").read_bytes() == drawn[newer]


def test_a_run_is_measured_and_the_result_joins_its_record(finished: Path) -> None:
    older, newer = first_and_second(finished)
    before = content(finished / "artifacts" / "eval")
    published = mnist("eval", "--json").document
    assert mnist("eval", "--run", newer, "--json").document["accuracy"] == published["accuracy"]
    measured = mnist("eval", "--run", older, "--split", "validation", "--json").document
    assert measured["model_digest"] != published["model_digest"]
    run = read_run(Artifacts(finished / "artifacts", PIPELINE), older)
    assert run.evaluations["validation"].metrics["accuracy"] == measured["accuracy"]
    assert content(finished / "artifacts" / "eval") == before


def test_an_evaluation_of_a_run_is_that_of_the_stage(finished: Path) -> None:
    _, newer = first_and_second(finished)
    artifacts = Artifacts(finished / "artifacts", PIPELINE)
    mnist("eval", "--run", newer)
    kept, published = read_run(artifacts, newer).evaluations["test"], artifacts.manifest("eval")
    assert published is not None
    assert (kept.key, kept.outputs) == (published.key, published.outputs)


def test_a_run_of_other_data_is_not_measured(finished: Path) -> None:
    older, _ = first_and_second(finished)
    mnist("preprocess", "--validation-size", "10")
    assert f"run {older} was trained on other data" in mnist("eval", "--run", older, code=5).err


def test_a_report_on_a_run_is_that_on_its_model(finished: Path) -> None:
    older, newer = first_and_second(finished)
    mnist("report")
    mnist("report", "--run", newer)
    page = Path("artifacts/report.html").read_text(encoding="utf-8")
    assert Path(f"artifacts/report-{newer}.html").read_text(encoding="utf-8") == page
    mnist("report", "--run", older)
    assert "train.learning_rate=0.01" in Path(f"artifacts/report-{older}.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("untrainable")
def test_workers_are_sent_home_when_their_chief_takes_a_kept_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    dismissed: list[str] = []
    shared = {"is_shared": lambda _config: True, "is_chief": lambda: True, "dismiss": lambda: dismissed.append("all")}
    stand_in(monkeypatch, "train", **shared)
    (result,) = pipeline.run(stages=("train",))
    assert (result.taken_from is not None, dismissed) == (True, ["all"])
