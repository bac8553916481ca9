"""Runs the commands that README.md and docs/ show, and writes what they print into the pages.

    python -m tools.make_outputs          # every page; MNIST_MIRRORS names a folder with the four MNIST files
    python -m tools.make_outputs stages   # one page

tests/docs/test_outputs.py runs the same and compares, digits included. Blocks in ```console and ```python are run, in
their order. Where a command of a console block has lines below it, they are what it prints; of Python it is the comment
behind a `print`. Other languages are not run. Comments that readers do not see direct the run:

    <!-- session: synthetic -->     from here on in a new empty folder; `mnist`, the default, gives the commands MNIST
    <!-- session: mnist, slow -->   the same, for what takes long: an exhaustive test
    <!-- run: COMMAND -->           a command that the page does not show
    <!-- file: NAME -->             the next block becomes this file
    <!-- not run: REASON -->        the next block is not run
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_cli.datasets import FILE_NAMES
from tools import DOCS, make_tutorial

ROOT = DOCS.parent
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
# The tutorial is written from the text of the lesson, so its blocks are changed there.
_SOURCES = {make_tutorial.PAGE: ROOT / "mnist_cli/lesson/text/lesson.md"}
_MIRROR = "/data/mnist"  # what the pages call the folder with the MNIST files
_FOLDER = "/home/me/digits"  # what the pages call the current folder

# Text that differs from run to run, what takes its place in a comparison, and why.
MASKS = (
    (r" +\d[\d,]*\.\d s\b", " SECONDS", "how long a stage takes depends on the machine"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", "the clock of the machine"),
    (r"(?<=\.html: )[\d.]+ [kM]B", "SIZE", "a page holds deflated images, and zlib's versions deflate differently"),
)

# What a stage reports now and then where it is slow and there is no terminal for a bar.
_PROGRESS = re.compile(r"^\w+: .*\b[\d:]+ left\)\n", re.MULTILINE)
_ITEM = re.compile(r"^<!-- (session|run|file|not run): (.*?) -->$|^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PRINT = re.compile(r"^( *print\(.*\))  # (.+)$", re.MULTILINE)
_NEEDS_A_SHELL = frozenset("|<>*;&$")


@dataclass(frozen=True)
class Session:
    """What is run in one folder.

    Attributes:
        page: where it stands.
        data: `mnist` or `synthetic`.
        is_slow: whether it is left out of a quick check.
        items: kind → text: `run`, `file` with a name, or the language of a block.
    """

    page: Path
    data: str
    is_slow: bool
    items: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """A block of a page, as it stands there and as it has to be."""

    shown: str
    printed: str


def sessions(page: Path) -> list[Session]:
    """Return the sessions of a page that run anything."""
    found = [Session(page, "mnist", False)]
    name, skip = "", False  # what comments say of the next block
    for directive, argument, language, text in _ITEM.findall(page.read_text(encoding="utf-8")):
        if directive == "session":
            data, _, pace = argument.partition(", ")
            if data not in ("mnist", "synthetic") or pace not in ("", "slow"):
                raise ValueError(f"{page.name}: session: {argument}: expected mnist or synthetic, and slow or nothing")
            found.append(Session(page, data, bool(pace)))
        elif directive == "file":
            name = argument
        elif directive == "not run":
            skip = True
        elif directive == "run":
            found[-1].items.append(("run", argument))
        elif name:
            found[-1].items.extend((("file", name), ("content", text)))
            name = ""
        elif skip:
            skip = False
        elif language in ("console", "python"):
            found[-1].items.append((language, text))
    return [session for session in found if session.items]


def run(session: Session, folder: Path, mirror: Path | None) -> Iterator[Block]:
    """Run a session, and give each of its blocks.

    Args:
        session: what to run.
        folder: an empty folder that becomes the current one meanwhile.
        mirror: the folder with the four MNIST files; None for synthetic digits.

    Raises:
        RuntimeError: a command failed, and does not show its error.
    """
    names: dict[str, Any] = {}
    variables = {"NO_COLOR": "1", "COLUMNS": "120", "MNIST_MIRRORS": str(mirror or ""), "MNIST_ARTIFACTS": ""}
    shell = _Shell(folder, mirror, is_slow=session.is_slow)
    file = ""
    with _variables(variables), contextlib.chdir(folder):
        for kind, text in session.items:
            if kind == "run":
                shell.run(text, may_fail=False)
            elif kind == "file":
                file = text
            elif kind == "content":
                Path(file).write_text(text, encoding="utf-8")
            elif kind == "console":
                yield Block(text, shell.console(text))
            else:
                yield Block(text, _python(text, names, session.page.name))


class _Shell:
    """Runs the lines of console blocks in the current folder."""

    def __init__(self, folder: Path, mirror: Path | None, *, is_slow: bool) -> None:
        self._is_slow = is_slow
        self._replaced = {str(folder.resolve()): _FOLDER, str(folder): _FOLDER}
        self._mirror = str(mirror) if mirror else _MIRROR
        self._replaced[self._mirror] = _MIRROR

    def console(self, text: str) -> str:
        """Return a block with what its commands print, where it shows what they print."""
        made = []
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            printed = self.run(line, may_fail=bool(shown))
            made.append(f"$ {line}\n" + (printed if shown else ""))
        return "".join(made)

    def run(self, line: str, *, may_fail: bool) -> str:
        """Run one line; return what it prints, without the places of this machine."""
        code, printed = self._answer(line.replace(_MIRROR, self._mirror))
        if code and not (may_fail and printed.startswith("error: ")):
            raise RuntimeError(f"{line}: exit code {code}\n{printed}")
        for place, name in self._replaced.items():
            printed = printed.replace(place, name)
        return "".join(f"{each.rstrip()}\n" for each in _PROGRESS.sub("", printed).splitlines())

    def _answer(self, line: str) -> tuple[int, str]:
        # In this process, which imports TensorFlow once; but stages that compute for long are slower beside TensorFlow.
        if line.startswith("mnist ") and not self._is_slow and not _NEEDS_A_SHELL & set(line):
            from mnist_cli.cli.app import run_command_line

            # Both streams in one, in the order of a terminal.
            with io.StringIO() as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = run_command_line(shlex.split(line)[1:])
                return code, out.getvalue()
        ours = f'mnist() {{ {shlex.quote(sys.executable)} -m mnist_cli "$@"; }}\n'
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            ["bash", "-c", ours + line.replace("python3 ", f"{shlex.quote(sys.executable)} ")],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


def _python(text: str, names: dict[str, Any], page: str) -> str:
    """Run a block of Python, and return it with what it prints as comments."""
    with io.StringIO() as out, contextlib.redirect_stdout(out):
        exec(compile(text, page, "exec"), names)
        printed = out.getvalue().splitlines()
    if len(printed) != len(_PRINT.findall(text)):
        raise RuntimeError(f"{page}: {text}expected a comment behind each print; received {printed}")
    lines = iter(printed)
    return _PRINT.sub(lambda match: f"{match[1]}  # {next(lines)}", text)


@contextlib.contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def masked(text: str) -> str:
    """Return a text without what differs from run to run."""
    for pattern, place, _ in MASKS:
        text = re.sub(pattern, place, text)
    return text


def main(names: list[str]) -> None:
    """Write the outputs of the named pages, or of all."""
    mirror = Path(os.environ.get("MNIST_MIRRORS", "")).resolve()
    if not all((mirror / name).is_file() for name in FILE_NAMES.values()):
        sys.exit(f"MNIST_MIRRORS: expected a folder with the four MNIST files; received {mirror}")
    for page in PAGES:
        if names and page.stem not in names:
            continue
        for session in sessions(page):
            print(f"{page.name}: {session.data}, {len(session.items)} items", file=sys.stderr)
            with tempfile.TemporaryDirectory() as scratch:
                blocks = list(run(session, Path(scratch), mirror if session.data == "mnist" else None))
            _write(_SOURCES.get(page, page), blocks)
    make_tutorial.main()


def _write(page: Path, blocks: list[Block]) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks:
        if masked(block.shown) != masked(block.printed):
            if text.count(block.shown) != 1:
                raise RuntimeError(f"{page.name}: expected once, found {text.count(block.shown)} times:\n{block.shown}")
            text = text.replace(block.shown, block.printed)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
