"""What the documentation says is true: its commands can be parsed, its links lead somewhere, its tables are right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from mnist_cli.cli.app import application
from mnist_cli.errors import MnistError
from tests.support import ROOT
from tools import make_tutorial
from tools.make_reference import PAGE, reference

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of each fenced block in one of the languages."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match[1] in languages:
            yield match[1], match[2]


def commands(page: Path) -> list[list[str]]:
    """Return what stands behind `mnist` in each command line of a page."""
    lines = []
    for language, text in blocks(page, "console", "bash", "yaml"):
        for line in text.splitlines():
            shown = line.removeprefix("$ ") if language == "console" else line.strip().removeprefix("- ")
            shown = shown.removeprefix("run: ")
            if (language != "console" or line.startswith("$ ")) and shown.startswith("mnist "):
                lines.append(shlex.split(shown, comments=True)[1:])
    return lines


def test_the_reference_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run 'python -m tools.make_reference'"


def test_the_tutorial_is_the_text_of_the_lesson() -> None:
    assert make_tutorial.PAGE.read_text(encoding="utf-8") == make_tutorial.tutorial(), (
        "run 'python -m tools.make_tutorial'"
    )
    assert make_tutorial.NETWORK.read_text(encoding="utf-8") == make_tutorial.network()


def anchors(page: Path) -> set[str]:
    """Return what links to the headings of a page end with, as GitHub and the site make it of a heading."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
            assert not anchor or anchor in anchors(page.parent / target), target + anchor


def test_both_tables_of_contents_name_every_page() -> None:
    front, inside = (ROOT / folder / "README.md" for folder in ("", "docs"))
    table = inside.read_text(encoding="utf-8").partition("| **Learn** |")[2]
    assert table.replace("](", "](docs/") in front.read_text(encoding="utf-8")
    named = {target for target, anchor in _LINK.findall(table) if not anchor}
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


_NAMED = re.compile(r"`((?:\w+/)*\w+\.py|tests/(?:\w+/)+)`")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_modules_that_a_page_names_exist(page: Path) -> None:
    ours = [path for folder in ("mnist_cli", "tests") for path in (ROOT / folder).rglob("*")]
    for named in _NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / named).exists() or any(path.match(named) for path in ours), named


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_can_be_parsed(page: Path) -> None:
    for words in commands(page):
        for number, word in enumerate(words):
            if word == "|" or re.match(r"\d?>", word):
                words = words[:number]
                break
        root: Any = typer.main.get_command(application())
        context = root.make_context("mnist", list(words))
        while hasattr(root, "commands"):
            found, root, words = root.resolve_command(context, words)
            context = root.make_context(found, list(words), parent=context)


def test_every_exit_code_of_the_errors_is_in_the_table_for_scripts() -> None:
    def codes(kind: type[MnistError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    page = (ROOT / "docs" / "automation.md").read_text(encoding="utf-8")
    listed = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in row.split(",")}
    assert {code for code in listed if code < 128} == codes(MnistError)  # the others are 128 and a signal


def test_the_parser_of_commands_refuses_what_is_not_one() -> None:
    root: Any = typer.main.get_command(application())
    _, command, rest = root.resolve_command(root.make_context("mnist", ["train", "--stepz", "3"]), ["train", "--stepz"])
    with pytest.raises(typer.BadParameter.__mro__[1], match="--stepz"):
        command.make_context("train", rest)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_in_the_pages_is_yaml(page: Path) -> None:
    for _, text in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(text), dict)
