"""Whatever in the artifacts folder is a link to a user's folder: no command deletes or changes what is in there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnist_cli.files import sha256_of
from mnist_cli.stages.stage import Job, Outcome
from tests.support.command_line import Command, mnist
from tests.support.pipelines import Pipeline, fake_evaluate, stand_in

RUN = "0123abcd"
# What a link may stand for; the folder that it leads to holds what is there in artifacts that were used much.
PLACES = [
    "fetch",
    "fetch/partial",
    "preprocess",
    "train",
    "train/.new",
    "train/checkpoints",
    "train/checkpoints/0123456789ab",
    "train/checkpoints/0123456789ab/step-00000010",
    "train/notes",
    "eval",
    "runs",
    f"runs/{RUN}",
    "runs/.sweep",
    "runs/.sweep/train",
    "runs/.sweep/train/.new",
    "runs/.sweep/train/checkpoints",
    "notes",
]
QUICK = ("train", "train/notes", "runs/.sweep")
COMMANDS = {
    "run": ["run"],
    "run --force": ["run", "--force"],
    "run with other parameters": ["run", "--learning-rate", "0.3", "--set", "keep_runs=1"],
    "runs rm": ["runs", "rm", RUN],
    "verify --repair": ["verify", "--repair"],
    "sweep": ["sweep", "--set", "train.learning_rate=0.1,0.9"],
}


@pytest.fixture(autouse=True)
def few_words(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the stand-ins what commands print about a training and an evaluation."""

    def evaluate(job: Job) -> Outcome:
        return Outcome(fake_evaluate(job).metrics | {"model_digest": "0" * 64})

    stand_in(monkeypatch, "train", summary=lambda _metrics: "trained")
    stand_in(monkeypatch, "eval", run=evaluate, summary=lambda _metrics: "evaluated", conclusion=None, gate=None)
    monkeypatch.setenv("MNIST_MIRRORS", str(pipeline.mirror))


def used_much(artifacts: Path) -> None:
    """Create what killed runs, sweeps and downloads leave, and what looks like it."""
    for name in (
        "fetch/partial/0123456789abcdef-a.part",
        "train/checkpoints/0123456789ab/step-00000010/state.json",
        "train/.new/manifest.json",
        "train/.new/model.h5",
        "train/notes/letter",
        f"runs/{RUN}/run.json",
        f"runs/{RUN}/eval-test.json",
        "runs/.sweep/train/model.h5",
        "runs/.sweep/train/letter",
        "runs/.sweep/train/.new/model.h5",
        "runs/.sweep/train/checkpoints/0123456789ab/step-00000010/state.json",
        "notes/letter",
    ):
        (artifacts / name).parent.mkdir(parents=True, exist_ok=True)
        (artifacts / name).write_bytes(b"precious")
    for folder in [artifacts, *(path for path in artifacts.rglob("*") if path.is_dir())]:
        (folder / ".tmp-x-0123abcd").write_bytes(b"precious")


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "place",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.exhaustive) for name in PLACES],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_behind_a_link_is_changed(
    pipeline: Pipeline, tiny_mnist: Command, tmp_path: Path, command: str, place: str
) -> None:
    pipeline.run()
    used_much(pipeline.artifacts.root)
    precious = tmp_path / "precious"
    link = pipeline.file(place)
    shutil.move(link, precious)
    link.symlink_to(precious)
    before = content(precious)
    assert before
    done = tiny_mnist(*COMMANDS[command], code=None)
    assert done.code in (0, 1, 2, 5, 6), done.err
    assert "internal" not in done.err
    assert content(precious) == before


def test_a_linked_folder_of_a_stage_is_refused_by_name(pipeline: Pipeline, tiny_mnist: Command, tmp_path: Path) -> None:
    pipeline.run()
    pipeline.file("train").rename(tmp_path / "elsewhere")
    pipeline.file("train").symlink_to(tmp_path / "elsewhere")
    tiny_mnist("status")
    done = tiny_mnist("train", "--learning-rate", "0.3", code=5)
    assert "artifacts/train: expected a folder; received a symbolic link; nothing behind it is changed" in done.err
    assert "hint: replace the link with what it points to" in done.err


def test_only_what_a_sweep_made_is_removed_after_it(pipeline: Pipeline, tiny_mnist: Command) -> None:
    pipeline.run()
    letter = pipeline.file("runs/.sweep/train/letter")
    letter.parent.mkdir(parents=True)
    letter.write_bytes(b"precious")
    tiny_mnist("sweep", "--set", "train.learning_rate=0.1,0.9")
    assert [path.name for path in letter.parent.iterdir()] == ["letter"]


@pytest.mark.parametrize("command", [["run"], ["status"], ["verify"], ["runs", "list"], ["predict", "0"], ["report"]])
@pytest.mark.parametrize("target", ["gone/and/away", "artifacts"])  # the second is a link to itself
@pytest.mark.parametrize("below", ["", "/deeper"])
def test_an_artifacts_folder_that_is_a_dangling_link_is_reported_as_such(
    empty: Path, command: list[str], target: str, below: str
) -> None:
    Path("artifacts").symlink_to(target)
    told = mnist(*command, "--artifacts", f"artifacts{below}", code=5).err
    assert told.startswith(f"error: artifacts: a link to {target}, which does not exist\n")
    assert "hint: mount or create its target, or remove the link" in told
