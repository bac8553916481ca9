"""A home folder that is missing or cannot be written, and the help in CI."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from mnist_cli.cli.app import application
from tests.support.command_line import mnist, run_process

NOWHERE = ["/dev/null", "/proc/1/nowhere"]  # root cannot write there either


def test_a_plot_without_a_home_is_quiet_and_leaves_no_folder(finished: Path, tmp_path: Path) -> None:
    (finished / "pipeline.yaml").unlink()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {"HOME": NOWHERE[0], "TMPDIR": str(temporary), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    done = run_process("plot", "weights", "-q", cwd=finished, variables=variables)
    assert (done.out, done.err) == ("", "")
    assert list(temporary.iterdir()) == []
    assert (finished / "artifacts" / "plots" / "weights.png").is_file()


def test_a_folder_that_was_named_for_matplotlib_stays(finished: Path, tmp_path: Path) -> None:
    (finished / "pipeline.yaml").unlink()
    own = tmp_path / "own"
    own.mkdir()
    run_process("plot", "weights", cwd=finished, variables={"HOME": "/dev/null", "MPLCONFIGDIR": str(own)})
    assert own.is_dir()


@pytest.mark.parametrize("home", NOWHERE)
def test_completion_without_a_home_is_refused_in_one_line(empty: Path, home: str) -> None:
    done = run_process("--install-completion", "bash", cwd=empty, code=1, variables={"HOME": home})
    error, hint = done.err.splitlines()
    assert error.startswith("error: completion cannot be installed: /")
    assert hint == "hint: save the output of 'mnist --show-completion' in a file that your shell reads"
    assert done.out == ""


def test_completion_of_a_user_without_a_home_folder_is_refused_in_one_line(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may run as a number that no list of users has."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    told = mnist("--install-completion", "bash", code=1).err
    assert told.startswith("error: completion cannot be installed: there is no home folder\n")


CI: list[dict[str, str]] = [
    {"GITHUB_ACTIONS": "true"},
    {"GITHUB_ACTIONS": "true", "CI": "true", "NO_COLOR": "1"},
    {"PY_COLORS": "1", "NO_COLOR": ""},
    {"FORCE_COLOR": "1"},
]


@pytest.mark.parametrize("variables", CI, ids=" ".join)
def test_help_in_ci_can_be_searched(empty: Path, variables: dict[str, str]) -> None:
    told = run_process("run", "--help", cwd=empty, variables=variables).out
    assert "\x1b" not in told
    found = subprocess.run(["grep", "--", "--frozen"], input=told, capture_output=True, text=True, check=True)
    assert "--frozen" in found.stdout


def test_every_option_stands_whole_in_the_help_of_eighty_columns(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything: Any = typer.main.get_command(application())
    monkeypatch.setenv("COLUMNS", "80")
    for name, command in everything.commands.items():
        for words, each in [
            ((name,), command),
            *(((name, sub), it) for sub, it in getattr(command, "commands", {}).items()),
        ]:
            told = mnist(*words, "--help").out
            for option in (option for parameter in each.params for option in parameter.opts if option[:2] == "--"):
                assert option in told, f"mnist {' '.join(words)} --help hides {option}"
