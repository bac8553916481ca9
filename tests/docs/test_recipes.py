"""The recipes of CONTRIBUTING.md are followed on a copy of the tree, and what they promise is tried there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.formats.model import Model, save_model
from tests.support import ROOT
from tests.support.command_line import environment
from tests.support.data import CLASSES, SIDE, idx_bytes, write_small_store, write_tiny_dataset

PAGE = ROOT / "CONTRIBUTING.md"
_BLOCK = re.compile(r"^```(diff|python|yaml)\n(?:\+\+\+|#) (\S+/\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONFIGURATION = """\
dataset: {files: data, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}
preprocess: {validation_size: 20}
train: {steps: 40, batch_size: 10, validate_every: 10}
"""


@dataclass(frozen=True)
class Edit:
    """One block of the page.

    Attributes:
        file: what it changes, relative to the root.
        changes: text → what takes its place, or None where the file is new.
        content: of a new file.
    """

    file: str
    changes: tuple[tuple[str, str], ...] | None
    content: str

    def apply(self, root: Path) -> None:
        path = root / self.file
        if self.changes is None:
            assert not path.exists(), f"{self.file} exists already"
            path.write_text(self.content, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.file}: expected once, found {text.count(old)} times:\n{old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def recipe(name: str) -> list[Edit]:
    """Return the edits below the heading `Add a NAME` of the page."""
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### Add an? {name}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    edits = [_edit(*found) for found in _BLOCK.findall(section)]
    assert edits, name
    return edits


def _edit(kind: str, file: str, body: str) -> Edit:
    if kind != "diff":
        return Edit(file, None, body)
    return Edit(file, tuple(_changes(body)), "")


def _changes(body: str) -> Iterator[tuple[str, str]]:
    for hunk in body.split("@@\n"):
        lines = hunk.splitlines()
        assert all(line[:1] in ("+", "-", " ", "") for line in lines), hunk
        sides = [[line[1:] for line in lines if line[:1] in (sign, " ", "")] for sign in ("-", "+")]
        old, new = ("".join(f"{line}\n" for line in side) for side in sides)
        yield old, new


class Copy:
    """A copy of the tree in which a recipe was followed.

    Attributes:
        root: of the copy; commands run in `root`/work.
        touched: the files of the package that the recipe changed or added.
    """

    def __init__(self, root: Path, *names: str) -> None:
        self.root, self.work = root, root / "work"
        self.work.mkdir(parents=True)
        for folder in ("mnist_cli", "docs", "tools"):  # with what Python compiled, as long as it is not changed
            shutil.copytree(ROOT / folder, root / folder)
        shutil.copy(ROOT / "pyproject.toml", root)
        edits = [edit for name in names for edit in recipe(name)]
        for edit in edits:
            edit.apply(root)
        self.touched = {edit.file for edit in edits if edit.file.startswith("mnist_cli/")}

    def python(
        self, *arguments: str, code: int = 0, folder: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> str:
        """Run Python with the copy's package, in `work`; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder or self.work,
            env=environment({**(variables or {}), "PYTHONPATH": str(self.root)}),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def mnist(self, line: str, code: int = 0, variables: Mapping[str, str] | None = None) -> str:
        return self.python("-m", "mnist_cli", *line.split(), code=code, variables=variables)

    def json(self, line: str) -> dict[str, Any]:
        document = json.loads(self.mnist(f"{line} --json"))
        assert isinstance(document, dict)
        return document

    def give_data(self) -> None:
        """Put a small data set into `work`, and a configuration that names it."""
        write_tiny_dataset(self.work / "data")
        (self.work / "pipeline.yaml").write_text(CONFIGURATION, encoding="utf-8")

    def write_pages(self) -> None:
        """Write the pages that come from the code, as every recipe says that needs it."""
        self.python("-m", "tools.make_reference", folder=self.root)
        self.python("-m", "tools.make_schemas", folder=self.root)

    def page(self, name: str) -> str:
        return (self.root / "docs" / name).read_text(encoding="utf-8")

    def completed(self, line: str) -> list[str]:
        """Return what the shell offers for the last word of a command line."""
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        return self.mnist("", variables={"_MNIST_COMPLETE": "complete_bash", **words}).split()


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., Copy]:
    """Give a copy of the tree in which recipes were followed."""
    return lambda *names: Copy(tmp_path, *names)


def test_a_parameter(follow: Callable[..., Copy]) -> None:
    copy = follow("parameter")
    assert len(copy.touched) <= 2
    assert "--stop-after" in copy.mnist("train --help")
    shown = copy.json("config show --set train.stop_after=300")
    assert shown["train.stop_after"] == {"value": 300, "origin": "--set"}
    assert "train.stop_after" in copy.completed("mnist status --set train.stop")
    copy.mnist("config check --set train.stop_after=-1", code=3)
    copy.python("-c", KEYS)


KEYS = """
from mnist_cli.stages import PIPELINE
config, train = PIPELINE.declarations.defaults(), PIPELINE.stages["train"]
assert "train.stop_after" not in train.parameters(config)  # late: what was trained before stays up to date
later = config.replaced({"train.stop_after": 300})
assert train.parameters(later)["train.stop_after"] == 300
assert later.of(train.settings).course(seed=0)["train.stop_after"] == 300
"""


def test_a_data_set(follow: Callable[..., Copy]) -> None:
    copy = follow("data set")
    assert len(copy.touched) == 1
    assert "stripes" in [each["name"] for each in copy.json("dataset list")["datasets"]]
    assert copy.json("dataset show stripes")["classes"] == ["lying", "standing"]
    write_stripes(copy.work / "mirror")
    done = copy.json("run --dataset stripes --mirror mirror --to preprocess --validation-size 4")
    assert done["stages"][1]["metrics"] == {"dataset": "stripes", "train": 36, "validation": 4, "test": 20}
    assert "stripes" in copy.completed("mnist run --dataset str")


def write_stripes(folder: Path) -> None:
    """Write the files whose digests the recipe has; zlib leaves what it does not compress alone in every version."""
    folder.mkdir()
    for part, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 2
        lying = np.tile(np.array([[0], [255]], np.uint8), (4, 8))
        images = np.stack([lying.T if label else lying for label in labels])
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(zlib.compress(idx_bytes(array), 0, wbits=31))


def test_a_stage(follow: Callable[..., Copy]) -> None:
    copy = follow("stage")
    assert len(copy.touched) <= 4
    copy.give_data()
    copy.mnist("run --to preprocess --quiet")
    assert "subset" not in copy.mnist("status")
    given = "--set subset.keep=30"
    assert [one["stage"] for one in copy.json(f"status {given}")["stages"]] == WITH_SUBSET
    done = copy.json("run --keep 30 --to subset")["stages"]
    assert [(one["stage"], one["ran"]) for one in done][-1] == ("subset", True)
    assert done[-1]["metrics"] == {"train": 30}
    assert "30 training images kept" in copy.mnist(f"status {given}")
    assert "subset" in copy.mnist("--help")
    assert "--keep" in copy.mnist("subset --help")
    assert copy.completed("mnist run --to sub") == ["subset"]
    assert copy.json("sweep --set subset.keep=10,30 --dry-run")["points"][0]["settings"] == {"subset.keep": 10}
    copy.python("-c", BOUND)


WITH_SUBSET = ["fetch", "preprocess", "subset", "train", "eval"]
BOUND = """
from mnist_cli.stages import PIPELINE
config = PIPELINE.declarations.defaults()
read = [PIPELINE.bind(each)["train"].files for each in (config, config.replaced({"subset.keep": 30}))]
assert read == [(("preprocess", "store.h5"),), (("subset", "store.h5"),)], read
"""


def test_an_optimizer(follow: Callable[..., Copy]) -> None:
    copy = follow("optimizer")
    assert len(copy.touched) == 2
    assert "adadelta" in copy.completed("mnist train --optimizer ada")
    copy.mnist("config check --set train.optimizer=adadelta --set train.rho=0.9")
    copy.mnist("config check --set train.optimizer=adadelta --set train.momentum=0.9", code=3)


@pytest.mark.exhaustive
def test_training_with_the_recipes(follow: Callable[..., Copy]) -> None:
    copy = follow("parameter", "stage", "optimizer")
    copy.give_data()
    early = "--set train.early_stopping=1 --set train.learning_rate=30 --set train.validate_every=5"
    stopped = copy.json(f"run --to train {early}")["stages"][-1]["metrics"]["steps"]
    assert stopped < 40
    assert copy.json(f"run --to train {early} --stop-after 40")["stages"][-1]["metrics"]["steps"] == 40
    done = copy.json("run --optimizer adadelta --keep 30")
    assert done["accuracy"] > 0.9
    manifest = json.loads((copy.work / "artifacts/train/manifest.json").read_text(encoding="utf-8"))
    assert [*manifest["inputs"]] == ["subset/store.h5"]
    assert manifest["parameters"]["train.rho"] == 0.95


def test_an_exit_code(follow: Callable[..., Copy]) -> None:
    copy = follow("exit code")
    copy.mnist("config init")
    assert json.loads(copy.mnist("config init --json", code=10))["error"]["code"] == "already-there"
    copy.write_pages()
    assert '"already-there"' in copy.page("schemas/failure.schema.json")


def test_a_command(follow: Callable[..., Copy]) -> None:
    copy = follow("command")
    copy.give_data()
    copy.mnist("run --to preprocess --quiet")
    assert "count" in copy.mnist("--help")
    assert len(copy.mnist("count").splitlines()) == 10
    printed = copy.mnist("count --split test --json")
    assert json.loads(printed) == {"split": "test", "counts": dict.fromkeys(CLASSES, 2)}
    (copy.root / "docs/examples/count.json").write_text(printed, encoding="utf-8")
    copy.write_pages()
    assert "### `mnist count`" in copy.page("reference.md")
    assert "| `mnist count` | [count](schemas/count.schema.json) |" in copy.page("json.md")


def test_a_metric(follow: Callable[..., Copy]) -> None:
    copy = follow("metric")
    write_small_store(copy.work / "store.h5")
    zeros = np.zeros((SIDE * SIDE, len(CLASSES)))  # every image is called a 0
    save_model(copy.work / "model.h5", Model(zeros, zeros[0], CLASSES, 1, 0, "0" * 64, (SIDE, SIDE)))
    copy.python("-c", "import mnist_cli; mnist_cli.evaluate('model.h5', 'store.h5', '.')")
    assert json.loads((copy.work / "metrics.json").read_text(encoding="utf-8"))["lowest_recall"] == 0
    copy.python("-c", FITS)


FITS = """
from pathlib import Path
from mnist_cli.cli.documents import adapter
from mnist_cli.cli.documents.files import Metrics
from mnist_cli.cli.documents.stages import METRICS
adapter(Metrics).validate_json(Path("metrics.json").read_text())
assert "lowest_recall" in METRICS["eval"].model_fields
"""


def test_the_recipes_are_written_as_the_rest(follow: Callable[..., Copy]) -> None:
    copy = follow(*RECIPES)
    for arguments in (("check",), ("format", "--check")):
        copy.python("-m", "ruff", *arguments, "--no-cache", "mnist_cli", folder=copy.root)


@pytest.mark.exhaustive
def test_the_recipes_have_the_right_types(follow: Callable[..., Copy]) -> None:
    copy = follow(*RECIPES)
    copy.python("-m", "mypy", "mnist_cli", folder=copy.root)


RECIPES = ("parameter", "data set", "stage", "optimizer", "exit code", "command", "metric")


def test_every_recipe_of_the_page_is_followed() -> None:
    headings = re.findall(r"^### Add an? (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(headings) == RECIPES


def test_a_recipe_that_does_not_fit_any_more_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("one\ntwo\n", encoding="utf-8")
    Edit("file.py", (("one\n", "1\n"),), "").apply(tmp_path)
    assert (tmp_path / "file.py").read_text(encoding="utf-8") == "1\ntwo\n"
    with pytest.raises(AssertionError, match="expected once, found 0 times"):
        Edit("file.py", (("one\n", "1\n"),), "").apply(tmp_path)
