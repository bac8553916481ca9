"""`python -m tests.check`: what it runs, and which of the slow tests a share takes."""

from __future__ import annotations

import subprocess

import pytest

from tests import check
from tests.support.exhaustive import belongs, read_share

pytest_plugins = ["pytester"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the check would have run; nothing runs."""
    commands: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("tests.check.subprocess.run", run)
    monkeypatch.delenv("MNIST_CHECK_SHARE", raising=False)
    return commands


def test_it_audits_and_runs_pytest_last(started: list[list[str]]) -> None:
    assert check.main([]) == 0
    modules = [command[2] for command in started]
    assert "tests.support.advisories" in modules
    assert modules[-1] == "pytest"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["--exhaustive=none"]),
        (["--all"], ["--exhaustive=1/1"]),
        (["--share", "2/5", "-k", "store"], ["--exhaustive=2/5", "-k", "store"]),
    ],
)
def test_pytest_gets_the_share_and_the_other_arguments(
    started: list[list[str]], words: list[str], expected: list[str]
) -> None:
    check.main(words)
    assert started[-1][-len(expected) :] == expected


def test_the_share_may_come_from_the_environment(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CHECK_SHARE", "1/4")
    check.main([])
    assert started[-1][-1:] == ["--exhaustive=1/4"]


def test_each_test_is_in_one_share_and_all_shares_get_some() -> None:
    names = [f"tests/room/test_it.py::test[{number}]" for number in range(100)]
    parts = [[name for name in names if belongs(name, (part, 4))] for part in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert all(len(part) > 10 for part in parts)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "some", "1", "-1/4", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected none, all or a share such as 1/4"):
        read_share(text)


@pytest.mark.parametrize(
    ("options", "passed", "said"),
    [([], 1, "1 of test_module.py"), (["--exhaustive=all"], 2, None)],
    ids=["by default", "all"],
)
def test_slow_tests_are_left_out_by_default_and_the_summary_stays_the_last_line(
    pytester: pytest.Pytester, options: list[str], passed: int, said: str | None
) -> None:
    pytester.path.joinpath("test_module.py").write_text(
        "import pytest\ndef test_quick(): pass\n@pytest.mark.exhaustive\ndef test_slow(): pass\n",
        encoding="utf-8",
    )
    result = pytester.runpytest_inprocess("-p", "tests.support.exhaustive", *options)
    result.assert_outcomes(passed=passed, deselected=2 - passed)
    assert any(said in line for line in result.outlines) if said else "left out" not in str(result.stdout)
    assert f"{passed} passed" in result.outlines[-1]


def test_skipped_tests_are_named(pytester: pytest.Pytester) -> None:
    program = "import pytest\ndef test_of_real_data(): pytest.skip('set MNIST_MIRRORS')\n"
    pytester.path.joinpath("test_module.py").write_text(program, encoding="utf-8")
    result = pytester.runpytest_inprocess("-p", "tests.support.exhaustive", "-ra")
    assert "  test_module.py::test_of_real_data" in result.outlines
    assert "1 skipped" in result.outlines[-1]
