"""Writes the lesson from the artifacts of the last run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cli.config.declarations import Config
from mnist_cli.datasets import Dataset, find_dataset
from mnist_cli.errors import UsageError
from mnist_cli.page.writing import WrittenPage, check_target, fresh_manifests, published, write_page
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.progress import Progress
from mnist_cli.recipes import RECIPES, Recipe
from mnist_cli.stages.stage import EVALUATION, MODEL, STORE
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.lesson.examples import Examples
    from mnist_cli.lesson.training import Reference

NAME = "lesson.html"
_MEMORY = "lesson"  # folder in the artifacts folder


def write_lesson(
    config: Config,
    artifacts: Artifacts,
    target: Path | None = None,
    data_folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[WrittenPage, Examples, Reference]:
    """Write the lesson and, with `data_folder`, its examples as a data set; train on new examples first.

    Args:
        config: the configuration that the artifacts must be up to date for.
        artifacts: artifacts with a finished training and evaluation.
        target: the file to write; None: `lesson.html` in the artifacts folder.
        data_folder: folder for the examples as four IDX files and `dataset.yaml`, or None.
        progress: progress callback.

    Returns:
        The page, the examples in it, and the model that `mnist train` gives for them.

    Raises:
        InputError: the model or its evaluation is missing, stale or corrupt, or TensorFlow cannot be imported.
        UsageError: the target is a folder, in a missing folder, or an existing file that is not a page; or the data
            folder has other files.
        OSError: a file cannot be written.
    """
    path = check_target(target, artifacts, NAME)
    if data_folder is not None:
        _check_data_folder(data_folder)
    manifests = fresh_manifests(config, artifacts, "cannot write the lesson")
    from mnist_cli.formats.model import load_model
    from mnist_cli.formats.store import open_store
    from mnist_cli.lesson.examples import choose_examples, write_dataset
    from mnist_cli.lesson.page import LessonData, render
    from mnist_cli.lesson.training import train_reference

    origin = find_dataset(config.value("dataset"))
    metrics = json.loads(published(artifacts, manifests, EVALUATION))
    store = open_store(artifacts.path(STORE))
    examples = choose_examples(store)
    if data_folder is not None:
        write_dataset(examples, data_folder, origin)
    reference = train_reference(examples, origin, artifacts.root / _MEMORY, progress or Progress())
    model = load_model(artifacts.path(MODEL))
    data = LessonData(examples, reference, store, model, metrics, origin, _further(origin), config.value("recipe"))
    return write_page(path, render(data)), examples, reference


def _further(origin: Dataset) -> dict[str, Recipe]:
    """Return the recipes that beat the tutorial's accuracy, for MNIST only, on which they were measured."""
    return {name: recipe for name, recipe in RECIPES.items() if name != "tutorial" and origin.name == "mnist"}


def _check_data_folder(folder: Path) -> None:
    """Refuse a folder with files other than those of an earlier call."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--data {printable(folder)}: expected a folder; received a file")
    if any(folder.iterdir()) and not (folder / "dataset.yaml").is_file():
        raise UsageError(
            f"--data {printable(folder)}: expected a new or empty folder, or an older one of the same kind; "
            "received one with other files",
            hint="choose another name",
        )
