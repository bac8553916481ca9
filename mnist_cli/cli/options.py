"""The options that commands share, declared once."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from mnist_cli.cli.completion import beginning, config_keys, run_names
from mnist_cli.config.declarations import Parameter
from mnist_cli.stages.stage import Pipeline

_COMMON = "Common options"
_CONFIGURATION = "Configuration"


def option(*declarations: str, **settings: Any) -> Any:
    """Return an option of one command; its help names the default where that matters."""
    return typer.Option(*declarations, show_default=False, **settings)


def flag(*declarations: str, **settings: Any) -> Any:
    """Return an option without a value."""
    return option(*declarations, metavar="", **settings)


def run_argument(metavar: str, meaning: str) -> Any:
    """Return an argument that names a run; the shell completes it."""
    return typer.Argument(metavar=metavar, help=meaning, show_default=False, autocompletion=run_names)


# For commands that show one model.
OfRun = Annotated[
    str | None,
    option(
        "--run",
        metavar="RUN",
        help="Use the model of this kept run: its id, its model's digest, the beginning of either, latest or previous.",
        autocompletion=run_names,
    ),
]


def common_parameters(pipeline: Pipeline) -> list[inspect.Parameter]:
    """Return the parameters that every command has."""
    panel = {"rich_help_panel": _COMMON}
    setting = option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any key, for example train.steps=2000; repeatable.",
        autocompletion=lambda incomplete: config_keys(pipeline, incomplete),
        **panel,
    )
    config = option(
        "--config", metavar="FILE", help="The configuration file, instead of the project's pipeline.yaml.", **panel
    )
    folder = option(
        "--artifacts",
        metavar="FOLDER",
        help="The folder for artifacts, instead of $MNIST_ARTIFACTS or artifacts in the project.",
        **panel,
    )
    format_ = option("--format", metavar="text|json", help="How to print results.", **panel)
    as_json = flag("--json", help="The same as --format json.", **panel)
    quiet = flag("--quiet", "-q", help="Print errors only (and the document of --json).", **panel)
    debug = flag("--debug", help="Show the traceback of an error.", **panel)
    return [
        keyword("settings", Annotated[list[str] | None, setting], None),
        keyword("config", Annotated[Path | None, config], None),
        keyword("artifacts", Annotated[Path | None, folder], None),
        keyword("format", Annotated[str, format_], "text"),
        keyword("json", Annotated[bool, as_json], False),
        keyword("quiet", Annotated[bool, quiet], False),
        keyword("debug", Annotated[bool, debug], False),
    ]


def key_parameter(declared: Parameter) -> inspect.Parameter:
    """Return the option that sets one configuration key, described as its declaration describes it.

    Its value is text, read later as YAML by the same code that reads `--set`.
    """
    assert declared.option is not None, f"{declared.path} has no option of its own"
    setting = option(
        declared.option,
        metavar=declared.kind.metavar,
        help=f"{declared.meaning}.",
        autocompletion=lambda incomplete: beginning(incomplete, declared.kind.words),
        rich_help_panel=_CONFIGURATION,
    )
    return keyword(key_name(declared.path), Annotated[str | None, setting], None)


def key_name(path: str) -> str:
    """Return the name of the parameter for a key: `train_steps` for `train.steps`."""
    return path.replace(".", "_")


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return a keyword-only parameter of a signature."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
