"""The JSON documents are what docs/json.md says: those that commands print, when they fail too, and those in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel, ValidationError

from mnist_cli.cli.app import application
from mnist_cli.cli.documents import adapter, content
from mnist_cli.cli.documents.commands import COMMANDS
from mnist_cli.cli.documents.files import FILES
from mnist_cli.cli.documents.models import Show
from mnist_cli.cli.documents.parts import CHECKED, Failed, HistoryRecord
from mnist_cli.errors import Interrupted
from mnist_cli.pictures.terminal import Drawing
from mnist_cli.pipeline.mutex import locked
from tests.support.command_line import mnist
from tools.make_examples import STORY, examples
from tools.make_schemas import EXAMPLES, PAGE, SCHEMAS, WITHOUT_EXAMPLE, documents, page, schemas


def command_of(arguments: list[str]) -> str:
    return next(words for words in (" ".join(arguments[:2]), arguments[0]) if words in COMMANDS)


def fits(text: str, model: type[BaseModel]) -> bool:
    try:
        adapter(model).validate_json(text, context=CHECKED)
    except ValidationError:
        return False
    return True


def told_by(arguments: list[str], code: int) -> dict[str, Any]:
    """Run a command; check each document that it prints against its models; return the last one."""
    printed = mnist(*arguments, "--json", code=code).out
    models: list[type[BaseModel]] = [*COMMANDS[command_of(arguments)].values()]
    if arguments[0] == "predict":
        models.append(Failed)
    # What ends predict before its first line is a document like any other.
    texts = printed.splitlines() if arguments[0] == "predict" and not printed.startswith("{\n") else [printed]
    assert texts
    for text in texts:
        if not any(fits(text, model) for model in models):
            adapter(models[0]).validate_json(text, context=CHECKED)  # for what it says
            raise AssertionError(f"neither of {models} fits {text}")
    told = json.loads(texts[-1])
    assert isinstance(told, dict)
    assert ("error" in told) == (code != 0), told
    return told


SUCCESSES = [
    "run",
    "run --force",
    "run --restart",
    "run --to preprocess",
    "run --dry-run --learning-rate 0.3",
    "run --frozen",
    "fetch",
    "fetch --force",
    "preprocess",
    "train --steps 60 --optimizer adam --schedule cosine",
    "train --batch-size full",
    "eval --split validation",
    "status",
    "status --seed 1",
    "verify",
    "verify --rerun",
    "lock",
    "lock --check",
    "clean",
    "clean --dry-run",
    "config init --force",
    "config check",
    "config show",
    "config schema",
    "show 3",
    "sweep --set train.learning_rate=0.01,0.2",
    "sweep --set train.learning_rate=0.01,0.2 --dry-run",
    "sweep --set train.learning_rate=0.1,1e38",
    "runs list",
    "runs show latest",
    "runs restore previous",
    "eval --run previous",
    "runs rm previous",
    "runs prune --set keep_runs=1",
    "diff",
    "diff --fail-if accuracy<-1",
    "predict seven.png",
    "predict seven.png --several",
    "predict --index 1 --index 2 --split train --explain seven.png",
    "plot weights",
    "plot confusion --output matrix.svg",
    "report",
    "lesson",
    "export --to c",
    "export --to c --output mine.h --force",
]


@pytest.mark.parametrize("line", SUCCESSES)
def test_what_a_command_prints_is_as_documented(finished: Path, line: str) -> None:
    told_by(line.split(), 0)


FAILURES = [
    ("show 20", 2, "usage"),
    ("run --from nowhere", 2, "usage"),
    ("config init", 2, "usage"),
    ("runs rm published", 2, "usage"),
    ("diff --fail-if nonsense", 2, "usage"),
    ("predict", 2, "usage"),
    ("export", 2, "usage"),
    ("predict seven.png --index 20", 2, "usage"),
    ("plot weights --output weights.txt", 2, "usage"),
    ("sweep --set seed=1 --set train.epocs=1", 3, "config"),
    ("status --check --seed 1", 4, "work-needed"),
    ("lock --seed 1", 4, "work-needed"),
    ("lock --check --seed 1", 4, "not-as-locked"),
    ("run --frozen --seed 1", 4, "not-as-locked"),
    ("status --frozen --set train.steps=7", 4, "not-as-locked"),
    ("preprocess --validation-size 10 --artifacts elsewhere", 5, "input"),
    ("runs show ffffffff", 5, "input"),
    ("predict broken.png missing.png", 5, "input"),
    ("eval --min-accuracy 1 --split validation --set train.steps=1", 5, "input"),
    ("run --steps 1 --batch-size 1 --min-accuracy 1", 6, "gate"),
    ("diff --fail-if accuracy>=0", 6, "gate"),
    ("train --learning-rate 1e38", 6, "diverged"),
    ("sweep --set train.learning_rate=1e38,2e38", 6, "diverged"),
    ("fetch --set fetch.mirrors=[nowhere] --force", 8, "fetch"),
]


@pytest.mark.parametrize(("line", "code", "kind"), FAILURES)
def test_what_a_failing_command_prints_is_as_documented(finished: Path, line: str, code: int, kind: str) -> None:
    assert told_by(line.split(), code)["error"]["code"] == kind


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_that_is_wrong_gives_an_error_and_nothing_else(empty: Path, command: str) -> None:
    assert [*told_by([*command.split(), "--nonsense"], 2)] == ["error"]


@pytest.mark.parametrize(
    "line",
    [
        *("run", "fetch", "preprocess", "train", "eval", "status", "lock", "config check", "config show", "report"),
        "export --to c",
    ],
)
def test_mistakes_in_the_configuration_are_listed(empty: Path, line: str) -> None:
    told = told_by([*line.split(), "--set", "train.epocs=1", "--set", "seed=x"], 3)
    assert len(told["error"]["problems"]) == 2


@pytest.mark.parametrize(
    "line",
    [
        "train",
        "eval",
        "verify",
        "show 0",
        "runs show latest",
        "diff",
        "predict x.png",
        "plot history",
        "report",
        "lesson",
        "export --to c",
    ],
)
def test_without_artifacts_the_error_is_as_documented(empty: Path, line: str) -> None:
    assert told_by(line.split(), 5)["error"]["hint"]


@pytest.mark.parametrize("line", ["run --force", "verify", "sweep --set train.ema=0.9,0.8", "runs rm previous"])
def test_a_folder_where_another_run_is_at_work_is_an_error_as_documented(finished: Path, line: str) -> None:
    with locked(finished / "artifacts", "mnist run"):
        assert told_by(line.split(), 7)["error"]["code"] == "locked"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def test_what_verify_finds_is_as_documented(finished: Path) -> None:
    damage(finished / "artifacts/eval/metrics.json")
    assert told_by(["verify"], 6)["ok"] is False
    repaired = told_by(["verify", "--repair"], 0)
    assert [check["file"] for check in repaired["repaired"]["found"]] == ["metrics.json"]
    assert [stage["stage"] for stage in repaired["stages"]] == ["eval"]


def test_training_that_is_not_repeated_is_as_documented(finished: Path) -> None:
    told = told_by(["verify", "--rerun", "--set", "seed=1"], 0)
    assert [reason["what"] for reason in told["differences"]] == ["parameter seed"]


def test_damaged_runs_and_manifests_are_as_documented(finished: Path) -> None:
    for path in (finished / "artifacts/runs").glob("*/run.json"):
        damage(path)
    damage(finished / "artifacts/fetch/manifest.json")
    assert len(told_by(["runs", "list"], 0)["damaged"]) == 2
    assert told_by(["status"], 0)["stages"][0]["state"] == "corrupt"


def test_a_field_that_its_model_lacks_is_never_printed(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_more(session: Any, statuses: Any) -> None:
        session.output.document(stages=statuses, surplus=1)

    monkeypatch.setattr("mnist_cli.cli.status.print_statuses", with_more)
    told = told_by(["status"], 1)
    assert [*told] == ["error"]
    assert "surplus of the JSON document 'status'" in told["error"]["message"]


def test_a_line_with_a_wrong_field_is_never_printed(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cli.cli.predict._explain", lambda *_: ({"bias": "text"}, Drawing([], 0), []))
    told = told_by(["predict", "seven.png", "--explain"], 1)
    assert "bias of the JSON document 'predict-file'" in told["error"]["message"]


def test_an_internal_error_is_as_documented(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("mnist_cli.config.loading.load_config", fail)
    assert told_by(["status"], 1)["error"]["code"] == "internal"


def test_an_interrupted_command_is_as_documented(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise Interrupted(15, reached="step 300")

    monkeypatch.setattr("mnist_cli.pipeline.overrides.last_overrides", interrupt)
    assert told_by(["train"], 143)["error"]["code"] == "interrupted"


def lines_or_document(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]


@pytest.fixture
def with_features(finished: Path) -> Path:
    """The finished run, with the files of a stage that has nothing to do by default, too."""
    mnist("run", "--to", "features", "--map", "grad8", "--quiet")
    return finished


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_as_documented(with_features: Path, name: str) -> None:
    model, places = FILES[name]
    artifacts = with_features / "artifacts"
    with locked(artifacts, "mnist run"):
        for place in places:
            found = [*artifacts.glob(place)]
            assert found, place
            for text in [text for path in found for text in lines_or_document(path)]:
                adapter(model).validate_json(text, context=CHECKED)


def test_every_json_file_is_documented(with_features: Path) -> None:
    artifacts = with_features / "artifacts"
    with locked(artifacts, "mnist run"):
        known = {path for _, places in FILES.values() for place in places for path in artifacts.glob(place)}
        assert set(artifacts.rglob("*.json*")) == known


def test_every_command_is_documented() -> None:
    def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, (*words, name))
            else:
                yield " ".join((*words, name))

    assert set(commands(typer.main.get_command(application()))) == set(COMMANDS)


def test_the_page_and_the_schemas_are_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run 'python -m tools.make_schemas'"
    written = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert written == schemas(), "run 'python -m tools.make_schemas'"


@pytest.mark.parametrize(("name", "model"), [one for one in documents() if one[0] not in WITHOUT_EXAMPLE])
def test_every_document_has_an_example_that_fits(name: str, model: type[BaseModel]) -> None:
    adapter(model).validate_json((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"), context=CHECKED)


def test_the_examples_are_made_for_every_document() -> None:
    made = [name for _, name in STORY if name] + [*FILES]
    assert sorted(made) == sorted(name for name, _ in documents() if name not in WITHOUT_EXAMPLE)


# Fields of the examples that differ from run to run or machine to machine, and why.
VARYING = {
    "seconds": "how long it took",
    "created": "the clock",
    "since": "the clock",
    "pid": "the system's choice",
    "environment": "the machine and what is installed there",
    "sha256": "that of a page with deflated images, or of a file that holds some of the above",
}


def comparable(document: Any, name: str) -> Any:
    """Return a document without what differs from run to run."""
    if isinstance(document, dict):
        left_out = {*VARYING, *(["bytes"] if name in ("lesson", "report") else [])}  # deflated images, again
        return {key: comparable(value, name) for key, value in document.items() if key not in left_out}
    if isinstance(document, list):
        if name == "digests":  # size, time, inode, digest
            document = [document[0], document[3]]
        return [comparable(value, name) for value in document]
    return document


@pytest.mark.exhaustive
def test_the_examples_are_what_the_commands_print(tmp_path: Path) -> None:
    for name, document in examples(tmp_path):
        written = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        assert comparable(written, name) == comparable(json.loads(json.dumps(document)), name), (
            f"{name}: run 'python -m tools.make_examples'"
        )


RESULT = json.loads((EXAMPLES / "eval.json").read_text(encoding="utf-8"))["stages"][0]


@pytest.mark.parametrize(
    ("name", "stage", "metrics"),
    [("run", "eval", {"accuracy": 0.9}), ("eval", "eval", {}), ("toy", "toy", {"bits": [8]})],
)
def test_what_another_version_or_an_unknown_stage_recorded_is_printed_as_it_is(
    name: str, stage: str, metrics: dict[str, Any]
) -> None:
    recorded = RESULT | {"stage": stage, "metrics": metrics}
    measured = {"accuracy": 0.9, "model_digest": RESULT["key"]}
    assert content(name, {"stages": [recorded], **measured}) == {"stages": [recorded], **measured}


def test_what_this_version_records_is_held_to_its_model() -> None:
    assert fits(json.dumps({"stages": [RESULT]}), COMMANDS["run"]["run"])
    assert not fits(json.dumps({"stages": [RESULT | {"metrics": {"accuracy": 0.9}}]}), COMMANDS["run"]["run"])


RECORD = {"step": 1, "loss": 0.5, "validation_loss": None, "validation_accuracy": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"surplus": 1},
        {"step": "1"},
        {"step": 1.5},
        {"step": 0},
        {"loss": None},
        {"loss": float("nan")},
        {"validation_accuracy": 1.01},
        {"validation_accuracy": True},
    ],
    ids=str,
)
def test_a_document_that_is_wrong_does_not_fit(change: dict[str, Any]) -> None:
    assert fits(json.dumps(RECORD), HistoryRecord)
    assert not fits(json.dumps(RECORD | change), HistoryRecord)


def test_a_document_that_lacks_a_field_does_not_fit() -> None:
    for name in RECORD:
        assert not fits(json.dumps({key: value for key, value in RECORD.items() if key != name}), HistoryRecord)


SHOWN = {"split": "test", "index": 0, "label": 3, "image": [[0, 255]]}
ERROR = {"code": "format", "message": "model.h5: damaged", "hint": None}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (SHOWN, True),
        (SHOWN | {"prediction": 3, "probabilities": [0.5, 0.5]}, True),
        (SHOWN | {"prediction": None}, False),
        ({"split": "test"}, False),
        ({"split": "test", "error": ERROR}, True),
        ({"error": ERROR}, True),
        ({"error": ERROR, "surplus": 1}, False),
        ({"error": ERROR, "index": -1}, False),
        ({"error": ERROR | {"code": "unheard-of"}}, False),
        ({}, False),
    ],
)
def test_only_a_failed_command_may_leave_fields_out(document: dict[str, Any], expected: bool) -> None:
    assert fits(json.dumps(document), Show) is expected
