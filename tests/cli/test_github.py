"""Annotations and summaries on GitHub Actions, and nothing of them elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.cli import github
from mnist_cli.errors import ConfigError, InputError
from mnist_cli.stages import PIPELINE
from tests.support.command_line import mnist


@pytest.fixture
def actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a step on GitHub Actions; returns the file of its summary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_MIRRORS", "")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def test_each_mistake_in_the_configuration_is_annotated_at_its_place(actions: Path) -> None:
    folder = actions.parent / "models"
    folder.mkdir()
    (folder / "p.yaml").write_text("seed: -1\ntrain:\n  epocs: 3\n", encoding="utf-8")
    done = mnist("config", "check", "--config", str(folder / "p.yaml"), code=3)
    lines = [line for line in done.err.splitlines() if line.startswith("::")]
    assert lines[0].startswith("::error title=mnist,file=models/p.yaml,line=1,col=7::seed: expected")
    assert lines[1].startswith("::error title=mnist,file=models/p.yaml,line=3,col=3::train.epocs: unknown key")
    assert len(lines) == 2


def test_another_error_is_annotated_without_a_place(actions: Path) -> None:
    done = mnist("eval", code=5)
    assert "\n::error title=mnist::" in done.err


def test_what_an_error_says_cannot_become_a_command(actions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    github.annotate_failure(ConfigError(["a,b:c%\n::error::x.yaml:1:2: no\n::warning::really"]))
    github.annotate_failure(InputError("50 %\n::set-output name=x::y"))
    assert capsys.readouterr().err.splitlines() == [
        "::error title=mnist,file=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3Ax.yaml,line=1,col=2::no%0A::warning::really",
        "::error title=mnist::50 %25%0A::set-output name=x::y",
    ]


def test_json_on_stdout_stays_one_document(actions: Path) -> None:
    done = mnist("eval", "--json", code=5)
    assert done.out.startswith("{") and "::error" not in done.out
    assert done.err.startswith("::error")


def test_run_appends_a_summary(actions: Path) -> None:
    actions.write_text("before\n", encoding="utf-8")
    mnist("run", "--dataset", "synthetic", "--to", "fetch")
    text = actions.read_text(encoding="utf-8")
    assert text.startswith("before\n### mnist\n")
    assert "| fetch | done |" in text
    mnist("run", "--dataset", "synthetic", "--to", "fetch", "--quiet")
    assert "| fetch | fresh |  |" in actions.read_text(encoding="utf-8")


def test_a_summary_that_cannot_be_written_fails_nothing(
    actions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(actions.parent))
    assert github.append_summary(PIPELINE, [], "fine") == "$GITHUB_STEP_SUMMARY cannot be written: Is a directory"


def test_a_failure_stands_in_the_summary(actions: Path) -> None:
    mnist("eval", "--quiet", code=5)
    assert actions.read_text(encoding="utf-8").startswith("**mnist failed:** 'eval' needs 'fetch'")


def test_markdown_in_a_result_is_literal(actions: Path) -> None:
    assert github.append_summary(PIPELINE, [], "<b>|`x`*") is None
    assert "**&#60;b&#62;&#124;&#96;x&#96;&#42;**" in actions.read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [None, "false", ""])
def test_elsewhere_there_is_nothing_of_it(
    value: str | None, actions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if value is None:
        monkeypatch.delenv("GITHUB_ACTIONS")
    else:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
    github.annotate_failure(InputError("x"))
    assert github.append_summary(PIPELINE, [], "x") is None
    assert capsys.readouterr().err == "" and not actions.exists()
