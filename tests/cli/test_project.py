"""The project is found from a folder below it, commands say what they look at, and a model has one id everywhere."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mnist_cli.cli import completion
from mnist_cli.cli.project import find_project
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.runs.runs import published_id
from mnist_cli.stages import PIPELINE
from tests.support.command_line import mnist


@pytest.fixture
def below(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder two levels below a finished project, as the current one."""
    folder = finished / "notes" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_status_says_which_folder_and_file_it_looks_at(finished: Path) -> None:
    assert mnist("status").out.splitlines()[0] == "artifacts: artifacts; configuration: pipeline.yaml"
    found = mnist("status", "--json", "--artifacts", "other", "--config", os.devnull).document
    assert (found["artifacts"], found["config"]) == ("other", os.devnull)
    Path("pipeline.yaml").unlink()
    told = mnist("status", "--set", "dataset=tiny").out.splitlines()[0]
    assert told == "artifacts: artifacts; configuration: defaults (no pipeline.yaml)"
    assert mnist("status", "--json").document["config"] is None


def test_a_project_is_found_from_below(below: Path) -> None:
    status = mnist("status", "--check")
    assert status.out.splitlines()[0] == "artifacts: ../../artifacts; configuration: ../../pipeline.yaml"
    mnist("run")
    mnist("train", "--steps", "30")
    assert "using the options of the last run: --steps 30" in mnist("status").out
    mnist("run")
    mnist("lock", "--check")
    mnist("run", "--frozen")
    mnist("verify")
    assert list(below.iterdir()) == [], "everything went into the project"


def test_what_is_named_is_named_from_here(below: Path) -> None:
    mnist("plot", "weights", "--output", "weights.svg")
    mnist("report", "--output", "page.html")
    assert mnist("predict", "../../seven.png", "--json").documents[0]["file"] == "../../seven.png"
    mnist("status", "--artifacts", "here", "--json")
    mnist("config", "init")
    assert sorted(path.name for path in below.iterdir()) == ["page.html", "pipeline.yaml", "weights.svg"]
    assert mnist("status").out.splitlines()[0] == "artifacts: artifacts; configuration: pipeline.yaml"


def test_a_data_set_that_was_named_from_below_holds_above(below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = below / "own"
    own.mkdir()
    for path in (below.parent.parent / "mirror").iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    chosen = "dataset={files: own, classes: ['0','1','2','3','4','5','6','7','8','9'], name: mine}"
    mnist("fetch", "--set", chosen)
    assert mnist("status", "--json").document["stages"][0]["state"] == "fresh"
    monkeypatch.chdir(below.parent.parent)
    assert mnist("status", "--json").document["stages"][0]["state"] == "fresh"
    mnist("fetch", "--set", chosen.replace("own", "notes/deep/own"))
    monkeypatch.chdir(below)
    assert mnist("status", "--json").document["stages"][0]["state"] == "fresh"


def test_the_project_of_the_current_folder_comes_first(below: Path) -> None:
    assert find_project().folder == Path("../..")
    (below / "artifacts").mkdir()
    assert find_project().folder == Path("../..")
    (below / "artifacts" / ".digests.json").write_text("{}", encoding="utf-8")
    assert find_project().folder == Path()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["pipeline.yaml", "."])
def test_a_project_of_another_user_is_not_read(below: Path, what: str) -> None:
    os.chown(below / "../.." / what, 12345, -1)
    status = mnist("status", "--set", "dataset=synthetic")
    assert "note: ../../pipeline.yaml was not read: it belongs to another user" in status.err
    assert status.out.startswith("artifacts: artifacts; configuration: defaults (no pipeline.yaml)")


def test_the_shell_completes_the_runs_of_the_project(below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_ARTIFACTS", raising=False)
    assert len(completion.run_names("")) == 3 + 2


def test_a_mistake_in_the_file_above_is_told_with_its_place(below: Path) -> None:
    (below / "../../pipeline.yaml").write_text("train:\n  stepz: 3\n", encoding="utf-8")
    assert "../../pipeline.yaml:2:3: train.stepz: unknown key" in mnist("status", code=3).err


def test_verify_ends_with_its_verdict(finished: Path) -> None:
    last = mnist("verify").out.splitlines()[-1]
    assert re.fullmatch(r"verified: 12 files, \d+ checkpoints? and 2 runs unchanged since they were written", last)
    (finished / "artifacts/train/model.h5").write_bytes(b"x")
    assert "verified" not in mnist("verify", code=6).out
    assert mnist("verify", "--repair").out.splitlines()[-1].startswith("verified: ")


def test_a_model_has_one_id_everywhere_and_every_command_takes_it(finished: Path) -> None:
    digest = json.loads(Path("artifacts/eval/metrics.json").read_bytes())["model_digest"]
    for command in ("run", "status"):
        (train,) = [line for line in mnist(command).out.splitlines() if line.startswith("train ")]
        assert train.endswith(f", model {digest[:12]}")
    assert mnist("predict", "--index", "0", "--json").documents[0]["model"] == digest
    mnist("report")
    assert f"<dt>Model</dt><dd><code>{digest[:12]}</code>" in (finished / "artifacts/report.html").read_text("utf-8")
    run = published_id(Artifacts(finished / "artifacts", PIPELINE))
    assert f"* {run} " in mnist("runs", "list").out
    assert mnist("runs", "show", digest[:12]).out.startswith(f"run {run}, ")
    assert mnist("predict", "--index", "0", "--run", digest[:6], "--json").documents[0]["model"] == digest
