"""The package starts processes in one place, and never imports a file of the current folder as a module."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mnist_cli
from mnist_cli import children
from tests.support.command_line import environment
from tests.support.hostile import hostile_folder

PACKAGE = Path(mnist_cli.__file__).parent
# Ways to start a process, beside everything in subprocess that is called.
OF_OS = ("exec", "spawn", "posix_spawn", "fork", "system", "popen", "startfile")
STARTERS = {"create_subprocess_exec", "create_subprocess_shell", "ProcessPoolExecutor"}
STARTING_MODULES = {"multiprocessing", "pty", "pexpect"}


def starts_of_processes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and STARTING_MODULES & {alias.name.split(".")[0] for alias in node.names}:
            yield f"{path}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {*STARTING_MODULES, "subprocess"}:
            yield f"{path}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            name = node.func.attr
            if owner == "subprocess" or name in STARTERS or (owner == "os" and name.startswith(OF_OS)):
                yield f"{path}:{node.lineno}"


def test_only_one_module_starts_processes() -> None:
    found = [place for path in PACKAGE.rglob("*.py") for place in starts_of_processes(path)]
    assert {Path(place.partition(":")[0]).name for place in found} == {"children.py"}, found


@pytest.mark.parametrize("word", ["--version", "status"])
def test_a_child_runs_no_file_of_the_current_folder(tmp_path: Path, word: str) -> None:
    marker = hostile_folder(tmp_path)
    child = children.start(
        "mnist_cli.cli.local_worker",
        json.dumps([word]),
        "[]",
        word,
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with child:
        assert child.stdout is not None
        said = child.stdout.read().decode()  # it ends by itself, and would with its standard input
    assert child.returncode == 0, said
    assert not marker.exists(), marker.read_text()


def test_a_child_uses_the_package_of_this_process(
    tmp_path: Path,
) -> None:
    (tmp_path / "mnist_cli").mkdir()
    (tmp_path / "mnist_cli" / "__init__.py").write_text("raise SystemExit(66)")
    child = children.start(
        "mnist_cli.__main__",
        "--version",
        env=environment({"PYTHONPATH": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.communicate(timeout=60)[0].decode().startswith("mnist-cli "), child.returncode
