"""What the documentation says is true: its commands run, its links lead somewhere, its tables are the code's."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from mnist_cli.cli.app import application
from mnist_cli.datasets import FILE_NAMES
from mnist_cli.errors import ConfigError, MnistError
from tests.support import ROOT
from tests.support.command_line import mnist
from tools import make_tutorial
from tools.make_reference import PAGE, reference

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def name(page: Path) -> str:
    return page.name


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


_NAMED = re.compile(r"`((?:\w+/)*\w+\.py|tests/(?:\w+/)+)`")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_modules_that_a_page_names_exist(page: Path) -> None:
    ours = [path for folder in ("mnist_cli", "tests") for path in (ROOT / folder).rglob("*")]
    for named in _NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / named).exists() or any(path.match(named) for path in ours), named


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_can_be_parsed(page: Path) -> None:
    for words in commands(page):
        if ">" in words:
            words = words[: words.index(">")]
        root: Any = typer.main.get_command(application())
        context = root.make_context("mnist", list(words))
        while hasattr(root, "commands"):
            found, root, words = root.resolve_command(context, words)
            context = root.make_context(found, list(words), parent=context)


def test_every_exit_code_of_the_errors_is_in_the_table_for_scripts() -> None:
    def codes(kind: type[MnistError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    page = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
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


@pytest.fixture
def beginners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, bool]:
    """An empty current folder, and whether the real files can be fetched; else digits are rendered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    mirrors = os.environ.get("MNIST_MIRRORS", "").split()
    real = any(all((Path(mirror) / file).is_file() for file in FILE_NAMES.values()) for mirror in mirrors)
    if not real:
        monkeypatch.setenv("MNIST_MIRRORS", "")
        Path("pipeline.yaml").write_text("dataset: synthetic\n", encoding="utf-8")
    return tmp_path, real


def shape_of(output: str) -> str:
    """Return an output without its numbers, digests and spaces, which differ from machine to machine."""
    output = re.sub(r"\(/\S+\)|\b[0-9a-f]{12}\b", "·", output)
    return re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "0", output)).strip()


def expected_prints(program: str) -> list[str]:
    """Return what the comments behind the calls of `print` say that they print."""
    return re.findall(r"^print\(.*\)  # (.+)$", program, re.MULTILINE)


def test_the_tutorial_runs(beginners_folder: tuple[Path, bool], capsys: pytest.CaptureFixture[str]) -> None:
    _, real = beginners_folder
    names: dict[str, Any] = {}
    for language, text in blocks(ROOT / "docs" / "tutorial.md", "console", "python"):
        if language == "python":
            capsys.readouterr()
            exec(compile(text, "tutorial.md", "exec"), names)
            if real:
                assert capsys.readouterr().out.splitlines() == expected_prints(text)
            continue
        for part in text.split("$ mnist ")[1:]:
            line, _, shown = part.partition("\n")
            printed = mnist(*shlex.split(line)).out
            if real and shown.strip():
                assert shape_of(printed) == shape_of(shown), f"mnist {line}"


def test_the_page_about_the_lesson_shows_what_it_prints(beginners_folder: tuple[Path, bool]) -> None:
    _, real = beginners_folder
    if not real:
        pytest.skip("the page shows MNIST: MNIST_MIRRORS names no folder with its files")
    mnist("run", "--quiet")
    [(_, text)] = blocks(ROOT / "docs" / "lesson.md", "console")
    line, _, shown = text.removeprefix("$ mnist ").partition("\n")

    def without_sizes(output: str) -> str:  # what deflates the images has versions of its own
        return re.sub(r"[\d.]+ kB", "kB", output)

    assert without_sizes(mnist(*shlex.split(line)).out) == without_sizes(shown)


@pytest.mark.exhaustive
def test_the_page_about_python_runs(empty: Path) -> None:
    mnist("run", "--dataset", "synthetic", "--quiet")
    names: dict[str, Any] = {}
    for _, text in blocks(ROOT / "docs" / "python.md", "python"):
        program = compile(text, "python.md", "exec")
        if "# raises ConfigError: " in text:
            expected = re.escape(text.partition("# raises ConfigError: ")[2].removesuffix(" …\n"))
            with pytest.raises(ConfigError, match=expected):
                exec(program, names)
        else:
            exec(program, names)
    assert names["store"].train.inputs.shape == (55_000, 784)
    assert (empty / "elsewhere" / "model.h5").exists()
    assert names["measured"].accuracy > 0.8


def test_the_way_from_the_old_module_runs(beginners_folder: tuple[Path, bool]) -> None:
    _, real = beginners_folder
    if not real:
        pytest.skip("read_data_sets would look for MNIST on the network: MNIST_MIRRORS names no folder with its files")
    names: dict[str, Any] = {}
    for _, text in blocks(ROOT / "docs" / "migration.md", "python"):
        if not text.startswith("# before"):
            exec(compile(text, "migration.md", "exec"), names)
    assert float(names["tf"].reduce_mean(names["tf"].cast(names["right"], "float32"))) > 0.9
