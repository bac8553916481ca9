"""A stage that no other file knows, put between preprocess and train by a list: everything works with it.

It turns the images of the store around, and writes a store of its own, which training reads.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.config.declarations import Section, parameter
from mnist_cli.config.kinds import whole
from mnist_cli.formats.store import SPLITS, open_store
from mnist_cli.formats.store_writer import StoreFacts, write_store
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.manifest import read_manifest
from mnist_cli.runs.runs import read_runs
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.general import GeneralSettings
from mnist_cli.stages.stage import STORE, Job, Outcome, Pipeline, Stage
from tests.support import command_line
from tests.support.command_line import Result

NAME = "turn_2x"


@dataclass(frozen=True, kw_only=True)
class TurnSettings(Section):
    """Turn the images around."""

    section = NAME

    level: int = parameter(255, whole(0, 255), "What becomes of the background", option="--level")
    off: int = parameter(0, whole(0, 1), "Leave the images alone", counts=False)


def turn(job: Job) -> Outcome:
    level = job.config.of(TurnSettings).level
    source = open_store(job.input(STORE))
    splits = {name: getattr(source, name) for name in SPLITS}
    height, width = source.image_shape
    with write_store(job.new / "turned.h5", {n: len(split) for n, split in splits.items()}, height * width) as writer:
        for name, split in splits.items():
            writer.append(name, np.ascontiguousarray(level - np.minimum(split.inputs, level)), split.labels)
        digest = writer.describe(
            StoreFacts(
                dataset=source.dataset,
                split_rule=source.split_rule,
                image_shape=source.image_shape,
                classes=source.classes,
                sources=source.sources,
            )
        )
    return Outcome({"level": level}, digests={"turned.h5": digest}, inputs={STORE: [source.digest]})


def summary(metrics: Mapping[str, Any]) -> str:
    return f"images turned around at {metrics['level']}"


TURN = Stage(
    settings=TurnSettings,
    version=1,
    inputs=(STORE,),
    outputs={"turned.h5": STORE},
    run=turn,
    help="Turn the images around.\n\nWhat was dark becomes light.\n\nExample: mnist turn_2x --level 200",
    summary=summary,
    is_active=lambda config: not config.of(TurnSettings).off,
)
_STAGES = list(PIPELINE.stages.values())
WITH_TURN = Pipeline(GeneralSettings, [*_STAGES[:2], TURN, *_STAGES[2:]])
ORDER = ["fetch", "preprocess", NAME, "train", "eval"]

mnist = functools.partial(command_line.mnist, pipeline=WITH_TURN)


@pytest.fixture
def here(finished: Path) -> Path:
    """A folder with a finished run of the four stages, where the fifth has not run yet; as the current one."""
    return finished


def documents(result: Result) -> list[dict[str, Any]]:
    stages = result.document["stages"]
    assert isinstance(stages, list)
    return stages


def listed(word: str) -> str:
    *names, last = WITH_TURN.stages
    return f"{', '.join(names)} {word} {last}"


def test_the_stage_is_put_into_a_finished_pipeline_and_training_reads_it(here: Path) -> None:
    before = documents(mnist("status", "--json"))
    assert [(one["stage"], one["state"]) for one in before] == list(
        zip(ORDER, ("fresh", "fresh", "missing", "stale", "stale"), strict=True)
    )
    assert mnist("status").out.count(f"input preprocess/store.h5 → {NAME}/turned.h5") == 2
    assert [one["stage"] for one in documents(mnist("run", "--json")) if one["ran"]] == [NAME, "train", "eval"]
    for stage in ("train", "eval"):
        manifest = read_manifest(here / "artifacts" / stage / "manifest.json")
        assert manifest is not None
        assert f"{NAME}/turned.h5" in manifest.inputs
        assert "preprocess/store.h5" not in manifest.inputs
    assert documents(mnist("run", "--json"))[2]["ran"] is False
    assert "images turned around at 255" in mnist("status").out


def test_the_model_is_that_of_the_turned_images(here: Path) -> None:
    before = (here / "artifacts/train/model.h5").read_bytes()
    mnist("run", "--quiet")
    assert (here / "artifacts/train/model.h5").read_bytes() != before
    turned = open_store(here / f"artifacts/{NAME}/turned.h5").train.inputs
    assert (turned == 255 - open_store(here / "artifacts/preprocess/store.h5").train.inputs).all()


def test_a_stage_that_is_inactive_leaves_no_trace(here: Path) -> None:
    done = mnist("status", "--set", f"{NAME}.off=1")
    assert NAME not in done.out
    assert "fresh" in done.out and "stale" not in done.out  # training still reads what preprocess wrote
    assert mnist("run", "--set", f"{NAME}.off=1").out.count("fresh") >= 4
    assert not (here / "artifacts" / NAME).exists()


def test_help_options_and_completion_know_it(here: Path) -> None:
    assert NAME in mnist("--help").out
    words = mnist(NAME, "--help").out
    assert "Turn the images around." in words and "--level" in words
    assert "--level" in mnist("run", "--help").out
    assert f"{listed('and')}." in " ".join(mnist("run", "--help").out.replace("│", "").split())
    assert mnist("config", "show").out.count(f"\n{NAME}:\n  level: 255") == 1


def test_from_and_to_take_its_name(here: Path) -> None:
    done = mnist("run", "--from", NAME, "--to", NAME, "--level", "200", "--json")
    assert [one["stage"] for one in documents(done)] == [NAME]
    assert documents(done)[0]["metrics"] == {"level": 200}
    assert f"expected {listed('or')}; received 'turn'" in mnist("run", "--to", "turn", code=2).err


def test_its_own_command_runs_it(here: Path) -> None:
    assert "images turned around at 9" in mnist(NAME, "--level", "9").out
    # What a stage was given on the command line holds for the stages after it.
    assert "using the options of the last run: --level 9" in mnist("train").err


def test_its_mistakes_have_their_place(here: Path) -> None:
    Path("wrong.yaml").write_text(f"{NAME}:\n  levle: 3\n  level: 256\n", encoding="utf-8")
    assert mnist("config", "check", "--config", "wrong.yaml", code=3).err.splitlines() == [
        f"error: wrong.yaml:2:3: {NAME}.levle: unknown key; did you mean '{NAME}.level'?",
        f"wrong.yaml:3:10: {NAME}.level: expected a whole number from 0 to 255; received 256",
    ]


def test_verify_finds_and_repairs_its_file(here: Path) -> None:
    mnist("run", "--quiet")
    mnist("verify")
    (here / f"artifacts/{NAME}/turned.h5").write_bytes(b"garbage")
    assert f"{NAME}/turned.h5" in mnist("verify", code=6).err
    mnist("verify", "--repair")
    mnist("verify")
    mnist("status", "--check")


def test_a_lock_holds_it(here: Path) -> None:
    mnist("run", "--quiet")
    mnist("lock")
    assert f"  {NAME}:\n" in Path("pipeline.lock").read_text(encoding="utf-8")
    mnist("run", "--frozen")
    assert f"{NAME}: {NAME}.level 255 → 7" in mnist("run", "--frozen", "--level", "7", code=4).err
    left_out = mnist("run", "--frozen", "--set", f"{NAME}.off=1", code=4).err
    assert f"{NAME}: the stage would not be run" in left_out


def test_a_sweep_varies_it_and_records_have_its_parameters(here: Path) -> None:
    mnist("run", "--quiet")
    published = (here / "artifacts/train/model.h5").read_bytes()
    turned = (here / f"artifacts/{NAME}/turned.h5").read_bytes()
    done = mnist("sweep", "--set", f"{NAME}.level=255,128", "--set", "train.learning_rate=0.1,0.5", "--json")
    points = done.document["points"]
    assert {tuple(point["settings"].items()) for point in points} == {
        ((f"{NAME}.level", level), ("train.learning_rate", rate)) for level in (255, 128) for rate in (0.1, 0.5)
    }
    assert len({point["model_digest"] for point in points}) == 4
    assert (here / "artifacts/train/model.h5").read_bytes() == published
    assert (here / f"artifacts/{NAME}/turned.h5").read_bytes() == turned
    runs = {run.id: run for run in read_runs(Artifacts(here / "artifacts", WITH_TURN))[0]}
    for point in points:
        assert runs[point["id"]].parameters[f"{NAME}.level"] == point["settings"][f"{NAME}.level"]
    again = mnist("sweep", "--set", f"{NAME}.level=255,128", "--set", "train.learning_rate=0.1,0.5", "--json")
    assert {point["state"] for point in again.document["points"]} == {"kept"}
    assert json.loads(mnist("runs", "list", "--json").out)["damaged"] == []


def test_what_the_stage_declares_spare_can_be_cleaned_up(here: Path) -> None:
    spare = dataclasses.replace(TURN, spare=frozenset(TURN.outputs))
    pipeline = Pipeline(GeneralSettings, [*_STAGES[:2], spare, *_STAGES[2:]])
    run = functools.partial(command_line.mnist, pipeline=pipeline)
    turned = here / f"artifacts/{NAME}/turned.h5"
    run("run", "--quiet")
    freed = run("clean", "--json").document["freed"]
    assert [(one["stage"], one["kind"]) for one in freed[:2]] == [("fetch", "outputs"), (NAME, "outputs")]
    assert not turned.exists()
    assert [one["state"] for one in documents(run("status", "--json"))] == ["unneeded", "fresh", "unneeded"] + [
        "fresh"
    ] * 2
    run("run", "--steps", "50", "--quiet")
    assert turned.exists(), "training read it once more"


def test_a_spare_store_of_a_stage_that_is_off_goes_when_no_model_was_made_from_it(here: Path) -> None:
    spare = dataclasses.replace(TURN, spare=frozenset(TURN.outputs))
    pipeline = Pipeline(GeneralSettings, [*_STAGES[:2], spare, *_STAGES[2:]])
    run = functools.partial(command_line.mnist, pipeline=pipeline)
    run("run", "--quiet")
    off = ("--set", f"{NAME}.off=1")
    assert NAME not in [one["stage"] for one in run("clean", "--json", "--dry-run", *off).document["freed"]]
    run("run", "--quiet", *off)
    assert NAME in [one["stage"] for one in run("clean", "--json", *off).document["freed"]]
    assert not (here / f"artifacts/{NAME}/turned.h5").exists()
