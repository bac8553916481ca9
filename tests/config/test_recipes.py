"""Recipes: a layer between the defaults and pipeline.yaml, from files that are themselves a pipeline.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mnist_cli.config.loading import NO_FILE, LoadedConfig
from mnist_cli.errors import ConfigError
from mnist_cli.recipes import FOLDER, RECIPES
from tests.support.command_line import mnist
from tests.support.configs import defaults, load_config, parse_override

pytestmark = pytest.mark.usefixtures("empty")


def loaded(*settings: str, file: str | None = None) -> LoadedConfig:
    if file is not None:
        Path("pipeline.yaml").write_text(file, encoding="utf-8")
    return load_config(overrides=[parse_override(text) for text in settings])


def problems(*settings: str, file: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(*settings, file=file)
    return list(caught.value.problems)


def values(found: LoadedConfig, *paths: str) -> list[object]:
    return [found.config.value(path) for path in paths]


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_both_a_pipeline_file_and_a_layer(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    alone, below = load_config(path).config, loaded(f"recipe={name}").config
    assert alone == below.replaced({"recipe": "tutorial"})
    for section, keys in said.items():
        for key, value in keys.items():
            assert below.value(f"{section}.{key}") == value != defaults().value(f"{section}.{key}")
    assert path.read_text(encoding="utf-8").startswith(f"# {name}: ")


def test_every_file_has_a_recipe() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(RECIPES)


def test_the_tutorial_is_every_default() -> None:
    assert loaded("recipe=tutorial").config == defaults()


def test_the_file_overrides_the_recipe_and_the_command_line_overrides_both() -> None:
    file = "recipe: gradients\nfeatures:\n  map: scat1\ntrain:\n  batch_size: 100\n"
    found = loaded("train.batch_size=50", file=file)
    paths = ("features.map", "features.deskew", "train.batch_size", "train.epochs", "train.learning_rate")
    assert values(found, *paths) == ["scat1", True, 50, 20, 2.0]
    assert [found.origins[path] for path in (*paths, "seed")] == [
        "pipeline.yaml:3:8",
        "recipe gradients",
        "--set",
        "recipe gradients",
        "recipe gradients",
        "default",
    ]
    assert found.origins["recipe"] == "pipeline.yaml:1:9"
    assert found.overridden == {"features.map": "grad8"}, "what was typed is no surprise"


def test_a_typed_recipe_overrides_the_one_in_the_file() -> None:
    found = loaded("recipe=scattering", file="recipe: gradients\n")
    assert values(found, "recipe", "features.map") == ["scattering", "scat1"]
    assert found.overridden == {}


@pytest.mark.parametrize("file", [None, "recipe: gradients\ntrain: {steps: 300}\n"])
def test_steps_override_the_epochs_of_a_recipe(file: str | None) -> None:
    settings = () if file else ("recipe=gradients", "train.steps=300")
    found = loaded(*settings, file=file)
    assert values(found, "train.steps", "train.epochs", "features.map") == [300, None, "grad8"]
    assert found.overridden == ({"train.epochs": 20} if file else {})


def test_epochs_in_the_file_override_those_of_a_recipe() -> None:
    found = loaded(file="recipe: gradients\ntrain: {epochs: 3}\n")
    assert values(found, "train.epochs") == [3]
    assert found.overridden == {"train.epochs": 20}


def test_equal_values_in_file_and_recipe_are_not_an_override() -> None:
    assert loaded(file="recipe: gradients\nfeatures: {map: grad8}\n").overridden == {}


def test_paths_in_a_users_recipe_are_relative_to_its_file() -> None:
    folder = Path("shared")
    folder.mkdir()
    (folder / "mine.yaml").write_text("features:\n  map: cells.yaml\n  deskew: true\nfetch: {mirrors: [data]}\n")
    (folder / "cells.yaml").write_text("program: [{pool: {box: 7, shift: 2}}]\n")
    for recipe in ("shared/mine.yaml", "./shared/mine.yaml", str(Path("shared/mine.yaml").absolute())):
        found = loaded(f"recipe={recipe}")
        (file,) = {Path(found.config.value("features.map")).resolve()}
        assert file == (folder / "cells.yaml").resolve()
        assert Path(found.config.value("fetch.mirrors")[0]).resolve() == (folder / "data").resolve()
        assert re.fullmatch(r".*shared/mine\.yaml:3:11", found.origins["features.deskew"])


def test_a_recipe_that_the_file_names_is_relative_to_the_file() -> None:
    Path("project").mkdir()
    Path("project/mine.yaml").write_text("train: {batch_size: 7}\n")
    Path("project/pipeline.yaml").write_text("recipe: mine.yaml\n")
    assert load_config(Path("project/pipeline.yaml")).config.value("train.batch_size") == 7


def test_a_recipe_cannot_name_another_recipe() -> None:
    Path("mine.yaml").write_text("train: {batch_size: 7}\nrecipe: best\n")
    assert problems("recipe=mine.yaml") == ["mine.yaml:2:9: recipe: a recipe cannot name another recipe; remove it"]


def test_all_mistakes_of_recipe_file_and_command_line_are_reported_with_their_places() -> None:
    Path("mine.yaml").write_text("train:\n  batch_size: none\n  colour: red\nfeatures: {map: grad9}\n")
    found = problems("seed=-1", "recipe=mine.yaml", file="train: {steps: 0}\n")
    assert sorted(problem.split(": ")[0] + ": " + problem.split(": ")[1] for problem in found) == [
        "--set: seed",
        "mine.yaml:2:15: train.batch_size",
        "mine.yaml:3:3: train.colour",
        "mine.yaml:4:17: features.map",
        "pipeline.yaml:1:16: train.steps",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("best2", "received 'best2'; did you mean 'best'?"),
        ("Gradients", "did you mean 'gradients'?"),
        ("[gradients]", "recipe: expected tutorial, gradients,"),
        ("{a: 1}", "recipe: expected tutorial, gradients,"),
        ("null", "received nothing (null)"),
        ("7", "received 7"),
        ("none.yaml", "none.yaml: there is no such file"),
        (".yaml", ".yaml: cannot be read: not a regular file"),
    ],
)
def test_a_missing_recipe_is_reported(value: str, message: str) -> None:
    Path(".yaml").mkdir()
    assert message in "\n".join(problems(f"recipe={value}"))
    assert message in "\n".join(problems(file=f"recipe: {value}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "mine.yaml:1:1: expected keys and values"),
        ("train: [", "mine.yaml:2:1: not YAML"),
        ("a" * 300_000, "mine.yaml:1:1: expected at most"),
        ("x: " + "[" * 100_000, "nested more than 8 levels deep"),
    ],
)
def test_a_file_that_is_not_a_recipe_is_reported(text: str, message: str) -> None:
    Path("mine.yaml").write_text(text + "\n")
    assert message in "\n".join(problems("recipe=mine.yaml"))


def test_an_empty_recipe_changes_nothing() -> None:
    Path("mine.yaml").write_text("# nothing yet\n")
    assert loaded("recipe=mine.yaml").config == defaults().replaced({"recipe": "mine.yaml"})


def test_a_recipe_is_in_no_key() -> None:
    from mnist_cli.stages import PIPELINE

    typed = ["features.map=grad8", "features.deskew=true", "train.epochs=20", "train.batch_size=200"]
    typed += ["train.learning_rate=2", "train.schedule=cosine", "train.validate_every=275"]
    one, other = loaded("recipe=gradients").config, loaded(*typed).config
    for stage in PIPELINE.stages.values():
        assert stage.parameters(one) == stage.parameters(other)


# As a user meets them.


def test_config_show_names_the_recipe_as_the_origin() -> None:
    out = mnist("config", "show", "--origin", "--set", "recipe=gradients").out
    assert re.search(r'^features\.map +"?grad8"? +recipe gradients$', out, re.MULTILINE), out
    document = mnist("config", "show", "--set", "recipe=gradients", "--json").document
    assert document["features.map"]["origin"] == "recipe gradients"


def test_what_the_file_overrides_is_noted_once() -> None:
    Path("pipeline.yaml").write_text("recipe: gradients\ntrain:\n  batch_size: 100\n  learning_rate: 0.5\n")
    err = mnist("config", "show").err
    note = "pipeline.yaml overrides of the recipe gradients: train.batch_size 200, train.learning_rate 2"
    assert err.count(note) == 1, err
    assert "overrides" not in mnist("config", "show", "--quiet").err
    assert "overrides" not in mnist("config", "show", "--set", "recipe=tutorial").err


def test_a_written_configuration_reads_back_equal() -> None:
    written = mnist("config", "show", "--set", "recipe=gradients").out
    Path("written.yaml").write_text(written, encoding="utf-8")
    again = load_config(Path("written.yaml"))
    assert again.config == loaded("recipe=gradients").config
    assert again.overridden == {}


def test_recipes_are_listed_with_their_accuracy() -> None:
    result = mnist("recipes")
    lines = result.out.splitlines()
    for name, recipe in RECIPES.items():
        line = next(line for line in lines if line.startswith(f"{name} "))
        assert f"{recipe.accuracy:.2%}".replace("%", " %") in line or f"{100 * recipe.accuracy:.2f}" in line
        assert recipe.title in line
    assert max(map(len, lines[:-1])) <= 80
    document = mnist("recipes", "--json").document
    assert [each["name"] for each in document["recipes"]] == [*RECIPES]
    assert all((Path(document["folder"]) / each["file"]).is_file() for each in document["recipes"])


def test_a_run_with_a_recipe_plans_its_features() -> None:
    plan = mnist("run", "--dry-run", "--recipe", "gradients", "--json", "--dataset", "synthetic").document
    assert [stage["stage"] for stage in plan["stages"]] == ["fetch", "preprocess", "features", "train", "eval"]


def test_without_a_recipe_no_shipped_recipe_is_read() -> None:
    assert load_config(NO_FILE).origins["features.map"] == "default"
