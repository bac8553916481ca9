"""CHANGELOG.md tells of the version that pyproject.toml has, and of the versions that the stages have."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from itertools import pairwise

import mnist_cli
from mnist_cli.stages import PIPELINE
from tests.support import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
# What a version changes, in the words of Keep a Changelog, and our own table.
PARTS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Stage versions"}


def versions() -> dict[str, str]:
    """Return the versions that have an entry, the newest first, each with its date."""
    return dict(re.findall(r"^## (\d+\.\d+\.\d+) - (\S+)$", TEXT, re.MULTILINE))


def stage_versions() -> list[tuple[str, int, int]]:
    """Return stage, old and new version of each line of the tables; a new stage has 0 as its old version."""
    rows = re.findall(r"^\| `(\w+)` \| (?:(\d+) → )?(\d+) \| \S.* \|$", TEXT, re.MULTILINE)
    return [(stage, int(old or 0), int(new)) for stage, old, new in rows]


def test_the_version_of_the_project_is_the_newest_that_has_an_entry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert next(iter(versions())) == project["version"]


def test_the_program_tells_the_version_of_the_project() -> None:
    assert next(iter(versions())) == mnist_cli.__version__


def test_the_page_about_installing_names_the_wheel_of_this_version() -> None:
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    assert set(re.findall(r"mnist_cli-([\d.]+)-py3", page)) == {mnist_cli.__version__}


def test_versions_are_in_order_of_their_number_and_date() -> None:
    found = [(tuple(map(int, number.split("."))), date.fromisoformat(day)) for number, day in versions().items()]
    assert all(newer[0] > older[0] and newer[1] >= older[1] for newer, older in pairwise(found))


def test_every_heading_is_a_version_or_a_part_of_one() -> None:
    headings = re.findall(r"^(##+) (.*)$", TEXT, re.MULTILINE)
    assert {name for level, name in headings if level == "##"} == {
        "Unreleased",
        *(f"{number} - {day}" for number, day in versions().items()),
    }
    assert {name for level, name in headings if level != "##"} <= PARTS


def test_the_changelog_tells_of_the_version_that_each_stage_has() -> None:
    told = {stage: max(new for name, _old, new in stage_versions() if name == stage) for stage, *_ in stage_versions()}
    assert told == {name: stage.version for name, stage in PIPELINE.stages.items()}, "add a line to 'Stage versions'"


def test_no_change_of_a_stage_version_is_left_out() -> None:
    for name in PIPELINE.stages:
        steps = sorted((old, new) for stage, old, new in stage_versions() if stage == name)
        assert [new for _old, new in steps[:-1]] == [old for old, _new in steps[1:]], name
