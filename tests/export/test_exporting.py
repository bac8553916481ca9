"""`mnist export` with its manifest: status, verify and lock include it, and a file with other answers is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.export import c, onnx_file, targets
from mnist_cli.export.target import Answers, Target
from tests.support.command_line import imported_by, mnist

EXPORT = Path("artifacts/export")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify `c` with Python's own answers; test_c.py compiles it."""
    stand_in(monkeypatch, "c", c.TARGET, model_answers)


def model_answers(_path: Path, images: Any) -> Answers:
    from mnist_cli.export.fingerprints import fingerprints
    from mnist_cli.formats.model import load_model, score_blocks

    model = load_model("artifacts/train/model.h5")
    rows = model.rows(images.reshape(len(images), -1))
    scores = np.concatenate([block for _, block in score_blocks(model.weights, model.bias, rows)])
    return Answers(model.probabilities(rows), scores.argmax(axis=1), scores.astype(np.int64), fingerprints(rows))


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, target: Target, run: Any, **fields: Any) -> None:
    changed = replace(target, run=run, runtime=lambda: "", **fields)
    find = targets.find_target
    for home in ("mnist_cli.export.targets", "mnist_cli.export.exporting"):
        monkeypatch.setattr(f"{home}.find_target", lambda other: changed if other == name else find(other))


def test_an_export_is_published_with_its_manifest(finished: Path) -> None:
    document = mnist("export", "--to", "c", "--json").document
    manifest = json.loads((EXPORT / "c/manifest.json").read_text(encoding="utf-8"))
    model = json.loads(Path("artifacts/train/manifest.json").read_text(encoding="utf-8"))
    assert document["sha256"] == manifest["outputs"]["mnist.h"]["sha256"]
    assert document["verified"]["same"] == document["verified"]["images"] == 20
    assert document["model_digest"] == model["metrics"]["model_digest"]
    assert manifest["inputs"]["train/model.h5"] == model["outputs"]["model.h5"]["sha256"]
    assert "same answer for 20 of 20 test images" in mnist("export", "--to", "c").out


def test_one_that_is_up_to_date_is_not_written_again(finished: Path) -> None:
    assert mnist("export", "--to", "c", "--json").document["written"] is True
    assert mnist("export", "--to", "c", "--json").document["written"] is False
    assert mnist("export", "--to", "c", "--json", "--force").document["written"] is True


def test_status_says_when_an_export_is_older_than_its_model(finished: Path) -> None:
    mnist("export", "--to", "c")
    before = mnist("status", "--json").document
    assert [(one["export"], one["state"]) for one in before["exports"]] == [("c", "fresh")]
    mnist("run", "--learning-rate", "0.02", "--quiet")
    after = mnist("status", "--json").document
    assert (after["fresh"], after["exports"][0]["state"]) == (True, "stale")
    assert "input model.h5" in after["exports"][0]["reasons"][0]["text"]
    assert "c: 2 inputs changed" in mnist("status").out
    assert "input train/model.h5" in mnist("verify").out


def test_without_fresh_stages_there_is_no_export(finished: Path) -> None:
    done = mnist("export", "--to", "c", "--set", "train.steps=41", code=5)
    assert "cannot export: train" in done.err and "mnist run" in done.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: replace(found, features=found.features + np.uint32(1)), "equal features for 20 images"),
        (lambda found: replace(found, logits=found.logits + (np.arange(10) == 3)), "equal logits for 20 images"),
        (lambda found: replace(found, labels=(found.labels + 1) % 10), "the same answer for 20 of 20 images"),
    ],
)
def test_a_file_that_answers_otherwise_is_refused(
    finished: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    mnist("export", "--to", "c")
    before = (EXPORT / "c/mnist.h").stat().st_mtime_ns
    stand_in(monkeypatch, "c", c.TARGET, lambda path, images: change(model_answers(path, images)))
    done = mnist("export", "--to", "c", "--force", code=6)
    assert "it was not published" in done.err and message in done.err
    assert (EXPORT / "c/mnist.h").stat().st_mtime_ns == before
    assert not (EXPORT / "c/.new").exists()


def test_probabilities_beyond_the_number_format_are_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")

    def near(path: Path, images: Any) -> Answers:
        found = model_answers(path, images)
        return replace(found, probabilities=found.probabilities + 0.001)

    stand_in(monkeypatch, "onnx", onnx_file.TARGET, near)
    assert "within 1e-05" in mnist("export", "--to", "onnx", code=6).err


def test_without_its_runtime_a_file_is_published_unverified_and_verified_later(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "c", replace(c.TARGET), model_answers)
    changed = replace(c.TARGET, run=model_answers, runtime=lambda: "no C compiler is installed")
    with monkeypatch.context() as patch:
        patch.setattr("mnist_cli.export.targets.find_target", lambda _: changed)
        done = mnist("export", "--to", "c")
        assert "not verified: no C compiler is installed" in done.err
        assert "c: not verified" in mnist("status").out
    assert mnist("export", "--to", "c", "--json").document["verified"]["same"] == 20


def test_verify_finds_a_damaged_export_and_repair_removes_it(finished: Path) -> None:
    mnist("export", "--to", "c")
    path = EXPORT / "c/mnist.h"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    done = mnist("verify", code=6)
    assert "export/c/mnist.h" in done.err
    assert mnist("status", "--json").document["exports"][0]["state"] == "corrupt"
    mnist("verify", "--repair")
    assert not path.exists()


def test_a_lock_holds_the_exact_ones(finished: Path) -> None:
    mnist("export", "--to", "c")
    mnist("lock")
    mnist("lock", "--check")
    lock = Path("pipeline.lock").read_text(encoding="utf-8")
    assert "  c/mnist.h: " in lock
    mnist("export", "--to", "c", "--frozen", "--force")
    digest = json.loads((EXPORT / "c/manifest.json").read_text(encoding="utf-8"))["outputs"]["mnist.h"]["sha256"]
    Path("pipeline.lock").write_text(lock.replace(digest, "0" * 64), encoding="utf-8")
    assert "was edited" in mnist("export", "--to", "c", "--frozen", code=3).err


def test_what_a_lock_does_not_promise_is_not_published(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist("export", "--to", "c")
    mnist("lock")

    def other(model: Any, about: Any, folder: Path) -> None:
        (folder / "mnist.h").write_text("/* mnist-cli */\n", encoding="utf-8")

    stand_in(monkeypatch, "c", c.TARGET, model_answers, write=other)
    done = mnist("export", "--to", "c", "--frozen", "--force", "--json", code=4)
    error = json.loads(done.out)["error"]
    assert (error["code"], error["differences"][0]["what"]) == ("not-as-locked", "c/mnist.h")
    assert b"C99" in (EXPORT / "c/mnist.h").read_bytes()
    assert "c/mnist.h" in mnist("verify", "--rerun", code=6).out


def test_output_gets_a_copy(finished: Path) -> None:
    mnist("export", "--to", "c", "--output", "mine.h")
    assert Path("mine.h").read_bytes() == (EXPORT / "c/mnist.h").read_bytes()
    Path("notes.txt").write_text("mine", encoding="utf-8")
    assert "received a file of another kind" in mnist("export", "--to", "c", "--output", "notes.txt", code=2).err
    assert "the folder no does not exist" in mnist("export", "--to", "c", "--output", "no/x.h", code=2).err
    assert "received a folder" in mnist("export", "--to", "c", "--output", ".", code=2).err
    assert "received '-'" in mnist("export", "--to", "c", "--output", "-", code=2).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--to: expected litert, onnx, saved-model, web, c; received nothing"),
        (["--to", "coreml"], "received 'coreml'"),
        (["--to", "litert-int8"], "received 'litert-int8'"),
        (["--to", "c", "--quantize", "int8"], "--quantize int8: expected --to litert; received --to c"),
        (["--to", "litert", "--quantize", "int4"], "--quantize: expected int8; received 'int4'"),
        (["--to", "c", "--lock", "x.lock"], "--lock needs --frozen"),
    ],
)
def test_invalid_targets_and_options_are_refused(finished: Path, arguments: list[str], message: str) -> None:
    assert message in mnist("export", *arguments, code=2).err


def test_a_package_that_is_missing_is_named_with_the_extra(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cli.export.target.find_spec", lambda _: None)
    done = mnist("export", "--to", "onnx", code=5)
    assert "the package onnx is not installed" in done.err
    assert "hint: install mnist-cli with its extra 'export'" in done.err


def test_the_commands_module_imports_nothing_heavy(tmp_path: Path) -> None:
    assert imported_by(["export", "--help"], tmp_path).isdisjoint({"tensorflow", "onnx", "numpy", "h5py"})


def write_two(model: Any, about: Any, folder: Path) -> None:
    """Write a file and one in a subfolder, as a SavedModel has."""
    c.TARGET.write(model, about, folder)
    (folder / "variables").mkdir()
    (folder / "variables/index").write_text(model.digest, encoding="utf-8")


def test_a_folder_of_an_export_is_replaced(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "c", c.TARGET, model_answers, write=write_two, is_folder=True)
    mnist("export", "--to", "c", "--output", "copy")
    first = Path("copy/variables/index").read_text(encoding="utf-8")
    mnist("run", "--learning-rate", "0.02", "--quiet")
    mnist("export", "--to", "c", "--output", "copy")
    assert Path("copy/variables/index").read_text(encoding="utf-8") != first
    assert "export      fresh       c: same answers 20 of 20" in mnist("status").out
    mnist("verify")


def test_what_a_killed_export_left_is_published_if_it_was_whole(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "c", c.TARGET, model_answers, write=write_two)
    mnist("export", "--to", "c")
    published, new = EXPORT / "c", EXPORT / "c/.new"
    shutil.copytree(published, new)  # killed before a file was moved
    assert mnist("export", "--to", "c", "--json").document["written"] is False
    assert not new.exists()
    shutil.copytree(published, new)
    (new / "manifest.json").unlink()  # killed while it was verified
    (new / "mnist.h").write_text("half", encoding="utf-8")
    assert mnist("export", "--to", "c", "--json").document["written"] is False
    assert not new.exists() and b"C99" in (published / "mnist.h").read_bytes()
