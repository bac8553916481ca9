"""`mnist lesson`: what it writes, what it refuses, and that `mnist train` gets the same model from the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.lesson.examples import choose_examples
from mnist_cli.lesson.training import train_reference
from mnist_cli.progress import SILENT
from tests.support.command_line import mnist
from tests.support.lesson_data import ORIGIN, make_store, trained


def test_the_products_loop_and_an_independent_program_agree_on_the_examples(tmp_path: Path) -> None:
    examples = choose_examples(make_store(tmp_path))
    reference = train_reference(examples, ORIGIN, tmp_path / "memory", SILENT)
    assert reference.model.digest == trained(examples, steps=1000).digest
    assert reference.score.examples == len(examples.test.labels)


def test_what_was_trained_once_is_not_trained_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mnist("lesson", "--json").document
    monkeypatch.setattr("mnist_cli.lesson.training.train", None)
    assert mnist("lesson", "--json").document == first


def test_a_kept_model_of_other_examples_is_not_taken(tmp_path: Path) -> None:
    for name, counts in (("one", (300, 120)), ("two", (200, 120))):
        (tmp_path / name).mkdir()
        examples = choose_examples(make_store(tmp_path / name, counts=counts))
        reference = train_reference(examples, ORIGIN, tmp_path / "memory", SILENT)
        assert reference.model.digest == trained(examples, steps=1000).digest


def test_anybody_gets_the_digest_of_the_page_from_its_data(finished: Path) -> None:
    document = mnist("lesson", "--data", "digits", "--json").document
    line = ["run", "--dataset", "digits/dataset.yaml", "--validation-size", "0", "--artifacts", "elsewhere", "--json"]
    # The configuration of the folder is that of another data set.
    run = mnist(*line, "--config", write(Path("plain.yaml"), "seed: 0\n")).document
    assert run["model_digest"] == document["model_digest"]
    assert run["accuracy"] == document["accuracy"]
    assert document["model_digest"] in Path(document["file"]).read_text(encoding="utf-8")


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_command_says_what_it_wrote(finished: Path) -> None:
    said = mnist("lesson", "--data", "digits").out.splitlines()
    assert said[0].startswith("artifacts/lesson.html: ")
    assert said[1] == (
        "digits/dataset.yaml: to train the same model, run "
        "'mnist run --dataset digits/dataset.yaml --validation-size 0'"
    )
    mnist("lesson", "--data", "digits", "--output", "page.html")
    assert Path("page.html").read_bytes() == Path("artifacts/lesson.html").read_bytes()


def test_a_folder_with_other_files_is_left_alone(finished: Path) -> None:
    assert "other files" in mnist("lesson", "--data", "artifacts", code=2).err
    assert "received a file" in mnist("lesson", "--data", "pipeline.yaml", code=2).err


def test_without_artifacts_it_names_the_command_to_run(empty: Path) -> None:
    assert "run 'mnist run" in mnist("lesson", code=5).err


@pytest.mark.parametrize("command", ["lesson", "report"])
def test_a_page_is_opened_in_the_browser_where_there_is_one(
    finished: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_browser(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", open_browser)
    mnist(command, "--open")
    assert opened == [(finished / "artifacts" / f"{command}.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert "by hand" in mnist(command, "--open").err
