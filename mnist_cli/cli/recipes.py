"""`mnist recipes`: each recipe with its accuracy, its time, and its reason."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.session import Session
from mnist_cli.recipes import FOLDER, RECIPES
from mnist_cli.text import percent

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline

_WIDTH = 79
_INDENT = " " * 13


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "recipes")(recipes)


def recipes(session: Session) -> None:
    """List the recipes with their accuracy on MNIST's test images, their time, and why they work.

    A recipe is a set of defaults: mnist run --recipe NAME, or recipe: NAME in pipeline.yaml, whose other keys override
    the recipe's. Times are for the whole pipeline on two quiet cores, from a local mirror.

    Example: mnist recipes
    """
    entries = [
        {
            "name": name,
            "title": recipe.title,
            "accuracy": recipe.accuracy,
            "seconds": recipe.seconds,
            "why": recipe.why,
            "file": f"{name}.yaml",
        }
        for name, recipe in RECIPES.items()
    ]
    session.output.document(folder=str(FOLDER), recipes=entries)
    for name, recipe in RECIPES.items():
        time = f"{recipe.seconds} s" if recipe.seconds < 100 else f"{recipe.seconds / 60:.0f} min"
        session.output.line(f"{name:<12} {percent(recipe.accuracy):>8}  {time:>5}  {recipe.title}"[:_WIDTH])
        for line in textwrap.wrap(recipe.why, _WIDTH - len(_INDENT)):
            session.output.line(f"{_INDENT}{line}")
    session.output.line("")
    session.output.line("run one:   mnist run --recipe scattering")
    session.output.line(f"copy one:  from {FOLDER}")
