"""The Dockerfile keeps what it promises, and the pipeline writes nothing but artifacts and temporary files.

No test builds the image, as that needs a daemon and 600 MB of downloads; what each instruction says is read instead.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.support import ROOT
from tests.support.command_line import COMMAND, environment, mnist
from tests.support.own_data import write_photos
from tests.support.read_only import read_only, why_not

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VOLUME = "/work/artifacts"
CONFIGURATION = """\
dataset: {images: photos}
preprocess: {validation_size: 0.2}
train: {steps: 20}
"""


@dataclass(frozen=True)
class Instruction:
    """One instruction of the Dockerfile, such as COPY, and what stands behind it."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """What stands behind it, without flags such as --from=build."""
        return [word for word in self.rest.split() if not word.startswith("--")]


def instructions() -> list[list[Instruction]]:
    """Return the instructions of each stage of the Dockerfile."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    stages: list[list[Instruction]] = []
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest.strip()))
    return stages


BUILD, FINAL = instructions()


def only(name: str) -> Instruction:
    """Return the one instruction of that name in the final stage."""
    (found,) = (one for one in FINAL if one.name == name)
    return found


def is_ignored(path: str) -> bool:
    """Return whether .dockerignore leaves a path out: the last line counts that matches it or a folder above it."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            ignored = not line.startswith("!")
    return ignored


def copied() -> list[str]:
    """Return what the Dockerfile copies from the clone."""
    copies = [one for one in [*BUILD, *FINAL] if one.name == "COPY" and "--from=" not in one.rest]
    return [source for one in copies for source in one.words[:-1]]


def runs(text: str) -> int:
    """Return the position of the one instruction RUN of the first stage that has the text."""
    (found,) = (place for place, one in enumerate(BUILD) if one.name == "RUN" and text in one.rest)
    return found


def test_both_stages_begin_with_one_python_that_the_project_supports() -> None:
    bases = {stage[0].words[0] for stage in (BUILD, FINAL)}
    (base,) = bases
    tag = re.fullmatch(r"python:(3\.\d+)-slim-\w+", base)
    assert tag, base
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(f"{tag[1]}.0")


def test_the_user_is_a_number_and_not_root_and_owns_the_volume() -> None:
    user, group = only("USER").rest.split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(only("VOLUME").rest) == [VOLUME]
    assert f"install -d -o {user} -g {group} {VOLUME}" in only("RUN").rest
    assert only("WORKDIR").rest == str(Path(VOLUME).parent)


def test_signals_reach_the_program_and_no_shell() -> None:
    assert json.loads(only("ENTRYPOINT").rest) == [*PROJECT["project"]["scripts"]]


def test_without_arguments_the_image_does_what_the_command_can_do() -> None:
    assert "mnist" in mnist(*json.loads(only("CMD").rest)).out


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_is_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert not is_ignored(source)


def test_every_file_of_the_package_reaches_the_build() -> None:
    there = [path for path in (ROOT / "mnist_cli").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [path for path in there if is_ignored(path.relative_to(ROOT).as_posix())] == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "artifacts/train/model.h5",
        "build/lib/mnist_cli/errors.py",
        "mnist_cli/__pycache__/errors.cpython-312.pyc",
        "mnist_cli/cli/__pycache__/app.cpython-312.pyc",
        "mnist_cli.egg-info/SOURCES.txt",
        "pip.conf",
        "tests/test_image.py",
    ],
)
def test_what_the_image_does_not_need_is_ignored(path: str) -> None:
    assert is_ignored(path)


def test_dependencies_are_pinned_and_come_before_the_source() -> None:
    dependencies = runs("-c constraints.txt")
    source = BUILD.index(Instruction("COPY", "mnist_cli mnist_cli"))
    assert dependencies < source < runs("--no-index --no-deps --no-build-isolation .")


def test_setuptools_is_pinned_as_new_as_the_build_needs() -> None:
    (asked,) = PROJECT["build-system"]["requires"]
    (pinned,) = re.findall(r"^setuptools==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert SpecifierSet(asked.removeprefix("setuptools")).contains(pinned)


def test_a_wheel_has_every_file_of_the_package() -> None:
    package = ROOT / "mnist_cli"
    declared = PROJECT["tool"]["setuptools"]["package-data"]["mnist_cli"]
    # setuptools finds the folders that have an __init__.py, and takes their modules.
    modules = {path for path in package.rglob("*.py") if (path.parent / "__init__.py").exists()}
    packed = modules | {path for pattern in declared for path in package.glob(pattern)}
    there = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert sorted(there - packed) == [], "add these to [tool.setuptools.package-data]"


@pytest.fixture(scope="module")
def isolated() -> None:
    """Skip where a process cannot get read-only mounts of its own."""
    if reason := why_not():
        pytest.skip(f"no read-only mounts: {reason}")


@pytest.mark.usefixtures("isolated")
def test_a_folder_that_is_not_named_is_read_only(tmp_path: Path) -> None:
    command = read_only("touch", str(tmp_path / "new"))
    tried = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert b"Read-only file system" in tried.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("isolated")
def test_the_pipeline_writes_artifacts_and_temporary_files_alone(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", count=10)
    artifacts, temporary = tmp_path / "artifacts", tmp_path / "tmp"
    artifacts.mkdir()
    temporary.mkdir()
    (tmp_path / "pipeline.yaml").write_text(CONFIGURATION, encoding="utf-8")
    for words in ("run", "report", "plot weights", "verify", "status"):
        command = read_only(*COMMAND, *words.split(), writable=(artifacts, temporary))
        variables = environment({"TMPDIR": str(temporary), "HOME": str(temporary)})
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"mnist {words}: {done.stderr}{done.stdout}"
    assert (artifacts / "report.html").exists()
    assert (artifacts / "plots" / "weights.png").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "photos", "pipeline.yaml", "tmp"]
