"""Recipes: settings that belong together, one YAML file each, in this folder.

A recipe is a layer of defaults below pipeline.yaml. Its file is a pipeline.yaml itself: copy one to begin your own.
`RECIPES` says what those that the package brings are for; what they reach is measured by `python -m tests.recipes`.
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
    """What a recipe is for.

    Attributes:
        title: what x is, and how it is trained, in a few words.
        accuracy: on MNIST's test images with seed 0, as its lock says.
        seconds: of the whole pipeline on two cores, from a local mirror.
        why: what it adds to the one before it.
    """

    title: str
    accuracy: float
    seconds: int
    why: str


RECIPES: dict[str, Recipe] = {
    "tutorial": Recipe("pixels, 1,000 steps of 100", 0.9154, 4, "the tutorial as it was; every default"),
    "gradients": Recipe(
        "deskew, eight gradients, 20 epochs",
        0.988,
        9,
        "strokes have directions; a slant and a shift are taken out first",
    ),
    "scattering": Recipe(
        "deskew, wavelets at two scales, 20 epochs",
        0.9928,
        13,
        "waves tell strokes apart better than gradients do, and two sizes see more than one",
    ),
    "scattering2": Recipe(
        "deskew, second order too, 12 epochs",
        0.9941,
        26,
        "waves in the strength of waves: corners, ends and crossings",
    ),
    "augmented": Recipe(
        "and two warped copies of each image, 8 epochs",
        0.9952,
        62,
        "a digit that is turned, bent or shifted a little is the same digit",
    ),
    "best": Recipe(
        "four copies, and 4,000 exemplars, 8 epochs",
        0.9957,
        136,
        "how near an image is to others, learned without labels, adds what no fixed wave sees",
    ),
}


def file_of(recipe: Any) -> Path | None:
    """Return the file of a recipe by its name, or as a user names it; None where there is no such recipe."""
    if not isinstance(recipe, str):
        return None
    if recipe in RECIPES:
        return FOLDER / f"{recipe}.yaml"
    return Path(recipe) if recipe.endswith(_SUFFIXES) else None


KIND = name_or_file(tuple(RECIPES), "recipe.yaml")
