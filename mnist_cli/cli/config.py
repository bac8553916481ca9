"""`mnist config init|check|show|schema`: write, check and explain the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.help import new_group
from mnist_cli.cli.options import flag
from mnist_cli.cli.session import Session
from mnist_cli.errors import UsageError
from mnist_cli.text import HIDDEN, printable, without_secrets

if TYPE_CHECKING:
    from mnist_cli.config.declarations import Config
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the group and its commands to the application."""
    group = new_group("config", "Write, check and explain the configuration.")
    command(group, pipeline, "init")(init)
    command(group, pipeline, "check")(check)
    command(group, pipeline, "show")(show)
    command(group, pipeline, "schema")(schema)
    app.add_typer(group)


def init(
    session: Session,
    *,
    force: Annotated[bool, flag("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write pipeline.yaml with every key, its default and a comment.

    Example: mnist config init
    """
    from mnist_cli import files
    from mnist_cli.config.loading import DEFAULT_FILE, NO_FILE, load_config
    from mnist_cli.config.template import render

    path = session.named_config or DEFAULT_FILE
    if path.exists() and not force:
        raise UsageError(f"{printable(path)} exists already", hint="give --force to replace it")
    # The defaults with --set, but without any pipeline.yaml in this folder.
    overrides, mistakes = session.overrides()
    loaded = load_config(session.pipeline.declarations, NO_FILE, overrides, mistakes=mistakes)
    files.write_bytes(path, render(loaded.config).encode())
    session.output.document(file=str(path))
    session.output.line(f"wrote {printable(path)}")


def check(session: Session) -> None:
    """Check the configuration; list every mistake in it (exit code 3).

    Example: mnist config check --config experiments/fast.yaml
    """
    loaded = session.load()
    where = "defaults" if loaded.file is None else printable(loaded.file)
    session.output.document(ok=True, file=None if loaded.file is None else str(loaded.file))
    session.output.line(f"{where}: ok")


def show(
    session: Session,
    *,
    origin: Annotated[bool, flag("--origin", help="Show where each value comes from.")] = False,
) -> None:
    """Print every key and its value, as a valid pipeline.yaml.

    Example: mnist config show --origin --set train.steps=2000
    """
    from mnist_cli.config.template import render, yaml_value

    loaded = session.load()
    config = _without_secrets(loaded.config)
    if config != loaded.config:
        session.output.note(f"passwords and queries of mirrors are shown as {HIDDEN}")
    values = config.values()
    session.output.document(**{path: {"value": values[path], "origin": loaded.origins[path]} for path in values})
    if not origin:
        session.output.line(render(config, all_set=True).rstrip())
        return
    for path, set_to in values.items():
        value = yaml_value(set_to)
        session.output.columns((path, 28), (value, 14), (loaded.origins[path], 0))


def _without_secrets(config: Config) -> Config:
    hidden = {
        path: tuple(without_secrets(item, is_address="://" in item) for item in value)
        for path, value in config.values().items()
        if isinstance(value, tuple)
    }
    return config.replaced(hidden)


def schema(session: Session) -> None:
    """Print the JSON schema of pipeline.yaml, for editors that complete and check YAML.

    Example: mnist config schema > pipeline.schema.json
    """
    import json

    content = session.pipeline.declarations.schema()
    session.output.document(**content)
    session.output.line(json.dumps(content, indent=2))
