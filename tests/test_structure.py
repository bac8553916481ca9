"""The house rules that the code itself can be asked about."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import mnist_cli
from mnist_cli.cli.app import application
from tests.support import ROOT
from tests.support.command_line import HEAVY, imported_by

PACKAGE = Path(mnist_cli.__file__).parent
# A room may import those behind it, and none before it.
ORDER = (
    "cli",
    "audit",
    "export",
    "lesson",
    "report",
    "page",
    "runs",
    "pipeline",
    "stages",
    "learning",
    "sources",
    "pictures",
    "formats",
    "maps",
    "datasets",
    "recipes",
    "config",
    "base",
)
LEVEL = {room: level for level, room in enumerate(ORDER)}
# The public door opens every room; the tutorial's interface is a user of the stages like any other.
OUTSIDE = {"__init__.py", "__main__.py", "tutorial.py"}


def room_of(module: str) -> str:
    part = module.split(".")[1] if module.count(".") >= 1 else ""
    return part if part in LEVEL else "base"


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if str(path.relative_to(PACKAGE)) not in OUTSIDE]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0] if len(path.relative_to(PACKAGE).parts) > 1 else "base"
    for name in imports(path):
        if name.startswith("mnist_cli."):
            other = room_of(name)
            assert LEVEL[other] >= LEVEL[own], f"{own} imports {name}"


def test_stages_never_import_stages() -> None:
    names = {"fetch", "preprocess", "features", "train", "evaluate"}
    for stage in names:
        for name in imports(PACKAGE / "stages" / f"{stage}.py"):
            others = {f"mnist_cli.stages.{other}" for other in names - {stage}}
            assert not any(name.startswith(other) for other in others), f"{stage} imports {name}"


def test_only_learning_and_exports_import_tensorflow() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in ("learning", "export"):
            assert not any(name.split(".")[0] in ("tensorflow", "keras") for name in imports(path)), path


def test_no_function_is_rewritten_by_autograph() -> None:
    # For each, it would leave a Python file in the temporary folder: see `_leave` in cli/app.py.
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tf.function":
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("autograph") == "False", path


def test_only_one_module_deletes() -> None:
    for path in set(modules()) - {PACKAGE / "files.py"}:
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert called.isdisjoint({"unlink", "rmtree", "removedirs"}), path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["status"],
        ["config", "show"],
        ["config", "check"],
        ["run", "--dry-run"],
        ["runs", "list"],
        ["sweep", "--set", "train.learning_rate=0.1,0.3", "--dry-run"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert imported_by(arguments, tmp_path).isdisjoint(HEAVY)


def test_help_does_not_pay_for_the_configuration(tmp_path: Path) -> None:
    assert imported_by(["--help"], tmp_path).isdisjoint({"yaml", "mnist_cli.config.loading"})


@pytest.mark.parametrize("arguments", [["status"], ["config", "show"], ["runs", "list"]], ids=" ".join)
def test_only_json_pays_for_the_models_of_the_documents(arguments: list[str], tmp_path: Path) -> None:
    assert "mnist_cli.cli.documents" not in imported_by(arguments, tmp_path)
    assert "mnist_cli.cli.documents" in imported_by([*arguments, "--json"], tmp_path)


def test_a_command_that_fetches_nothing_imports_nothing_of_fetching(tmp_path: Path) -> None:
    imported = imported_by(["status"], tmp_path)
    assert not {name for name in imported if name.startswith(("mnist_cli.sources.", "mnist_cli.datasets.folders"))}


def test_a_command_is_whole_without_the_others() -> None:
    everything: Any = typer.main.get_command(application())
    for name, command in everything.commands.items():
        alone: Any = typer.main.get_command(application(name))
        assert [each.name for each in alone.commands[name].params] == [each.name for each in command.params]
        assert set(alone.commands) < set(everything.commands), f"{name} brings all others"


def test_importing_the_package_imports_nothing(tmp_path: Path) -> None:
    program = "import sys, mnist_cli; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(result.stdout.split()).isdisjoint(HEAVY)


def test_every_public_name_exists_and_is_documented() -> None:
    for name in mnist_cli.__all__:
        assert getattr(mnist_cli, name).__doc__, name
    assert set(mnist_cli.__all__) <= set(dir(mnist_cli))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'input_data'"):
        mnist_cli.input_data  # noqa: B018  # reading it is the point


def test_no_test_module_imports_another() -> None:
    tests = ROOT / "tests"
    for path in sorted(tests.rglob("*.py")):
        for name in imports(path):
            is_test = name.startswith("tests.") and any(part.startswith("test_") for part in name.split(".")[:-1])
            assert not is_test, f"{path.relative_to(ROOT)} imports {name}: what they share belongs in tests/support"
            assert not name.startswith("tests.conftest"), f"{path.relative_to(ROOT)} imports {name}"
