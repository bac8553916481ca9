"""Recipes: settings that belong together, one YAML file each, in this folder.

A recipe is a layer of defaults below pipeline.yaml. Its file is itself a pipeline.yaml: copy one to start your own.
`RECIPES` describes the shipped recipes; `python -m tests.recipes` measures their accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.config.kinds import name_or_file

FOLDER = Path(__file__).parent
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Recipe:
    """The description of a recipe.

    Attributes:
        title: what x is and how it is trained, in a few words.
        accuracy: on MNIST's test images with seed 0, as in its lock file.
        seconds: for the whole pipeline on two cores, with a local mirror.
        why: what it adds to the previous recipe.
    """

    title: str
    accuracy: float
    seconds: int
    why: str


RECIPES: dict[str, Recipe] = {
    "tutorial": Recipe("pixels, 1,000 steps of 100", 0.9154, 4, "the original tutorial; every default"),
    "gradients": Recipe(
        "deskew, eight gradients, 20 epochs",
        0.988,
        9,
        "strokes have directions; slant and shift are removed first",
    ),
    "scattering": Recipe(
        "deskew, wavelets at two scales, 20 epochs",
        0.9928,
        13,
        "waves distinguish strokes better than gradients do, and two sizes show more than one",
    ),
    "scattering2": Recipe(
        "deskew, second-order wavelets, 12 epochs",
        0.9941,
        26,
        "waves in the strength of other waves show corners, ends and crossings",
    ),
    "augmented": Recipe(
        "plus two warped copies of each image, 8 epochs",
        0.9952,
        62,
        "a digit that is slightly rotated, bent or shifted is still the same digit",
    ),
    "best": Recipe(
        "four copies, plus 4,000 exemplars, 8 epochs",
        0.9957,
        136,
        "similarity to other images, learned without labels, adds what fixed waves miss",
    ),
}


def file_of(recipe: Any) -> Path | None:
    """Return the file of a recipe from its name or path; None if there is no such recipe."""
    if not isinstance(recipe, str):
        return None
    if recipe in RECIPES:
        return FOLDER / f"{recipe}.yaml"
    return Path(recipe) if recipe.endswith(_SUFFIXES) else None


KIND = name_or_file(tuple(RECIPES), "recipe.yaml")
