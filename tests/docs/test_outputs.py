"""What README.md and the pages show as output is what a run prints, digits included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tools.make_outputs import MASKS, PAGES, Session, masked, run, sessions


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


SESSIONS = [
    pytest.param(session, id=f"{name(page)}-{number}", marks=[pytest.mark.exhaustive] if session.is_slow else [])
    for page in PAGES
    for number, session in enumerate(sessions(page), 1)
]
# Languages of blocks that show no output: what a person types or copies.
NOT_RUN = {
    "bash": "commands without their output",
    "sh": "commands without their output",
    "yaml": "configuration, and jobs of GitHub, GitLab and Kubernetes",
    "text": "a tree of folders, the usage of a command",
    "c": "compiled by tests/export",
    "kotlin": "needs Android",
    "swift": "needs iOS",
}


@pytest.mark.parametrize("session", SESSIONS)
def test_a_page_shows_what_its_commands_print(session: Session, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    mirror = request.getfixturevalue("real_mnist") if session.data == "mnist" else None
    for block in run(session, tmp_path, mirror):
        assert masked(block.shown) == masked(block.printed), "run 'python -m tools.make_outputs'"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_that_is_not_run_shows_no_output(page: Path) -> None:
    opened = re.findall(r"^ *```(\w*)\n.*?^ *```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert set(opened) <= {"console", "python", *NOT_RUN}, "say in which language the block is"


def test_only_what_differs_from_run_to_run_is_masked() -> None:
    for line, other in (
        ("train  done  1.9 s   loss 0.3083", "train  done  11.2 s   loss 0.3083"),
        ("artifacts/lesson.html: 657.3 kB; 91.20 %", "artifacts/lesson.html: 1.2 MB; 91.20 %"),
    ):
        assert masked(line) == masked(other)
    for line in ("1,000 steps, loss 0.3083", "4 files, 11.6 MB", "model 99ccfbed4f84", "artifacts/mnist.h: 74.3 kB"):
        assert masked(line) == line
    assert all(reason for _, _, reason in MASKS)
